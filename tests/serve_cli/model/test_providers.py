"""Which device a session is on. There is no GPU in these tests: onnxruntime is made to behave as if there were."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gluon_lifted.errors import DeviceError
from serve_cli.model.model_options import ModelOptions
from serve_cli.model.providers import (
    CPU,
    CUDA,
    OPENVINO,
    TENSORRT,
    open_session,
    provider_settings,
)
from tests.serve_cli.tiny_model import CARD, write_model

if TYPE_CHECKING:
    from pathlib import Path

    from serve_cli.choices import Device

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[Any], Any]]:
    """What sessions are started with, on an onnxruntime that is built for GPUs; a session is on the CPU all the same,
    as where the libraries of CUDA are missing."""
    calls: list[tuple[list[Any], Any]] = []
    real = onnxruntime.InferenceSession

    def start(path: str, options: Any, providers: list[Any]) -> Any:
        calls.append((providers, options))
        return real(path, onnxruntime.SessionOptions(), providers=[CPU])

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "InferenceSession", start)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("Failed to load"), raising=False)
    monkeypatch.setattr(onnxruntime, "set_default_logger_severity", lambda level: None)
    return calls


@pytest.mark.parametrize(
    ("device", "provider", "extra"),
    [("gpu", CUDA, "serve-gpu"), ("tensorrt", TENSORRT, "serve-gpu"), ("openvino", OPENVINO, "serve-openvino")],
)
def test_no_fall_back_to_the_cpu(
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: Device,
    provider: str,
    extra: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    with pytest.raises(DeviceError, match=rf"has no {provider}.*\[{extra}\]"):
        open_session(model, ModelOptions(device=device))
    session = open_session(model, ModelOptions(device=device, allow_fallback=True))
    assert session.get_providers() == [CPU]
    assert f"falling back to the CPU: this onnxruntime {onnxruntime.__version__} has no {provider}" in caplog.text


def test_provider_that_does_not_start_is_refused(
    model: Path, started: list[tuple[list[Any], Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DeviceError, match="onnxruntime started CPUExecutionProvider instead of CUDA"):
        open_session(model, ModelOptions(device="gpu"))
    assert capsys.readouterr().out == ""
    assert open_session(model, ModelOptions(device="gpu", allow_fallback=True)).get_providers() == [CPU]


def test_operators_go_to_the_cpu_only_if_that_is_allowed(model: Path, started: list[tuple[list[Any], Any]]) -> None:
    for allowed in (False, True):
        with pytest.raises(DeviceError) if not allowed else _nothing():
            open_session(model, ModelOptions(device="gpu", allow_fallback=allowed))
    strict, relaxed = started[0][1], started[1][1]
    assert strict.get_session_config_entry("session.disable_cpu_ep_fallback") == "1"
    with pytest.raises(RuntimeError):
        relaxed.get_session_config_entry("session.disable_cpu_ep_fallback")


def test_operators_that_the_gpu_lacks_are_told(model: Path, monkeypatch: pytest.MonkeyPatch, started: Any) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError(
            "This session contains graph nodes that are assigned to the default CPU EP, but fallback to CPU EP has "
            "been explicitly disabled by the user."
        )

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    with pytest.raises(DeviceError, match=r"cannot run the whole model.*--allow-fallback"):
        open_session(model, ModelOptions(device="gpu"))


def test_settings_of_the_gpu(tmp_path: Path) -> None:
    ((name, cuda),) = provider_settings(ModelOptions(device="gpu"), half=False)
    assert (name, cuda["use_tf32"]) == (CUDA, "0")
    assert provider_settings(ModelOptions(device="gpu", relaxed=True), half=False)[0][1]["use_tf32"] == "1"
    (first, tensorrt), (second, _) = provider_settings(ModelOptions(device="tensorrt"), half=False, engines=tmp_path)
    assert (first, second) == (TENSORRT, CUDA)
    assert tensorrt["trt_fp16_enable"] == "0"
    assert tensorrt["trt_engine_cache_path"] == tensorrt["trt_timing_cache_path"] == str(tmp_path)
    assert "trt_engine_cache_path" not in provider_settings(ModelOptions(device="tensorrt"), half=False)[0][1]
    assert provider_settings(ModelOptions(device="tensorrt"), half=True)[0][1]["trt_fp16_enable"] == "1"


@pytest.mark.parametrize(("precision", "half"), [("fp16", "1"), ("int8", "0")])
def test_tensorrt_computes_in_half_what_is_stored_so(
    tmp_path: Path, started: list[tuple[list[Any], Any]], precision: str, half: str
) -> None:
    model = write_model(tmp_path / "m.onnx", replace(CARD, provenance={"precision": precision}))
    with pytest.raises(DeviceError):
        open_session(model, ModelOptions(device="tensorrt"))
    (_, settings), _ = started[-1][0]
    assert settings["trt_fp16_enable"] == half


def test_settings_of_openvino(tmp_path: Path) -> None:
    ((name, settings),) = provider_settings(ModelOptions(device="openvino", threads=7, sessions=2), half=False)
    assert name == OPENVINO
    assert (settings["num_of_threads"], settings["num_streams"]) == ("6", "2")
    assert json.loads(settings["load_config"])["CPU"] == {"INFERENCE_PRECISION_HINT": "f32"}
    ((_, settings),) = provider_settings(ModelOptions(device="openvino", relaxed=True), half=False)
    assert json.loads(settings["load_config"])["CPU"] == {"INFERENCE_PRECISION_HINT": "bf16"}


def _nothing() -> Any:
    from contextlib import nullcontext

    return nullcontext()
