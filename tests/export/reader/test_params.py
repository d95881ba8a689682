from __future__ import annotations

import contextlib
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.errors import MalformedModelError
from export.reader.params import parse_params
from tests.examples import examples
from tests.export.mxnet_files import MAGICS, TYPE_FLAGS, params_bytes

VERSIONS = ["V1", "V2", "V3", "legacy"]
SMALL = params_bytes({"arg:w": np.arange(6, dtype=np.float32).reshape(2, 3), "aux:v": np.ones(2, np.int64)})
FIRST_ARRAY = 24  # bytes before it: magic, reserved, count


def damaged(offset: int, layout: str, *values: int) -> bytes:
    content = bytearray(SMALL)
    struct.pack_into(layout, content, offset, *values)
    return bytes(content)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("dtype", TYPE_FLAGS)
def test_reads_what_was_written(version: str, dtype: str) -> None:
    array = (np.arange(24).reshape(2, 3, 4) % 2).astype(dtype)
    params = parse_params(params_bytes({"arg:conv_weight": array, "aux:mean": array[0, 0]}, version), "p")
    assert list(params) == ["conv_weight", "mean"]
    assert params["conv_weight"].dtype == array.dtype
    np.testing.assert_array_equal(params["conv_weight"], array)
    np.testing.assert_array_equal(params["mean"], array[0, 0])


def test_reads_a_number_without_axes_of_numpy_arrays() -> None:
    assert parse_params(params_bytes({"arg:x": np.array(2.5, np.float32)}, "V3"), "p")["x"] == 2.5


def test_a_boolean_is_true_for_any_byte_but_0() -> None:
    content = params_bytes({"arg:b": np.array([True, False])}).replace(
        b"\x01\x00" + struct.pack("<Q", 1), b"\x02\x00" + struct.pack("<Q", 1)
    )
    array = parse_params(content, "p")["b"]
    np.testing.assert_array_equal(array.view(np.uint8), [1, 0])


@pytest.mark.parametrize("version", VERSIONS)
def test_file_truncated_anywhere_is_refused(version: str) -> None:
    content = params_bytes({"arg:w": np.ones((2, 3), np.float32), "aux:v": np.ones(2, np.int64)}, version)
    for size in range(len(content)):
        with pytest.raises(MalformedModelError, match=r"^model-0000\.params: "):
            parse_params(content[:size], "model-0000.params")


def test_bytes_after_the_end_are_refused() -> None:
    with pytest.raises(MalformedModelError, match="1 bytes follow the last name"):
        parse_params(SMALL + b"\0", "p")


def test_another_kind_of_file_is_refused() -> None:
    with pytest.raises(MalformedModelError, match=r"begins with 0x.*, not 0x112"):
        parse_params(b"PK\x03\x04" + bytes(100), "p")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (damaged(16, "<Q", 2**62), "arrays do not fit"),
        (damaged(FIRST_ARRAY + 4, "<i", 1), "is sparse .storage type 1"),
        (damaged(FIRST_ARRAY + 8, "<i", -7), "-7 axes"),
        (damaged(FIRST_ARRAY + 8, "<i", 2**30), "1073741824 axes"),
        (damaged(FIRST_ARRAY + 8, "<i", 0), "array 0 is empty"),
        (damaged(FIRST_ARRAY + 8, "<i", -1), "array 0 is empty"),
        (damaged(FIRST_ARRAY, "<I", 0xDEADBEEF), "axes"),
        (damaged(FIRST_ARRAY + 12, "<q", -2), r"has the shape \(-2, 3\)"),
        (damaged(FIRST_ARRAY + 12, "<q", 2**62), "are left"),
        (damaged(FIRST_ARRAY + 12, "<qq", 0, 2**62), r"has the shape \(0, 4611686018427387904\)"),
        (damaged(FIRST_ARRAY + 36, "<i", 12), "type flag 12"),
        (damaged(FIRST_ARRAY + 36, "<i", -1), "type flag -1"),
        (
            params_bytes({"arg:v": np.ones(2, np.float32), "w": np.ones(2, np.float32)}),
            "does not start with 'arg:' or 'aux:'",
        ),
        (params_bytes({"arg:w": np.ones(2, np.float32), "aux:w": np.ones(2, np.float32)}), "two arrays are named"),
        (SMALL.replace(b"arg:w", b"arg:\xff"), "is not UTF-8"),
        (SMALL[: SMALL.index(b"arg:w") - 16] + struct.pack("<Q", 0), "2 arrays but 0 names"),
        (SMALL[: SMALL.index(b"arg:w") - 8] + struct.pack("<Q", 5000) + bytes(5000), "5,000 bytes, more than"),
    ],
)
def test_damage_is_named(content: bytes, message: str) -> None:
    with pytest.raises(MalformedModelError, match=message):
        parse_params(content, "p")


def test_a_declared_size_takes_no_memory() -> None:
    tracemalloc.start()
    for shape in (2**40, 2**62):
        with pytest.raises(MalformedModelError):
            parse_params(damaged(FIRST_ARRAY + 12, "<q", shape), "p")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**6


def test_any_changed_byte_gives_arrays_or_the_one_error() -> None:
    for position in range(len(SMALL)):
        for value in (0, 1, 0x7F, 0x80, 0xFF):
            content = SMALL[:position] + bytes([value]) + SMALL[position + 1 :]
            with contextlib.suppress(MalformedModelError):
                parse_params(content, "p")


PIECES = [struct.pack("<I", magic) for magic in MAGICS.values()] + [
    struct.pack("<i", i) for i in (0, 1, 2, -1, 2**31 - 1)
]
PIECES += [struct.pack("<q", i) for i in (1, 2, 5, 2**62)] + [b"arg:w", b"\xff", bytes(16)]


@given(st.lists(st.sampled_from(PIECES), max_size=40))
@examples(300)
def test_any_pieces_after_the_header_give_arrays_or_the_one_error(pieces: list[bytes]) -> None:
    with contextlib.suppress(MalformedModelError):
        parse_params(struct.pack("<QQQ", 0x112, 0, 1) + b"".join(pieces), "p")
