"""The range of each activation of a model, from images: what int8 spreads its 255 steps over."""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from export.libraries import onnx

# onnxruntime's names and settings. Its entropy is left out: by default it has 128 bins for 128 steps and nothing to
# choose from; with 512 it takes 70 s, and GoogLeNet's mean cosine to single precision is 0.956 where these have 0.999.
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "minmax": ("MinMax", {}),
    "percentile": ("Percentile", {"percentile": 99.999, "symmetric": False}),
}


class _Once:
    """What onnxruntime's calibration asks for its data: a feed, then None."""

    def __init__(self, feed: dict[str, NDArray[Any]]) -> None:
        self._feeds = [feed]

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        return self._feeds.pop() if self._feeds else None


def activation_ranges(
    model: onnx.ModelProto, batches: Iterable[NDArray[Any]], ops: list[str], method: str = "minmax"
) -> Any:
    """Run the model and watch its activations, with onnxruntime's own tools.

    Parameters
    ----------
    model : ModelProto
        In single precision, with one input.
    batches : iterable of ndarray
        What the model is given in use, as its input takes it. All activations of a batch are in memory at a time.
    ops : list of str
        Operators whose inputs and outputs are watched.
    method : str
        ``"minmax"``, or ``"percentile"``: 99.999 % of the values lie within.

    Returns
    -------
    TensorsData
        onnxruntime's table of ranges.
    """
    from onnxruntime.quantization import CalibrationMethod, create_calibrator

    name, settings = METHODS[method]
    with tempfile.TemporaryDirectory() as folder, silence():
        source = Path(folder, "single.onnx")
        source.write_bytes(model.SerializeToString())
        calibrator = create_calibrator(
            source,
            ops,
            augmented_model_path=str(Path(folder, "watched.onnx")),
            calibrate_method=getattr(CalibrationMethod, name),
            extra_options=settings,
        )
        for batch in batches:  # one by one: it keeps the activations of all that it is given at once
            calibrator.collect_data(_Once({model.graph.input[0].name: batch}))
        return calibrator.compute_data()


@contextmanager
def silence() -> Iterator[None]:
    """onnxruntime's tools print, and advise a preparation that our graphs do not need."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
