"""How a model is run: what is refused, and how the threads are shared out."""

from __future__ import annotations

from typing import Any, cast

import pytest

from gluon_lifted.errors import ConfigError
from gluon_lifted.hardware.cpus import usable_cpus
from serve_cli.model.model_options import ModelOptions


def test_options_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="device 'tpu' is unknown; use cpu, openvino, gpu, tensorrt"):
        ModelOptions(device=cast("Any", "tpu"))
    with pytest.raises(ConfigError, match="the number of threads is 0"):
        ModelOptions(threads=0)


def test_sessions_share_the_threads() -> None:
    assert ModelOptions().num_threads == ModelOptions().session_threads == usable_cpus()
    assert ModelOptions(threads=7, sessions=2).session_threads == 3
