"""Forms: bodies of several parts (RFC 7578, RFC 2046).

The body is in memory already, and bounded, so it is split at its boundary: no state, and no work that grows faster
than its size.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serve_cli.http.errors import RequestError
from serve_cli.http.parsing.media_types import parse_media_type

if TYPE_CHECKING:
    from serve_cli.http.parsing.media_types import MediaType

BOUNDARY = re.compile(r"[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]", re.ASCII)  # RFC 2046, 5.1.1
MAX_HEADER_BYTES = 8 << 10  # all headers of a part
BLANK_LINE, NEWLINE = b"\r\n\r\n", b"\r\n"


@dataclass(frozen=True)
class Part:
    """A part of a form.

    Parameters
    ----------
    name : str
        Name of its field.
    is_file : bool
        Whether it has a file name.
    content : bytes
        Its body.
    """

    name: str
    is_file: bool
    content: bytes


def parse_multipart(body: bytes, content_type: MediaType, max_parts: int) -> list[Part]:
    """Split a form into its parts, in order.

    Raises
    ------
    RequestError
        413 for more than ``max_parts``; 400 if the form is damaged.
    """
    boundary = content_type.parameters.get("boundary", "")
    if not BOUNDARY.fullmatch(boundary):
        raise RequestError(400, f"the form's boundary is {boundary!r:.100}; expected 1 to 70 characters of RFC 2046.")
    delimiter = b"\r\n--" + boundary.encode()
    body = NEWLINE + body  # so that the first delimiter is like the others
    count = body.count(delimiter) - 1  # the last one closes the form
    if count > max_parts:
        raise RequestError(413, f"the form has {count:,} parts; expected at most {max_parts:,}.")
    _, *pieces = body.split(delimiter)
    if not pieces or not pieces[-1].startswith(b"--"):
        raise RequestError(400, "the form is cut off: its closing boundary is missing.")
    return [_part(piece, number) for number, piece in enumerate(pieces[:-1])]


def _part(piece: bytes, number: int) -> Part:
    """Parse what follows a delimiter: white space, the end of its line, headers, an empty line, the content."""
    padding, line, rest = piece.partition(NEWLINE)
    if not line or padding.strip(b" \t"):
        raise RequestError(400, f"part {number} of the form does not begin on a line of its own.")
    if rest.startswith(NEWLINE):  # no headers
        rest = NEWLINE + rest
    end = rest.find(BLANK_LINE, 0, MAX_HEADER_BYTES)
    if end < 0:
        raise RequestError(
            400, f"part {number} of the form has no end of its headers within {MAX_HEADER_BYTES:,} bytes."
        )
    disposition = parse_media_type(_header(rest[:end], b"content-disposition"))
    name = disposition.parameters.get("name")
    if disposition.name != "form-data" or name is None:
        raise RequestError(400, f"part {number} of the form has no Content-Disposition: form-data with a name.")
    is_file = not disposition.parameters.keys().isdisjoint(("filename", "filename*"))
    return Part(name, is_file, rest[end + len(BLANK_LINE) :])


def _header(headers: bytes, name: bytes) -> str:
    for line in headers.split(NEWLINE):
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip().decode("utf-8", "replace")
    return ""
