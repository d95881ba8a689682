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
    "report": ("jinja2", "sklearn"),
    "http": ("starlette", "uvicorn", "prometheus_client", "orjson", "httptools", "h11", "python_multipart"),
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


def require_extras(purpose: str, *extras: str) -> None:
    """Raise `MissingPackageError`, which names all packages of some extras that are missing, if there are any.

    Parameters
    ----------
    purpose : str
        What needs the packages, to begin the message with, e.g. ``"lifted demo"``.
    *extras : str
        Keys of `MODULES`.
    """
    missing = {extra: [name for name in MODULES[extra] if util.find_spec(name) is None] for extra in extras}
    names = list(dict.fromkeys(name for modules in missing.values() for name in modules))
    if names:
        command = install_command(*(extra for extra, modules in missing.items() if modules))
        raise MissingPackageError(
            f"{purpose} needs packages that are not installed: {', '.join(names)}. Install them: `{command}`"
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
