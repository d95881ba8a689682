"""Open onnxruntime sessions on the requested device, and on no other unless that is allowed."""

from __future__ import annotations

import io
import json
import logging
import os
from contextlib import redirect_stdout
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import DeviceError, RunError
from gluon_lifted.extras import install_command
from serve_cli.model.cache import cache_folder, evict, mark_used
from serve_cli.model.interface import read_card
from serve_cli.model.optimized_graph import open_optimized
from serve_cli.path_kinds import may_be_model, wrong_kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from serve_cli.choices import Device
    from serve_cli.model.model_options import ModelOptions

CPU, OPENVINO = "CPUExecutionProvider", "OpenVINOExecutionProvider"
CUDA, TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"
log = logging.getLogger(__name__)
PROVIDERS: dict[Device, tuple[str, ...]] = {  # best first
    "cpu": (CPU,),
    "openvino": (OPENVINO,),
    "gpu": (CUDA,),
    "tensorrt": (TENSORRT, CUDA),
}
EXTRAS: dict[Device, str] = {  # of gluon-lifted, to install
    "cpu": "serve",
    "openvino": "serve-openvino",
    "gpu": "serve-gpu",
    "tensorrt": "serve-gpu",
}
ERRORS_ONLY, FATAL_ONLY = 3, 4  # onnxruntime's log severities
ENGINES = "tensorrt"  # kind of cache entry
CPU_WAS_NEEDED = "fallback to CPU EP has been explicitly disabled"  # quoted from onnxruntime


def import_onnxruntime() -> Any:
    """Import onnxruntime with its telemetry off. Raises `DeviceError` if it is not installed."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime 1.31 reports its use to Microsoft by default
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise
        raise DeviceError(
            f"onnxruntime is not installed; models need it: `{install_command('serve')}` (for NVIDIA GPUs, the extra "
            "serve-gpu)."
        ) from None
    return onnxruntime


def open_session(model: Path, options: ModelOptions, model_hash: str | None = None) -> Any:
    """Start an onnxruntime session.

    Parameters
    ----------
    model : Path
        An ONNX file.
    options : ModelOptions
        Without ``sessions``, one session gets all threads.
    model_hash : str, optional
        `model_sha256` of the model. If given, optimized graphs and engines are kept in the user's cache folder.

    Raises
    ------
    RunError
        If the file is missing, or onnxruntime cannot load it.
    DeviceError
        If onnxruntime is not installed, or the device cannot be used and falling back to the CPU is not allowed.
    """
    onnxruntime = import_onnxruntime()
    if not may_be_model(model):
        raise RunError(wrong_kind(model, "model"))
    try:
        return _open(model, options, onnxruntime, model_hash)
    except DeviceError as error:
        if not options.allow_fallback:
            raise
        log.warning("lifted: falling back to the CPU: %s", error)
        return _open(model, replace(options, device="cpu"), onnxruntime, model_hash)


def _open(model: Path, options: ModelOptions, onnxruntime: Any, model_hash: str | None) -> Any:
    wanted = PROVIDERS[options.device][0]
    if wanted not in onnxruntime.get_available_providers():
        raise DeviceError(
            f"this onnxruntime {onnxruntime.__version__} has no {wanted}. Use --device cpu, or run in a fresh "
            f"environment: `{install_command(EXTRAS[options.device])}`."
        )
    try:
        start = _open_on_cpu if wanted == CPU else _open_elsewhere
        session = start(model, options, onnxruntime, model_hash)
    except Exception as error:  # onnxruntime's errors have no base class of their own
        if CPU_WAS_NEEDED in str(error):
            raise DeviceError(
                f"{model}: {wanted} cannot run the whole model: an operator has no kernel there, or a library is "
                "missing (see `lifted doctor`). Use --allow-fallback to run the rest on the CPU."
            ) from error
        raise RunError(
            f"{model}: is not an ONNX model, or is damaged: onnxruntime cannot load it ({first_line(error)}). Give "
            "a file of `lifted export`."
        ) from error
    if session.get_providers()[0] != wanted:
        raise DeviceError(
            f"onnxruntime started {session.get_providers()[0]} instead of {wanted}; "
            "run `lifted doctor` to see what is missing, or use --device cpu."
        )
    session.disable_fallback()
    return session


def _open_on_cpu(model: Path, options: ModelOptions, onnxruntime: Any, model_hash: str | None) -> Any:
    def start(path: Path, change: Callable[[Any], None]) -> Any:
        session_options = onnxruntime.SessionOptions()
        session_options.intra_op_num_threads = options.session_threads
        session_options.log_severity_level = ERRORS_ONLY
        change(session_options)
        return _starter(onnxruntime, [CPU])(path, session_options)

    if model_hash is None:
        return start(model, lambda _: None)
    return open_optimized(model, model_hash, onnxruntime, start)


def _open_elsewhere(model: Path, options: ModelOptions, onnxruntime: Any, model_hash: str | None) -> Any:
    if CUDA in PROVIDERS[options.device]:
        _load_cuda(onnxruntime)
    session_options = onnxruntime.SessionOptions()
    session_options.log_severity_level = ERRORS_ONLY
    if not options.allow_fallback:
        session_options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    on_tensorrt = options.device == "tensorrt"
    half = on_tensorrt and _in_half(model, onnxruntime)
    engines = _engine_folder(model_hash) if on_tensorrt and model_hash is not None else None
    return _starter(onnxruntime, provider_settings(options, half=half, engines=engines))(model, session_options)


def _engine_folder(model_hash: str) -> Path | None:
    """Create the folder for a model's TensorRT engines, which take minutes to build; None if nothing can be cached.

    onnxruntime names engines by the graph's structure, not by its weights, so each model needs its own folder.
    """
    folder = cache_folder(ENGINES)
    if folder is None:
        return None
    evict(folder)
    engines = folder / model_hash[:32]
    engines.mkdir(exist_ok=True)
    mark_used(engines)
    return engines


def provider_settings(
    options: ModelOptions, *, half: bool, engines: Path | None = None
) -> list[tuple[str, dict[str, str]]]:
    """Return the providers of a device other than the CPU with their settings, in onnxruntime's format.

    Parameters
    ----------
    options : ModelOptions
        Its device is not ``"cpu"``.
    half : bool
        Let TensorRT compute in float16, for models that are stored in float16.
    engines : Path, optional
        Folder for TensorRT's engines. Without it they are built for each session.
    """
    kept = (
        {}
        if engines is None
        else {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(engines),
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(engines),
        }
    )
    sessions = options.sessions or 1
    settings = {
        OPENVINO: {
            "device_type": "CPU",
            "num_of_threads": str(options.session_threads * sessions),
            "num_streams": str(sessions),
            "load_config": json.dumps({"CPU": {"INFERENCE_PRECISION_HINT": "bf16" if options.relaxed else "f32"}}),
        },
        CUDA: {"use_tf32": str(int(options.relaxed)), "arena_extend_strategy": "kSameAsRequested"},
        TENSORRT: {"trt_fp16_enable": str(int(half)), **kept},
    }
    return [(name, settings[name]) for name in PROVIDERS[options.device]]


def _in_half(model: Path, onnxruntime: Any) -> bool:
    session_options = onnxruntime.SessionOptions()
    session_options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    card = read_card(_starter(onnxruntime, [CPU])(model, session_options), model)
    return card.provenance.get("precision") == "fp16"


def _starter(onnxruntime: Any, providers: list[Any]) -> Callable[[Path, Any], Any]:
    return lambda path, options: onnxruntime.InferenceSession(str(path), options, providers=providers)


def _load_cuda(onnxruntime: Any) -> None:
    """Load the CUDA libraries of the nvidia-* wheels. A missing one is reported when the session starts."""
    onnxruntime.set_default_logger_severity(FATAL_ONLY)  # it logs five lines per missing library
    if hasattr(onnxruntime, "preload_dlls"):  # since onnxruntime 1.21
        with redirect_stdout(io.StringIO()):  # it prints to stdout
            onnxruntime.preload_dlls()


def first_line(error: Exception) -> str:
    """Return an error's message without ``[ONNXRuntimeError] : 7 : INVALID_PROTOBUF :`` and without the stack."""
    line = str(error).split("\n", 1)[0]
    return line.rsplit(" : ", 1)[-1][:200] if line.startswith("[ONNXRuntimeError]") else line[:200]
