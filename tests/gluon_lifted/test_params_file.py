import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_lifted.errors import DataError
from gluon_lifted.params_file import parse_params
from tests.examples import examples

ARRAYS = {"arg:w": np.arange(6, dtype="f4").reshape(2, 3), "aux:mean": np.array([1.5, -2.0])}
V2 = 0xF993FAC9
FLAGS = {"f4": 0, "f8": 1, "f2": 2, "i8": 6}


def array_of(array, magic=V2):
    legacy = magic != V2
    head = struct.pack("<I", array.ndim) if legacy else struct.pack("<Iii", magic, 0, array.ndim)
    head += struct.pack(f"<{array.ndim}{'I' if legacy else 'q'}", *array.shape)
    return head + struct.pack("<iii", 1, 0, FLAGS[array.dtype.str[1:]]) + array.tobytes()


def file_of(arrays, magic=V2):
    names = [struct.pack("<Q", len(name)) + name.encode() for name in arrays]
    blobs = [array_of(array, magic) for array in arrays.values()]
    return struct.pack("<QQ", 0x112, 0) + b"".join(
        struct.pack("<Q", len(items)) + b"".join(items) for items in (blobs, names)
    )


@pytest.mark.parametrize("magic", [V2, 0])
def test_arrays_come_back_exactly(magic):
    actual = parse_params(memoryview(file_of(ARRAYS, magic)), "x")
    assert list(actual) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert actual[name].dtype == array.dtype
        np.testing.assert_array_equal(actual[name], array)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "uint8"])
def test_what_mxnet_writes_is_read(tmp_path, dtype):
    mx = pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    mx.nd.save(str(tmp_path / "x.params"), {"features.0.weight": mx.nd.array(array, dtype=dtype)})
    actual = parse_params(memoryview((tmp_path / "x.params").read_bytes()), "x")
    assert list(actual) == ["features.0.weight"]
    assert actual["features.0.weight"].dtype == dtype
    np.testing.assert_array_equal(actual["features.0.weight"], array)


def patched(offset, layout, value):
    content = bytearray(file_of({"w": np.ones((2, 3), "f4")}))
    struct.pack_into(layout, content, offset, value)
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (patched(0, "<Q", 0x111), "begins with 0x111, not 0x112"),
        (patched(16, "<Q", 2**61), "2,305,843,009,213,693,952 arrays do not fit"),
        (patched(28, "<i", 1), "array 0 has is sparse .storage type 1"),
        (patched(32, "<i", 33), "array 0 has 33 axes"),
        (patched(32, "<i", -1), "array 0 is empty"),
        (patched(36, "<q", 2**40), "array 0 needs 13,194,139,533,312 bytes"),
        (patched(36, "<q", -2), r"array 0 has the shape \(-2, 3\)"),
        (patched(60, "<i", 9), "array 0 has type flag 9"),
        (patched(96, "<Q", 2**40), "name 0 has 1,099,511,627,776 bytes"),
        (patched(104, "<B", 0xFF), "name 0 is not UTF-8"),
        (file_of({"w": np.ones(2)}) + b"\0", "1 bytes follow"),
        (file_of(ARRAYS)[:-1], "needs"),
        (b"\x12\x01", "the header needs 16 bytes and 2 are left"),
    ],
)
def test_damaged_file_is_refused_by_name(content, message):
    with pytest.raises(DataError, match=f"^x\\.params: .*{message}"):
        parse_params(memoryview(content), "x.params")


@examples(300, derandomize=True)
@given(position=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), end=st.floats(0, 1))
def test_no_damage_gives_another_error(position, value, end):
    content = bytearray(file_of(ARRAYS))
    content[int(position * len(content))] = value
    for damaged in (content, content[: int(end * len(content))]):
        with contextlib.suppress(DataError):
            parse_params(memoryview(damaged), "x")
