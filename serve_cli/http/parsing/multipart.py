"""Forms: bodies of several parts (RFC 7578, RFC 2046), read with python-multipart."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from serve_cli.http.errors import RequestError
from serve_cli.http.parsing.media_types import parse_media_type

if TYPE_CHECKING:
    from serve_cli.http.parsing.media_types import MediaType

BOUNDARY = re.compile(r"[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]", re.ASCII)  # RFC 2046, 5.1.1
DISPOSITION = b"content-disposition"
MAX_HEADER_BYTES = 8 << 10  # all headers of a part

logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns about every damaged form


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
        413 for more than ``max_parts``. 400 if the form is damaged.
    """
    boundary = content_type.parameters.get("boundary", "")
    if not BOUNDARY.fullmatch(boundary):
        raise RequestError(400, f"the form's boundary is {boundary!r:.100}; expected 1 to 70 characters of RFC 2046.")
    form = _Form(body, max_parts)
    try:
        form.read(boundary)
    except FormParserError as error:
        raise RequestError(400, f"the form is malformed ({error!s:.200}).") from None
    if not form.complete:
        raise RequestError(400, "the form is cut off: its closing boundary is missing.")
    return form.parts


class _Form:
    """Collects the parts of a form from the parser's calls. A header's name and value may come in pieces."""

    def __init__(self, body: bytes, max_parts: int) -> None:
        self._body, self._max_parts = body, max_parts
        self.parts: list[Part] = []
        self.complete = False

    def read(self, boundary: str) -> None:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_to_name,
                "on_header_value": self._add_to_value,
                "on_header_end": self._end_header,
                "on_part_data": self._add_content,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )
        parser.write(self._body)
        parser.finalize()

    def _begin_part(self) -> None:
        if len(self.parts) == self._max_parts:
            raise RequestError(413, f"the form has too many parts; expected at most {self._max_parts:,}.")
        self._name, self._value, self._disposition = b"", b"", ""
        self._header_bytes = 0
        self._content: list[bytes] = []

    def _add_to_name(self, data: bytes, start: int, end: int) -> None:
        self._name += self._counted(data[start:end])

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += self._counted(data[start:end])

    def _counted(self, piece: bytes) -> bytes:
        self._header_bytes += len(piece)
        if self._header_bytes > MAX_HEADER_BYTES:
            raise RequestError(
                400, f"part {len(self.parts)} of the form has more than {MAX_HEADER_BYTES:,} bytes of headers."
            )
        return piece

    def _end_header(self) -> None:
        if self._name.strip().lower() == DISPOSITION:
            self._disposition = self._value.strip().decode("utf-8", "replace")
        self._name = self._value = b""

    def _add_content(self, data: bytes, start: int, end: int) -> None:
        self._content.append(data[start:end])

    def _end_part(self) -> None:
        disposition = parse_media_type(self._disposition)
        name = disposition.parameters.get("name")
        if disposition.name != "form-data" or name is None:
            raise RequestError(
                400,
                f"part {len(self.parts)} of the form has no name; expected the header Content-Disposition: form-data; "
                "name=...",
            )
        is_file = not disposition.parameters.keys().isdisjoint(("filename", "filename*"))
        self.parts.append(Part(name, is_file, b"".join(self._content)))

    def _end(self) -> None:
        self.complete = True
