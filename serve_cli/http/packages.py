"""The packages of the extra `http`."""

from __future__ import annotations

from importlib.util import find_spec

from gluon_lifted.errors import MissingPackageError

PACKAGES = ("starlette", "uvicorn", "prometheus_client", "orjson", "httptools", "h11", "python_multipart")


def require_http_packages() -> None:
    """Raise `MissingPackageError` if a package that the service needs is not installed."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingPackageError(
            f"{', '.join(missing)} not installed; the service needs it: pip install 'gluon-lifted[http]'."
        )
