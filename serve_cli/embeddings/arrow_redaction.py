"""Remove the credentials of URLs from the text of Arrow columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from gluon_lifted.redaction import value_without_credentials, without_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = ":/"  # occurs in every URL, even a misspelled one


def column_without_credentials(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Remove credentials from all text of a column, including text in lists, structs, maps and dictionaries.

    Chunks without credentials are not converted, because Python has no objects for some of Arrow's values.
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
    """Iterate over text that may be invalid UTF-8."""
    for value in array.view(_binary(array.type)).to_pylist():
        yield None if value is None else value.decode(errors="surrogateescape")


def _binary(kind: pa.DataType) -> pa.DataType:
    return pa.large_binary() if pa.types.is_large_string(kind) else pa.binary()


def _texts(array: pa.Array) -> Iterator[pa.Array]:
    """Iterate over all text arrays inside an array."""
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
