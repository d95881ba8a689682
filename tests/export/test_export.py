from __future__ import annotations

import subprocess
import sys

import export

HEAVY = {"numpy", "onnx", "onnxruntime", "mxnet", "gluoncv"}


def loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*(name.partition('.')[0] for name in sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_import_loads_nothing_heavy() -> None:
    assert not loaded_after("import export") & HEAVY


def test_exporting_needs_no_mxnet() -> None:
    loaded = loaded_after("from export import export_run")
    assert "onnx" in loaded
    assert not loaded & {"mxnet", "gluoncv", "serve_cli"}


def test_every_public_name_exists() -> None:
    assert "export_run" in dir(export)
    for name in dir(export):
        assert getattr(export, name).__name__ == name
