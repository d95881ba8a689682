import json
import struct

import numpy as np
import pytest

from serve_cli.http.parsing.kserve_tensors import InferRequest, infer_reply, parse_infer
from tests.serve_cli.http.parsing.refusals import refused

CROP = 2
PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
TENSOR = {"name": "images", "datatype": "UINT8", "shape": [2, 2, 2, 3]}
BINARY = {**TENSOR, "parameters": {"binary_data_size": 24}}


def parse(tensor=None, behind=b"", length=None, **fields):
    content = json.dumps({"inputs": [tensor or {**TENSOR, "data": PIXELS.tolist()}], **fields}).encode()
    header = None if length is None else str(len(content) + length)
    return parse_infer(content + behind, header, CROP, 4)


@pytest.mark.parametrize("data", [PIXELS.tolist(), PIXELS.ravel().tolist()])
def test_numbers_are_flat_or_nested(data):
    asked = parse({**TENSOR, "data": data}, id="7")
    np.testing.assert_array_equal(asked.pixels, PIXELS)
    assert asked.pixels.dtype == np.uint8
    assert (asked.id, asked.as_bytes) == ("7", False)


def test_bytes_behind_the_json():
    np.testing.assert_array_equal(parse(BINARY, PIXELS.tobytes(), 0).pixels, PIXELS)


@pytest.mark.parametrize(
    ("fields", "as_bytes"),
    [
        ({}, False),
        ({"parameters": {"binary_data_output": True}}, True),
        ({"outputs": [{"name": "embedding", "parameters": {"binary_data": True}}]}, True),
        ({"outputs": [{"name": "embedding"}], "parameters": {"binary_data_output": True}}, True),
        (
            {
                "outputs": [{"name": "embedding", "parameters": {"binary_data": False}}],
                "parameters": {"binary_data_output": True},
            },
            False,
        ),
    ],
)
def test_how_the_output_is_asked_for(fields, as_bytes):
    assert parse(**fields).as_bytes is as_bytes


@pytest.mark.parametrize(
    ("tensor", "status", "problem"),
    [
        ({**TENSOR, "name": "data"}, 400, "name is 'data'; expected 'images'"),
        ({**TENSOR, "datatype": "FP32"}, 400, "datatype is 'FP32'; expected UINT8"),
        ({**TENSOR, "shape": [2, 3, 2, 2]}, 422, r"shape is \[2, 3, 2, 2\]; expected \[N, 2, 2, 3\]"),
        ({**TENSOR, "shape": [True, 2, 2, 3]}, 422, r"shape is \[true"),
        ({**TENSOR, "shape": [5, 2, 2, 3]}, 413, "5 images; expected 1 to 4"),
        ({**TENSOR, "shape": [-1, 2, 2, 3]}, 413, "-1 images"),
        ({**TENSOR, "shape": [10**18, 2, 2, 3]}, 413, "images; expected 1 to 4"),
        (TENSOR, 400, "neither data nor"),
        ({**TENSOR, "data": [0] * 23}, 422, "not a list of 24 whole numbers"),
        ({**TENSOR, "data": [[0] * 12, [0] * 11]}, 422, "not a list of 24"),
        ({**TENSOR, "data": [0.5] * 24}, 422, "not a list of 24 whole"),
        ({**TENSOR, "data": [True] * 24}, 422, "not a list of 24 whole"),
        ({**TENSOR, "data": ["0"] * 24}, 422, "not a list of 24 whole"),
        ({**TENSOR, "data": [None] * 24}, 422, "not a list of 24 whole"),
        ({**TENSOR, "data": [256] + [0] * 23}, 422, "0 to 256; expected 0 to 255"),
        ({**TENSOR, "data": [-1] + [0] * 23}, 422, "-1 to 0"),
        ({**TENSOR, "data": [2**63] + [0] * 23}, 422, "expected 0 to 255|not a list of 24"),
        ({**TENSOR, "data": [10**40] + [0] * 23}, 422, "not a list"),
        ({**TENSOR, "parameters": []}, 400, "parameters is a list"),
        (BINARY, 422, "binary_data_size is 24, and 0 bytes follow"),
    ],
)
def test_refused_tensors(tensor, status, problem):
    with refused(status, problem):
        parse(tensor)


@pytest.mark.parametrize("shape", [1, 65])
def test_data_nested_deeper_than_arrays_go(shape):
    data = 0
    for _ in range(shape):
        data = [data]
    with refused(422, "not a list of 24"):
        parse({**TENSOR, "data": data})


def test_refused_bytes():
    with refused(400, "1 bytes follow the JSON"):
        parse(behind=b"x", length=0)
    with refused(422, "25 bytes follow"):
        parse(BINARY, PIXELS.tobytes() + b"x", 0)
    for length in ("-1", "1e3", "", "9" * 13, "99999", "١"):
        with refused(400, "Inference-Header-Content-Length"):
            parse_infer(b"{}", length, CROP, 4)


def test_refused_requests():
    for fields in (b"{}", b'{"inputs": []}', b'{"inputs": [{}, {}]}'):
        with refused(400, "expected one, named 'images'"):
            parse_infer(fields, None, CROP, 4)
    with refused(400, r"outputs\[0\].name is 'other'"):
        parse(outputs=[{"name": "other"}])
    with refused(400, "id is 7; expected a string"):
        parse(id=7)


def test_replies():
    embedding = np.array([[0.5, -1], [2, 3]], np.float32)
    as_json, length = infer_reply("m", InferRequest(PIXELS, "7", as_bytes=False), embedding)
    assert length is None
    assert json.loads(as_json) == {
        "model_name": "m",
        "id": "7",
        "outputs": [{"name": "embedding", "datatype": "FP32", "shape": [2, 2], "data": [0.5, -1, 2, 3]}],
    }
    as_bytes, length = infer_reply("m", InferRequest(PIXELS, None, as_bytes=True), embedding)
    assert json.loads(as_bytes[:length]) == {
        "model_name": "m",
        "outputs": [
            {"name": "embedding", "datatype": "FP32", "shape": [2, 2], "parameters": {"binary_data_size": 16}},
        ],
    }
    assert struct.unpack("<4f", as_bytes[length:]) == (0.5, -1, 2, 3)
