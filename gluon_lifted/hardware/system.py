"""System libraries that training needs, and the command that installs missing ones.

The Makefile runs this file with the system's ``python3`` before anything is installed, so it uses only the standard
library and the syntax of Python 3.8.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys

OLDEST_PYTHON, FIRST_UNSUPPORTED_PYTHON = (3, 10), (3, 13)  # for MXNet; serving also runs on 3.13

# Library file -> Debian and Ubuntu package that contains it
PACKAGE_OF_LIBRARY = {
    "libquadmath.so.0": "libquadmath0",  # MXNet
    "libgomp.so.1": "libgomp1",  # MXNet
    "libGL.so.1": "libgl1",  # OpenCV, which GluonCV imports
    "libglib-2.0.so.0": "libglib2.0-0",  # OpenCV
    "libgthread-2.0.so.0": "libglib2.0-0",  # OpenCV
}


def missing_libraries() -> list[str]:
    """List the library files that cannot be loaded. Only the Linux wheels need them."""
    if not sys.platform.startswith("linux"):
        return []
    return [library for library in PACKAGE_OF_LIBRARY if not _loads(library)]


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def missing_packages() -> list[str]:
    """List the Debian packages to install, without duplicates. Without ensurepip, python3-venv is one of them."""
    packages = [PACKAGE_OF_LIBRARY[library] for library in missing_libraries()]
    if importlib.util.find_spec("ensurepip") is None:
        packages.append("python3-venv")
    return sorted(set(packages))


def apt_line(packages: list[str]) -> str:
    """Build the command that installs ``packages`` as root."""
    return "apt-get install -y " + " ".join(packages)


def python_problem(version: tuple[int, int]) -> str:
    """Explain why a ``(major, minor)`` of Python cannot train, in one sentence; an empty string if it can."""
    if OLDEST_PYTHON <= version < FIRST_UNSUPPORTED_PYTHON:
        return ""
    return (
        "Python {}.{} cannot run MXNet: training needs Python 3.10, 3.11 or 3.12 "
        "(serving needs no MXNet and runs on 3.10 to 3.13).".format(*version)
    )


def main() -> int:
    """Print what to install, if anything, and return the exit status: 0 if nothing is missing."""
    problem, packages = python_problem(sys.version_info[:2]), missing_packages()
    if problem:
        sys.stdout.write(problem + "\n")
    if packages:
        sys.stdout.write("System libraries are missing. Install them as root:\n  " + apt_line(packages) + "\n")
    return 1 if problem or packages else 0


if __name__ == "__main__":
    sys.exit(main())
