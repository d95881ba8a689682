"""Cases of operators that move a window over images, along one to three axes, or cut and enlarge them."""

from __future__ import annotations

from functools import partial

import numpy as np

from tests.export import window_oracles
from tests.export.op_case import OpCase, normal

TARGET_ALONE = "target_shape alone"
VOLUME, SEQUENCE = ("volume",), ("sequence",)  # (N, 2, 4, 3, 7) and (N, 4, 42)


def _deconvolved(x: np.ndarray, weight: np.ndarray, **attrs: tuple[int, ...]) -> np.ndarray:
    return window_oracles.deconvolution(x, weight, **attrs)


def _norm(window: np.ndarray, axis: tuple[int, ...]) -> np.ndarray:
    return np.sqrt((window**2).sum(axis=axis))


def _enlarged(x: np.ndarray, height: int, width: int) -> np.ndarray:
    return x.repeat(height // x.shape[2], axis=2).repeat(width // x.shape[3], axis=3)


def _bilinear(x: np.ndarray, weight: np.ndarray, scale: int) -> np.ndarray:
    pads = (scale // 2,) * 2
    return window_oracles.deconvolution(x, weight, stride=(scale, scale), pad=pads, groups=x.shape[1])


CONVOLUTION_CASES = [
    OpCase(
        "Convolution",
        "one axis, defaults",
        window_oracles.convolution,
        {"kernel": "(3,)", "num_filter": "2"},
        {"weight": normal(2, 4, 3), "bias": normal(2)},
        SEQUENCE,
    ),
    OpCase(
        "Convolution",
        "one axis, everything set",
        partial(window_oracles.convolution, stride=(3,), pad=(2,), dilate=(2,), groups=2),
        {
            **{"kernel": "(4,)", "stride": "(3,)", "pad": "(2,)", "dilate": "(2,)", "layout": "NCW"},
            **{"num_filter": "4", "num_group": "2", "no_bias": "True"},
        },
        {"weight": normal(4, 2, 4)},
        SEQUENCE,
    ),
    OpCase(
        "Convolution",
        "three axes, defaults",
        window_oracles.convolution,
        {"kernel": "(2, 3, 3)", "num_filter": "3"},
        {"weight": normal(3, 2, 2, 3, 3), "bias": normal(3)},
        VOLUME,
    ),
    OpCase(
        "Convolution",
        "three axes, everything set",
        partial(window_oracles.convolution, stride=(2, 1, 3), pad=(1, 1, 0), dilate=(1, 2, 2), groups=2),
        {
            **{"kernel": "(3, 2, 2)", "stride": "(2, 1, 3)", "pad": "(1, 1, 0)", "dilate": "(1, 2, 2)"},
            **{"num_filter": "4", "num_group": "2", "no_bias": "True", "layout": "NCDHW"},
        },
        {"weight": normal(4, 1, 3, 2, 2)},
        VOLUME,
    ),
    OpCase(
        "Deconvolution",
        "one axis",
        partial(_deconvolved, stride=(3,), pad=(1,), adjust=(2,)),
        {"kernel": "(4,)", "stride": "(3,)", "pad": "(1,)", "adj": "(2,)", "num_filter": "1", "layout": "NCW"},
        {"weight": normal(4, 1, 4)},
        SEQUENCE,
    ),
    OpCase(
        "Deconvolution",
        "three axes",
        partial(_deconvolved, stride=(2, 1, 2), pad=(1, 0, 1), adjust=(1, 0, 0)),
        {"kernel": "(3, 2, 2)", "stride": "(2, 1, 2)", "pad": "(1, 0, 1)", "adj": "(1, 0, 0)", "num_filter": "2"},
        {"weight": normal(2, 2, 3, 2, 2)},
        VOLUME,
    ),
    *(
        OpCase(
            "Deconvolution",
            f"{note}, odd and even",
            partial(_deconvolved, stride=(2, 3), pad=(1, 1), adjust=(1, 0)),  # of 14 x 22
            {"kernel": "(4, 4)", "stride": "(2, 3)", "num_filter": "3", "target_shape": "(13, 20)"} | attrs,
            {"weight": normal(4, 3, 4, 4)},
        )
        for note, attrs in ((TARGET_ALONE, {}), ("target_shape with its pad", {"pad": "(1, 1)", "adj": "(0, 2)"}))
    ),
]
POOLING_CASES = [
    OpCase(
        "Pooling",
        "one axis, full maximum",
        partial(window_oracles.pooling, kernel=(4,), reduce=np.max, stride=(3,), pad=(1,), full=True, fill=-np.inf),
        {"kernel": "(4,)", "stride": "(3,)", "pad": "(1,)", "pooling_convention": "full", "layout": "NCW"},
        sources=SEQUENCE,
    ),
    OpCase(
        "Pooling",
        "one axis, average",
        partial(window_oracles.pooling, kernel=(4,), reduce=np.mean, stride=(3,), pad=(1,)),
        {"kernel": "(4,)", "stride": "(3,)", "pad": "(1,)", "pool_type": "avg", "p_value": "2"},
        sources=SEQUENCE,
    ),
    OpCase(
        "Pooling",
        "three axes, maximum",
        partial(window_oracles.pooling, kernel=(2, 3, 2), reduce=np.max, stride=(2, 1, 3), pad=(0, 1, 1), fill=-np.inf),
        {"kernel": "(2, 3, 2)", "stride": "(2, 1, 3)", "pad": "(0, 1, 1)", "layout": "NCDHW"},
        sources=VOLUME,
    ),
    OpCase(
        "Pooling",
        "three axes, full average of what is there",
        partial(
            window_oracles.pooling,
            **{"kernel": (3, 2, 3), "reduce": np.nanmean, "stride": (2, 2, 3), "pad": (1, 0, 1)},
            **{"full": True, "fill": np.nan},
        ),
        {"kernel": "(3, 2, 3)", "stride": "(2, 2, 3)", "pad": "(1, 0, 1)", "pool_type": "avg"}
        | {"count_include_pad": "False", "pooling_convention": "full"},
        sources=VOLUME,
    ),
    *(
        OpCase(
            "Pooling",
            f"{kind}{p_value}, full",
            partial(
                window_oracles.pooling,
                **{"kernel": (3, 3), "reduce": reduce, "stride": (2, 3), "pad": (1, 1), "full": True},
            ),
            {"kernel": "(3, 3)", "stride": "(2, 3)", "pad": "(1, 1)", "pooling_convention": "full", "pool_type": kind}
            | ({"p_value": p_value} if p_value else {}),
        )
        for kind, p_value, reduce in (("sum", "", np.sum), ("lp", "1", np.sum), ("lp", "2", _norm))
    ),
    *(
        OpCase(
            "Pooling",
            f"global {kind}{p_value}, three axes",
            partial(window_oracles.pooling, kernel=(4, 3, 7), reduce=reduce),
            {"global_pool": "True", "pool_type": kind} | ({"p_value": p_value} if p_value else {}),
            sources=VOLUME,
        )
        for kind, p_value, reduce in (
            *(("max", "", np.max), ("avg", "", np.mean), ("sum", "", np.sum)),
            *(("lp", "1", np.sum), ("lp", "2", _norm)),
        )
    ),
]
SIZE_CASES = [
    OpCase("Crop", "from the corner", lambda x: x[:, :, :3, :4], {"num_args": "1", "h_w": "(3, 4)"}),
    OpCase(
        "Crop",
        "offset",
        lambda x: x[:, :, 1:4, 3:],
        {"num_args": "1", "h_w": "(3, 4)", "offset": "(1, 3)", "center_crop": "False"},
    ),
    OpCase(
        "Crop",
        "center, offset ignored",
        lambda x: x[:, :, 1:4, 1:5],
        {"num_args": "1", "h_w": "(3, 4)", "offset": "(9, 9)", "center_crop": "True"},
    ),
    OpCase("Crop", "nothing cut", lambda x: x, {"num_args": "1", "h_w": "(6, 7)"}),
    OpCase(
        "Crop",
        "like another, h_w ignored",
        lambda x, y: x[:, :, 1:, 1:],
        {"num_args": "2", "offset": "(1, 1)", "h_w": "(2, 2)"},
        sources=("data", "wide"),
    ),
    OpCase(
        "UpSampling",
        "several, joined",
        lambda *xs: np.concatenate([_enlarged(x, 24, 28) for x in xs], 1),
        {"scale": "4", "sample_type": "nearest", "num_args": "3"},
        sources=("data", "doubled", "data"),
    ),
    OpCase(
        "UpSampling",
        "several, added, one of them the right size",
        lambda *xs: sum(_enlarged(x, 12, 14) for x in xs),
        {"scale": "1", "sample_type": "nearest", "num_args": "2", "multi_input_mode": "sum"},
        sources=("doubled", "data"),
    ),
    *(
        OpCase(
            "UpSampling",
            f"bilinear x{scale}",
            partial(_bilinear, scale=scale),
            {"scale": str(scale), "sample_type": "bilinear", "num_args": "2", "num_filter": "4"},
            {"weight": normal(4, 1, 2 * scale - scale % 2, 2 * scale - scale % 2)},
        )
        for scale in (2, 3)
    ),
    *(
        OpCase(
            "Pad",
            f"{mode}, three axes",
            partial(np.pad, pad_width=((0, 0), (0, 0), (1, 2), (0, 1), (2, 0)), mode=mode),
            {"mode": mode, "pad_width": "(0, 0, 0, 0, 1, 2, 0, 1, 2, 0)"},
            sources=VOLUME,
        )
        for mode in ("constant", "edge", "reflect")
    ),
]
GRID_CASES = [
    OpCase("BilinearSampler", "defaults", window_oracles.sampling, {"cudnn_off": "True"}, sources=("data", "pair")),
    OpCase("GridGenerator", "warp", window_oracles.warped_grid, {"transform_type": "warp"}, sources=("pair",)),
    OpCase(
        "GridGenerator",
        "affine",
        partial(window_oracles.affine_grid, size=(3, 5)),
        {"transform_type": "affine", "target_shape": "(3, 5)"},
        sources=("rows",),
    ),
    OpCase(
        "SpatialTransformer",
        "affine",
        lambda x, matrix: window_oracles.sampling(x, window_oracles.affine_grid(matrix, (3, 5))),
        {"transform_type": "affine", "sampler_type": "bilinear", "target_shape": "(3, 5)", "cudnn_off": "0"},
        sources=("data", "rows"),
    ),
]
WINDOW_CASES = [*GRID_CASES, *CONVOLUTION_CASES, *POOLING_CASES, *SIZE_CASES]
