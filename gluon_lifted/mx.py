"""The only import of MXNet, with fixes for current NumPy, SciPy and Python, and with its CUDA libraries loaded.

MXNet 1.9.1 is its last release. It still uses names that NumPy 1.24 removed (``np.bool`` and others),
``distutils.version``, which Python 3.12 removed, and ``scipy.sparse.csr``, which SciPy 2 will remove. All are
restored before the import. Every other module imports MXNet from here: ``from gluon_lifted.mx import mx, nd, gluon``.
"""

from __future__ import annotations

import os
import sys
import types
import warnings
from contextlib import contextmanager
from importlib import util
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import ImageFile

from gluon_lifted.errors import DeviceError, MissingPackageError
from gluon_lifted.extras import install_command
from gluon_lifted.hardware.cpus import usable_cpus
from gluon_lifted.hardware.mxnet_library import load_cuda_libraries

if TYPE_CHECKING:
    from collections.abc import Iterator

REMOVED_FROM_NUMPY = {"bool": bool, "int": int, "float": float, "object": object, "complex": complex, "str": str}


def _restore_numpy_names() -> None:
    for name, builtin in REMOVED_FROM_NUMPY.items():
        if name not in np.__dict__:
            setattr(np, name, builtin)


def _restore_scipy_names() -> None:
    try:
        import scipy.sparse
    except ModuleNotFoundError:
        return  # MXNet works without SciPy
    scipy.sparse.csr = scipy.sparse  # MXNet reads scipy.sparse.csr.csr_matrix


@contextmanager
def _hidden(*modules: str) -> Iterator[None]:
    """Make imports of ``modules`` fail. MXNet works without them."""
    before = {name: sys.modules[name] for name in modules if name in sys.modules}
    sys.modules.update(dict.fromkeys(modules))  # type: ignore[arg-type]  # None makes an import fail
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]
        sys.modules.update(before)


def _stand_in_for_distutils() -> None:
    """Provide the part of ``distutils.version`` that MXNet uses: version strings compared number by number."""
    if "distutils" in sys.modules or util.find_spec("distutils") is not None:
        return

    class Version:
        def __init__(self, text: str) -> None:
            self.numbers = [int(part) for part in text.split(".") if part.isdigit()]

        def __lt__(self, other: Version | str) -> bool:
            return self.numbers < _version(other).numbers

        def __ge__(self, other: Version | str) -> bool:
            return not self < other

    def _version(value: Version | str) -> Version:
        return value if isinstance(value, Version) else Version(value)

    package, module = types.ModuleType("distutils"), types.ModuleType("distutils.version")
    module.LooseVersion = module.StrictVersion = Version  # type: ignore[attr-defined]
    package.version = module  # type: ignore[attr-defined]
    sys.modules.update({"distutils": package, "distutils.version": module})


def _import_mxnet() -> Any:
    os.environ.setdefault("MXNET_SUBGRAPH_VERBOSE", "0")  # otherwise each graph prints a line to stderr
    # MXNet would take half the host's cores, as if they were hyperthreads, and ignore a container's limit
    os.environ.setdefault("OMP_NUM_THREADS", str(usable_cpus()))
    _restore_numpy_names()
    _restore_scipy_names()
    _stand_in_for_distutils()
    try:
        load_cuda_libraries()
        # MXNet would spend two seconds on importing these for its old Module interface and for its own tests
        with warnings.catch_warnings(), _hidden("sklearn", "scipy.stats"):
            warnings.simplefilter("ignore")  # from MXNet itself: invalid escapes, NumPy names
            import mxnet
    except ModuleNotFoundError as error:
        if error.name != "mxnet":
            raise
        raise MissingPackageError(
            f"MXNet is not installed; this command needs it (Python 3.10-3.12): {install_command('train')}"
        ) from None
    except OSError as error:  # a shared library that the wheel needs is missing
        raise DeviceError(f"MXNet cannot be loaded ({error}). Run `lifted doctor` to see what is missing.") from None
    return mxnet


mx = _import_mxnet()
autograd, gluon, nd = mx.autograd, mx.gluon, mx.nd
HybridBlock, nn = mx.gluon.HybridBlock, mx.gluon.nn


def start_mixed_precision(dtype: str) -> None:
    """Make networks built from now on cast to ``dtype`` where MXNet lists it as safe. Affects the whole process."""
    from mxnet.contrib import amp  # MXNet does not import it itself

    amp.init(dtype)


def gluoncv_zoo() -> Any:
    """Import GluonCV's ``model_zoo`` without its warnings and without its change to Pillow's settings."""
    truncated = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # from GluonCV itself
            from gluoncv import model_zoo
            from gluoncv import nn as gluoncv_nn
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = truncated  # GluonCV sets it, so that truncated images would be accepted
    gluoncv_nn.block.ReLU6.hybrid_forward = _relu6
    return model_zoo


def _relu6(_: Any, F: Any, x: Any) -> Any:
    """Limit to 0 to 6 as GluonCV's block does, with operators that MXNet computes twice as fast as its ``clip``.

    MobileNetV2 spends half of a training step on a CPU in ``clip``.
    """
    return F.minimum(F.Activation(x, act_type="relu"), 6)


def gluoncv_network(name: str) -> Any:
    """Create one of GluonCV's classification networks with random parameters. Nothing is downloaded."""
    zoo = gluoncv_zoo()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return zoo.get_model(name, pretrained=False)
