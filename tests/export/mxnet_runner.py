"""Run a network in MXNet itself; import only where MXNet is known to be installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluon_lifted.mx import mx, nd

if TYPE_CHECKING:
    import numpy as np

    from tests.export.mxnet_files import Net


def run_mxnet(net: Net, images: np.ndarray) -> np.ndarray:
    symbol = mx.sym.load_json(net.symbol_bytes().decode())
    arrays = {name: nd.array(array) for name, array in net.params.items()}
    shapes = dict(zip(symbol.list_arguments(), symbol.infer_shape_partial(data=images.shape)[0], strict=True))
    if "label" in shapes:
        arrays["label"] = nd.zeros(shapes["label"])
    auxiliary = set(symbol.list_auxiliary_states())
    executor = symbol.bind(
        mx.cpu(),
        args={"data": nd.array(images)} | {name: array for name, array in arrays.items() if name not in auxiliary},
        aux_states={name: array for name, array in arrays.items() if name in auxiliary},
        grad_req="null",
    )
    return executor.forward(is_train=False)[0].asnumpy()


def run_mxnet_arrays(net: Net, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Run a network of any inputs; return all its outputs."""
    symbol = mx.sym.load_json(net.symbol_bytes().decode())
    arrays = {name: nd.array(array, dtype=array.dtype) for name, array in (feeds | net.params).items()}
    arguments = {name: arrays[name] for name in symbol.list_arguments()}
    executor = symbol.bind(mx.cpu(), args=arguments, grad_req="null")
    return [output.asnumpy() for output in executor.forward(is_train=False)]
