from __future__ import annotations

import contextlib
import io
import struct
import zipfile

import numpy as np
import pytest

from export.errors import MalformedModelError
from export.reader import reference as reference_module
from export.reader.reference import parse_reference
from tests.export.mxnet_files import npz_bytes

DATA = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
EMBEDDING = np.ones((2, 5), np.float32)
HEADER = b"{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }"
GOOD = {"data": DATA, "embedding": EMBEDDING, "node/conv1": DATA[:1], "node/a/b": DATA[:1, 0]}


def npy_bytes(header: bytes, body: bytes = b"") -> bytes:
    header = header.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


def archive(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def test_reads_what_numpy_wrote() -> None:
    reference = parse_reference(npz_bytes(GOOD | {"other": DATA}), "reference.npz")
    np.testing.assert_array_equal(reference.data, DATA)
    np.testing.assert_array_equal(reference.outputs["embedding"], EMBEDDING)
    assert set(reference.nodes) == {"conv1", "a/b"}
    np.testing.assert_array_equal(reference.nodes["a/b"], DATA[:1, 0])


def test_reads_fortran_order_and_compressed_files() -> None:
    file = io.BytesIO()
    np.savez_compressed(file, **(GOOD | {"data": np.asfortranarray(DATA)}))
    np.testing.assert_array_equal(parse_reference(file.getvalue(), "r").data, DATA)


def test_truncated_file_is_refused() -> None:
    content = npz_bytes(GOOD)
    for size in range(len(content)):
        with pytest.raises(MalformedModelError, match=r"^reference\.npz"):
            parse_reference(content[:size], "reference.npz")


def test_any_changed_byte_gives_a_reference_or_the_one_error() -> None:
    content = archive({"data.npy": npy_bytes(HEADER % b"2, 3, 2, 2", DATA.tobytes())})
    for position in range(len(content)):
        for value in (0, 1, 0x7F, 0xFF):
            with contextlib.suppress(MalformedModelError):
                parse_reference(content[:position] + bytes([value]) + content[position + 1 :], "r")


@pytest.mark.parametrize("missing", ["data", "embedding"])
def test_missing_array_is_named(missing: str) -> None:
    with pytest.raises(MalformedModelError, match="expected data and at least one output"):
        parse_reference(npz_bytes({name: array for name, array in GOOD.items() if name != missing}), "r")


@pytest.mark.parametrize(
    "wrong",
    [
        {"data": DATA.astype(np.float64)},
        {"data": DATA[:0], "embedding": EMBEDDING[:0]},
        {"data": DATA * np.float32(np.nan)},
        {"embedding": EMBEDDING[:, :0]},
        {"embedding": EMBEDDING * np.float32(np.inf)},
        {"embedding": np.array([[None] * 5] * 2)},
    ],
)
def test_wrong_array_is_refused(wrong: dict[str, np.ndarray]) -> None:
    with pytest.raises(MalformedModelError, match=r"^r: "):
        parse_reference(npz_bytes(GOOD | wrong), "r")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (HEADER % b"1000000000000, 3", r"declares the shape \(1000000000000, 3\) but has 4 bytes"),
        (HEADER % (b"4294967296, " * 2 + b"1"), "declares the shape"),  # 0 modulo 2^64
        (HEADER % (b"1, " * 40 + b"1"), "is not an array in NumPy's format"),
        (HEADER % b"-1, -1", "is not an array in NumPy's format"),
        (HEADER % (b"1" * 5000), "is not an array in NumPy's format"),
        (HEADER.replace(b"<f4", b"|O") % b"1,", r"has the type '\|O'; expected a type of numbers"),
        (HEADER.replace(b"<f4", b">f4") % b"1,", "has the type '>f4'"),
        (b"[" * 100, "is not an array in NumPy's format"),
        (b"__import__('os').abort()", "is not an array in NumPy's format"),
    ],
)
def test_hostile_header_is_refused(header: bytes, message: str) -> None:
    with pytest.raises(MalformedModelError, match=message):
        parse_reference(archive({"data.npy": npy_bytes(header, bytes(4))}), "r")


def test_other_compression_is_refused() -> None:
    with pytest.raises(MalformedModelError, match="its compression is not one that NumPy uses"):
        parse_reference(archive({"data.npy": bytes(100)}, zipfile.ZIP_LZMA), "r")


def test_bomb_is_refused_before_it_unpacks(monkeypatch: pytest.MonkeyPatch) -> None:
    content = archive({"data.npy": bytes(10**6)})
    monkeypatch.setattr(reference_module, "MAX_REFERENCE_BYTES", 10**6 - 1)
    with pytest.raises(MalformedModelError, match="1,000,000 bytes unpacked; the limit is 999,999"):
        parse_reference(content, "r")
