"""Write an HTML page without overwriting files of another kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluon_lifted.errors import ConfigError, RunError
from gluon_lifted.files import replaced_file

if TYPE_CHECKING:
    from pathlib import Path

HEAD_BYTES = 1000  # of a file, searched for the generator


def check_page(out: Path, generator: str, kind: str, option: str = "--out", *, overwrite: bool) -> None:
    """Raise `ConfigError` if a page cannot be written, or would replace a file of another generator.

    Parameters
    ----------
    out : Path
        The HTML file.
    generator : str
        What earlier pages of this kind name as their generator.
    kind, option : str
        Name of the kind, and the option that chooses the file, in errors.
    overwrite : bool
        Replace any file.
    """
    if out.is_dir():
        raise ConfigError(f"{out} is a folder; name a file in it, such as {out}/page.html.")
    if not out.parent.is_dir():
        raise ConfigError(f"{out.parent}: no such folder; create it, or choose another {option}.")
    if out.exists() and not overwrite and generator.encode() not in _head(out, option):
        raise ConfigError(
            f"{out}: exists, but is not a {kind}; choose another {option}, or replace it with --overwrite."
        )


def write_page(out: Path, page: bytes, option: str = "--out") -> None:
    """Write a page under a temporary name and rename it. Raises `RunError` if it cannot be written."""
    try:
        with replaced_file(out) as temporary:
            temporary.write_bytes(page)
    except OSError as error:
        raise RunError(f"{out}: cannot be written ({error.strerror}); choose another {option}.") from None


def _head(path: Path, option: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror}); choose another {option}.") from None
