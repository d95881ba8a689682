"""The one import of MXNet: NumPy and Python compatibility, CUDA libraries, devices.

MXNet 1.9.1 is its last release. It still uses names that NumPy 1.24 removed (``np.bool`` and others),
``distutils.version``, which Python 3.12 removed, and ``scipy.sparse.csr``, which SciPy 2 will remove; all are set
back before the import. Every other module takes MXNet from here: ``from gluon_lifted.mx import mx, nd, gluon``.
"""

from __future__ import annotations

import ctypes
import os
import sys
import types
import warnings
from contextlib import contextmanager
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import ImageFile

from gluon_lifted.errors import DeviceError, MissingPackageError

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
        return  # MXNet does without
    scipy.sparse.csr = scipy.sparse  # MXNet asks for scipy.sparse.csr.csr_matrix


@contextmanager
def _hidden(*modules: str) -> Iterator[None]:
    """Let imports of ``modules`` fail, which MXNet then does without."""
    before = {name: sys.modules[name] for name in modules if name in sys.modules}
    sys.modules.update(dict.fromkeys(modules))  # type: ignore[arg-type]  # None stops an import
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]
        sys.modules.update(before)


def _stand_in_for_distutils() -> None:
    """``distutils.version`` as MXNet uses it: version strings compared number by number."""
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


def _cuda_wheel_libraries() -> Iterator[Path]:
    """The shared libraries of the nvidia-*-cu11 wheels, those that others need first."""
    spec = util.find_spec("nvidia")
    roots = [Path(root) for root in (spec.submodule_search_locations or [])] if spec else []
    for stem in ("cudart", "nvrtc", "nvToolsExt", "cublasLt", "cublas", "cufft", "curand", "cusolver", "cudnn", "nccl"):
        for root in roots:
            yield from sorted(root.glob(f"*/lib/lib{stem}.so.*"))


def _load_cuda_libraries() -> None:
    """Make the wheels' CUDA libraries known to the loader: mxnet-cu112 looks for them by name alone."""
    if not _installed("mxnet-cu112"):
        return
    for library in _cuda_wheel_libraries():
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


def _installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _import_mxnet() -> Any:
    os.environ.setdefault("MXNET_SUBGRAPH_VERBOSE", "0")  # not a line on stderr for every graph
    _restore_numpy_names()
    _restore_scipy_names()
    _stand_in_for_distutils()
    try:
        _load_cuda_libraries()
        # Two seconds of imports for MXNet's oldest Module interface and the statistics of its own tests
        with warnings.catch_warnings(), _hidden("sklearn", "scipy.stats"):
            warnings.simplefilter("ignore")  # MXNet's own: invalid escapes, NumPy names
            import mxnet
    except ModuleNotFoundError as error:
        if error.name != "mxnet":
            raise
        raise MissingPackageError(
            "MXNet is not installed; training needs it (Python 3.10-3.12): pip install 'gluon-lifted[train]'."
        ) from None
    except OSError as error:  # a shared library that the wheel expects
        raise DeviceError(f"MXNet cannot be loaded ({error}); run `lifted doctor` for the cure.") from None
    return mxnet


mx = _import_mxnet()
autograd, gluon, nd = mx.autograd, mx.gluon, mx.nd
HybridBlock, nn = mx.gluon.HybridBlock, mx.gluon.nn


def start_mixed_precision() -> None:
    """Have networks made from now on cast to float16 where MXNet's lists say it is safe; for the whole process."""
    from mxnet.contrib import amp  # MXNet does not import it by itself

    amp.init()


def gluoncv_zoo() -> Any:
    """GluonCV's ``model_zoo``, imported without its warnings and without what it does to Pillow."""
    truncated = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # GluonCV's own
            from gluoncv import model_zoo
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = truncated  # GluonCV turns it on: broken photographs would pass as whole
    return model_zoo


def gluoncv_network(name: str) -> Any:
    """A GluonCV classification network by name, with random weights and nothing downloaded."""
    zoo = gluoncv_zoo()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return zoo.get_model(name, pretrained=False)
