"""Parts that all HTML pages share: templates, styles, and the policy that keeps anything else from running."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import MissingPackageError
from gluon_lifted.extras import install_command

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGE = "serve_cli.report"
BASE_STYLE = "base.css"  # what all pages share


def template_text(name: str, package: str = PACKAGE) -> str:
    """Read a file of a package's templates, such as its style."""
    return resources.files(package).joinpath("templates", name).read_text(encoding="utf-8")


def content_security_policy(css: str, *scripts: str, images: str = "data:", more: Sequence[str] = ()) -> str:
    """Return the policy of a page: its own style and scripts, identified by their hash, and pictures.

    Parameters
    ----------
    css : str
        Content of the page's only style.
    *scripts : str
        Contents of its scripts.
    images : str
        Where pictures may come from. Default: embedded ones only.
    more : sequence of str
        Further directives.
    """
    hashes = [_hash(script) for script in scripts]
    directives = (
        "default-src 'none'",
        f"img-src {images}",
        f"style-src {_hash(css)}",
        *((f"script-src {' '.join(hashes)}",) if hashes else ()),
        *more,
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(directives)


def _hash(text: str) -> str:
    """Return the source expression of an inline block for a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def require_jinja() -> Any:
    """Import Jinja2. Raise `MissingPackageError` if it is not installed."""
    try:
        import jinja2
    except ModuleNotFoundError as error:
        if error.name != "jinja2":
            raise
        raise MissingPackageError(
            f"Jinja2 is not installed; a report needs it: `{install_command('report')}`."
        ) from None
    return jinja2


def page_environment(package: str = PACKAGE) -> Any:
    """Return Jinja2's environment for the templates of a package, which may include those of reports."""
    jinja2 = require_jinja()
    packages = dict.fromkeys((package, PACKAGE))
    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name) for name in packages]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["tail"] = path_tail
    return environment


def path_tail(name: str, length: int = 32) -> str:
    """Shorten a path to its end, the most informative part: as many of its last parts as fit."""
    if len(name) <= length:
        return name
    start = name.find("/", -length)
    return "…" + name[start if start >= 0 else -length :]
