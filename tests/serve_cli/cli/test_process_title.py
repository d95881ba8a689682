"""What other users see of a command that was given a password."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="arguments are hidden on Linux only")

SHOW = """
import sys
from pathlib import Path
from serve_cli.cli.process_title import hide_argument
hide_argument(sys.argv[2].partition("://")[2])
hide_argument("")
hide_argument("not there")
print(Path("/proc/self/cmdline").read_bytes().split(b"\\0")[-4:-1])
"""


def test_an_argument_is_hidden():
    words = ["--to", "postgresql://me:s3crét@host/db", "--x"]
    run = subprocess.run([sys.executable, "-c", SHOW, *words], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str([b"--to", b"postgresql://" + b"*" * len("me:s3crét@host/db".encode()), b"--x"])


def test_a_name_with_blanks_and_parentheses(tmp_path):
    python = tmp_path / "a ) b"
    python.symlink_to(sys.executable)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [python, "-c", SHOW, "", "x://s3cret", ""]
    run = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert "s3cret" not in run.stdout
    assert "b'x://******'" in run.stdout
