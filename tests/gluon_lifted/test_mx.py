"""What the import of MXNet leaves behind in a fresh Python."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")


@pytest.mark.slow
@pytest.mark.parametrize("before", ["pass", "import sklearn.base, scipy.stats"])
def test_packages_that_mxnet_does_without_can_be_imported_afterwards(before: str) -> None:
    code = (
        f"import sys; {before}; loaded = [name in sys.modules for name in ('sklearn', 'scipy.stats')]\n"
        "from gluon_lifted.mx import mx\n"
        "assert [name in sys.modules for name in ('sklearn', 'scipy.stats')] == loaded\n"
        "import sklearn.base, scipy.stats, scipy.sparse\n"
        "print(mx.nd.sparse.csr_matrix(scipy.sparse.eye(3).tocsr()).asnumpy().trace(), scipy.stats.norm.cdf(0))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "3.0 0.5\n"


@pytest.mark.slow
@pytest.mark.parametrize(("given", "expected"), [({}, "3"), ({"OMP_NUM_THREADS": "7"}, "7")])
def test_the_network_computes_with_all_usable_cores_unless_told_otherwise(given: dict[str, str], expected: str) -> None:
    code = (
        "import gluon_lifted.hardware.cpus as cpus; cpus.usable_cpus = lambda: 3\n"
        "import os, gluon_lifted.mx; print(os.environ['OMP_NUM_THREADS'])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"} | given
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout == f"{expected}\n"
