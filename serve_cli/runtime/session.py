"""Embedder: an exported model in onnxruntime, on the device that was asked for and no other."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.card import CARD_KEY, ModelCard
from gluon_lifted.errors import DeviceError, RunError
from gluon_lifted.images import normalise
from gluon_lifted.machine.cpus import usable_cpus
from serve_cli.runtime.optimised import open_optimised

if TYPE_CHECKING:
    from numpy.typing import NDArray

PIXELS = "images"  # the input of a model that normalises pixels itself
PROVIDERS = {"cpu": "CPUExecutionProvider", "gpu": "CUDAExecutionProvider"}
ERRORS_ONLY, FATAL_ONLY = 3, 4  # onnxruntime's log severities


class Embedder:
    """A model that turns pixels into embeddings.

    Parameters
    ----------
    model : path
        An ONNX file with a model card inside, as `lifted export` writes it.
    device : str
        ``"cpu"`` or ``"gpu"`` (NVIDIA, CUDA).
    threads : int, optional
        Threads of the network on the CPU; by default one for each core that this process may use.

    Attributes
    ----------
    card : ModelCard
    model : Path
    threads : int

    Raises
    ------
    RunError
        If the file is missing, is not ONNX, holds no card, or its inputs and outputs are not those of the card.
    DeviceError
        If onnxruntime is not installed or the device cannot be used; it never falls back to another one.
    """

    def __init__(self, model: str | os.PathLike[str], device: str = "cpu", threads: int | None = None) -> None:
        self.model = Path(model)
        self.threads = threads or usable_cpus()
        self.session = _open_session(self.model, PROVIDERS[device], self.threads)
        self.card = _read_card(self.session, self.model)
        _check_interface(self.session, self.card, self.model)
        self._input = self.session.get_inputs()[0].name
        self._takes_pixels = self._input == PIXELS

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed cropped images.

        Parameters
        ----------
        pixels : ndarray, uint8, (N, crop, crop, 3)
            RGB, of the card's crop.

        Returns
        -------
        ndarray, float32, (N, D)

        Raises
        ------
        DeviceError
            If the network fails on the device, most often for want of memory.
        RunError
            If the network's output is not (N, D).
        """
        embedding = self.run(self.feed(pixels))
        if embedding.shape != (len(pixels), self.card.dim):
            raise RunError(
                f"{self.model}: output 'embedding' is {embedding.shape}; the card says "
                f"{(len(pixels), self.card.dim)}. Export the model again."
            )
        return np.asarray(embedding, np.float32)

    def feed(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """What the network takes, of cropped images: the pixels, or float32 (N, 3, crop, crop)."""
        return np.ascontiguousarray(pixels) if self._takes_pixels else normalise(pixels, self.card.preprocessing)

    def run(self, feed: NDArray[Any]) -> NDArray[Any]:
        """The network alone: what `feed` returned -> its output. Raises `DeviceError` if it fails."""
        try:
            (embedding,) = self.session.run(["embedding"], {self._input: feed})
        except Exception as error:  # onnxruntime's errors have no base class of their own
            raise DeviceError(
                f"{self.model}: the network failed on a batch of {len(feed)} images ({_first_line(error)}). "
                "If memory ran out, take a smaller --batch-size."
            ) from error
        return np.asarray(embedding)


def import_onnxruntime() -> Any:
    """The onnxruntime module. Raises `DeviceError` if it is not installed."""
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise
        raise DeviceError(
            "onnxruntime is not installed: pip install 'gluon-lifted[serve]' "
            "(or 'gluon-lifted[serve-gpu]' for NVIDIA GPUs)."
        ) from None
    return onnxruntime


def _open_session(model: Path, provider: str, threads: int) -> Any:
    onnxruntime = import_onnxruntime()
    if not model.is_file():
        raise RunError(f"{model}: no such file; expected an ONNX model that `lifted export` wrote.")
    if provider not in onnxruntime.get_available_providers():
        raise DeviceError(
            f"this onnxruntime {onnxruntime.__version__} has no {provider}; in a fresh environment: "
            "pip install 'gluon-lifted[serve-gpu]', or use --device cpu."
        )
    if provider == PROVIDERS["gpu"]:
        _load_cuda(onnxruntime)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = ERRORS_ONLY

    def start(path: Path, options: Any) -> Any:
        return onnxruntime.InferenceSession(str(path), options, providers=[provider])

    try:
        on_cpu = provider == PROVIDERS["cpu"]
        session = open_optimised(model, onnxruntime, start, options) if on_cpu else start(model, options)
    except Exception as error:  # onnxruntime's errors have no base class of their own
        raise RunError(
            f"{model}: onnxruntime cannot load it ({_first_line(error)}); export the model again."
        ) from error
    if session.get_providers()[0] != provider:
        raise DeviceError(
            f"{provider} was asked for and onnxruntime started {session.get_providers()[0]}; "
            "`lifted doctor` says what the GPU lacks, or use --device cpu."
        )
    session.disable_fallback()
    return session


def _load_cuda(onnxruntime: Any) -> None:
    """Load the CUDA libraries of the nvidia-* wheels; what is missing shows when the session starts."""
    onnxruntime.set_default_logger_severity(FATAL_ONLY)  # it reports a missing library in five lines
    if hasattr(onnxruntime, "preload_dlls"):  # since onnxruntime 1.21
        with redirect_stdout(io.StringIO()):  # it prints
            onnxruntime.preload_dlls()


def _read_card(session: Any, model: Path) -> ModelCard:
    text = session.get_modelmeta().custom_metadata_map.get(CARD_KEY)
    if text is None:
        raise RunError(
            f"{model}: no model card inside, so its preprocessing is unknown; expected a model that "
            "`lifted export RUN` wrote."
        )
    return ModelCard.from_json(text, str(model))


def _check_interface(session: Any, card: ModelCard, model: Path) -> None:
    crop = card.preprocessing.crop
    found = [_signature(one) for one in (*session.get_inputs(), *session.get_outputs())]
    data: tuple[str, str, tuple[int, ...]] = ("data", "tensor(float)", (3, crop, crop))
    if found[0][0] == PIXELS:
        data = (PIXELS, "tensor(uint8)", (crop, crop, 3))
    expected = [data, ("embedding", "tensor(float)", (card.dim,))]
    fits = len(found) == len(expected) and all(_fits(one, two) for one, two in zip(found, expected, strict=True))
    if not fits:
        raise RunError(
            f"{model}: inputs and outputs are {', '.join(_describe(one) for one in found)}; the card says "
            f"{', '.join(_describe((name, kind, ('N', *shape))) for name, kind, shape in expected)}. "
            "Export the model again."
        )


def _signature(value: Any) -> tuple[str, str, tuple[int | str | None, ...]]:
    return value.name, value.type, tuple(value.shape)


def _fits(found: tuple[str, str, tuple[Any, ...]], expected: tuple[str, str, tuple[int, ...]]) -> bool:
    """Same name and type, any batch size, and every size that the file fixes is the card's."""
    (name, kind, shape), (wanted_name, wanted_kind, wanted) = found, expected
    if (name, kind, len(shape)) != (wanted_name, wanted_kind, 1 + len(wanted)):
        return False
    return not isinstance(shape[0], int) and all(
        size == one for size, one in zip(shape[1:], wanted, strict=True) if isinstance(size, int)
    )


def _describe(signature: tuple[str, str, tuple[Any, ...]]) -> str:
    name, kind, shape = signature
    return f"{name!r} {kind} {' x '.join(str(size or '?') for size in shape)}"


def _first_line(error: Exception) -> str:
    """Its message without onnxruntime's ``[ONNXRuntimeError] : 7 : INVALID_PROTOBUF :`` and without a stack."""
    line = str(error).split("\n", 1)[0]
    return line.rsplit(" : ", 1)[-1][:200] if line.startswith("[ONNXRuntimeError]") else line[:200]
