"""Arrow columns without the credentials of URLs in their text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from gluon_lifted.redaction import value_without_credentials, without_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = ":/"  # what a URL has, misspelled ones too


def column_without_credentials(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cut credentials out of all text of a column, inside lists, structs, maps and dictionaries too.

    A column without them comes back as it is: values that Python has no objects for stay in Arrow.
    """
    chunks = [_cleaned(chunk) if any(map(_has_credentials, _texts(chunk))) else chunk for chunk in column.chunks]
    return pa.chunked_array(chunks, column.type)


def _cleaned(array: pa.Array) -> pa.Array:
    if not _is_text(array.type):
        return pa.array([value_without_credentials(value) for value in array.to_pylist()], array.type)
    texts = (None if text is None else without_credentials(text) for text in _text_values(array))
    values = [None if text is None else text.encode(errors="surrogateescape") for text in texts]
    return pa.array(values, _binary(array.type)).view(array.type)


def _text_values(array: pa.Array) -> Iterator[str | None]:
    """Text that a file claims to be UTF-8, and that need not be."""
    for value in array.view(_binary(array.type)).to_pylist():
        yield None if value is None else value.decode(errors="surrogateescape")


def _binary(kind: pa.DataType) -> pa.DataType:
    return pa.large_binary() if pa.types.is_large_string(kind) else pa.binary()


def _texts(array: pa.Array) -> Iterator[pa.Array]:
    """All arrays of text inside an array."""
    kind = array.type
    if _is_text(kind):
        yield array
    elif pa.types.is_dictionary(kind):
        yield from _texts(array.dictionary)
    elif pa.types.is_struct(kind):
        for child in array.flatten():
            yield from _texts(child)
    elif pa.types.is_map(kind):
        yield from _texts(array.keys)
        yield from _texts(array.items)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _texts(array.flatten())


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _has_credentials(texts: pa.Array) -> bool:
    urls = texts.filter(pc.match_substring(texts, URL))
    return any(text is not None and without_credentials(text) != text for text in _text_values(urls))
