"""The optional packages of this project: which are missing, and the command that installs them."""

from __future__ import annotations

import json
from importlib import metadata, util
from pathlib import Path

from gluon_lifted.errors import MissingPackageError

DISTRIBUTION = "gluon-lifted"
CHECKOUT = Path(__file__).resolve().parents[1]
MODULES = {  # by extra of pyproject.toml: what its commands import
    "serve": ("onnxruntime",),
    "export": ("onnx", "onnxruntime"),
    "report": ("jinja2", "sklearn"),
    "search": ("faiss", "jinja2"),
    "http": (
        "onnxruntime",
        "starlette",
        "uvicorn",
        "prometheus_client",
        "orjson",
        "httptools",
        "h11",
        "python_multipart",
    ),
    "train": ("mxnet", "gluoncv", "onnx", "onnxruntime", "matplotlib", "jinja2", "sklearn"),
}


def install_command(*extras: str) -> str:
    """Return the command that installs extras of this project from where the project itself came.

    Examples
    --------
    >>> install_command("export").startswith("pip install ")
    True
    """
    names = ",".join(extras)
    if (CHECKOUT / "pyproject.toml").is_file():
        return f"pip install -e '{CHECKOUT}[{names}]'"
    origin = _origin()
    return f"pip install '{DISTRIBUTION}[{names}]{f' @ {origin}' if origin else ''}'"


def require_extra(purpose: str, extra: str) -> None:
    """Raise `MissingPackageError`, which names all packages of an extra that are missing, if there are any.

    Parameters
    ----------
    purpose : str
        What needs the packages, to begin the message with, e.g. ``"lifted demo"``.
    extra : str
        A key of `MODULES`.
    """
    missing = [name for name in MODULES[extra] if util.find_spec(name) is None]
    if missing:
        raise MissingPackageError(
            f"{purpose} needs packages that are not installed: {', '.join(missing)}. Install them: "
            f"{install_command(extra)}"
        )


def _origin() -> str:
    """Return the URL of the wheel, archive or repository that pip installed (PEP 610); empty for a package index."""
    try:
        text = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
        record = json.loads(text) if text else {}
        version_control = record.get("vcs_info")
        url = str(record.get("url", ""))
        return f"{version_control['vcs']}+{url}@{version_control['commit_id']}" if version_control else url
    except (metadata.PackageNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return ""
