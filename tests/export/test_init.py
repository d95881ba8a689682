from __future__ import annotations

import subprocess
import sys

import export


def test_exporting_needs_no_mxnet() -> None:
    code = "import sys; from export import export_run; print(*(name.partition('.')[0] for name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "onnx" in loaded
    assert not loaded & {"mxnet", "gluoncv", "serve_cli"}


def test_every_public_name_exists() -> None:
    assert "export_run" in dir(export)
    for name in dir(export):
        exported = getattr(export, name)
        assert getattr(exported, "__name__", repr(exported)) == name
