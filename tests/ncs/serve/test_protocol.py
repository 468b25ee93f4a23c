"""The protocol's bytes, written by hand from the specification (KServe v2, binary tensor data extension)."""

import contextlib
import json
import struct

import numpy as np
import pytest

from ncs.serve import protocol
from ncs.serve.errors import RequestError
from ncs.serve.protocol import Tensor


def body(inputs, *parts, **more):
    header = json.dumps({"inputs": inputs, **more}).encode()
    return b"".join([header, *parts]), len(header)


def entry(datatype="FP32", shape=(2, 2), **more):
    return {"name": "x", "datatype": datatype, "shape": list(shape), **more}


def test_json_tensor():
    request = protocol.parse(body([entry(data=[[1, 2], [3, 4]])], id="a7")[0], None)
    (tensor,) = request.inputs
    assert request.id == "a7" and tensor.array.dtype == np.float32 and tensor.array.tolist() == [[1, 2], [3, 4]]
    flat = protocol.parse(body([entry(data=[1, 2, 3, 4])])[0], None)  # the specification allows both
    assert np.array_equal(flat.inputs[0].array, tensor.array)


def test_binary_tensors_follow_the_header_in_order():
    first, second = struct.pack("<4f", 1, 2, 3, 4), struct.pack("<3h", -1, 0, 7)
    inputs = [
        entry(parameters={"binary_data_size": 16}),
        {"name": "y", "datatype": "INT16", "shape": [3], "parameters": {"binary_data_size": 6}},
    ]
    request = protocol.parse(*body(inputs, first, second))
    assert request.inputs[0].array.tolist() == [[1, 2], [3, 4]] and request.inputs[1].array.tolist() == [-1, 0, 7]


def test_bytes_elements_have_a_length_of_four_bytes():
    data = b"\x03\x00\x00\x00abc\x00\x00\x00\x00"
    request = protocol.parse(*body([entry("BYTES", [2], parameters={"binary_data_size": len(data)})], data))
    assert request.inputs[0].array == [b"abc", b""]
    assert protocol.to_bytes(Tensor("x", "BYTES", (2,), [b"abc", b""])) == data
    assert protocol.parse(body([entry("BYTES", [1], data=["YWJj"])])[0], None).inputs[0].array == [b"abc"]


def test_answer():
    tensor = Tensor("prob", "FP32", (1, 2), np.array([[0.25, 0.75]], np.float32))
    content, length = protocol.encode("net", [(tensor, False)], "a7")
    assert length is None and json.loads(content) == {
        "model_name": "net",
        "model_version": "1",
        "id": "a7",
        "outputs": [{"name": "prob", "datatype": "FP32", "shape": [1, 2], "data": [0.25, 0.75]}],
    }
    content, length = protocol.encode("net", [(tensor, True)])
    assert json.loads(content[:length])["outputs"][0]["parameters"] == {"binary_data_size": 8}
    assert content[length:] == struct.pack("<2f", 0.25, 0.75)


def test_classification():
    tensor = Tensor("prob", "FP32", (1, 3), np.array([[0.25, 0.5, 0.25]], np.float32))
    best = protocol.classification(tensor, 2, ["a", "b"])
    assert best.shape == (1, 2) and best.array == [b"0.500000:1:b", b"0.250000:0:a"]


GOOD = struct.pack("<4f", 1, 2, 3, 4)


@pytest.mark.parametrize(
    "content, message",
    [
        ((b"{", None), "not JSON"),
        ((b"[" * 100000, None), "not JSON"),
        ((b"[]", None), "expected a JSON object, received list"),
        ((b"{}", None), "'inputs': expected a list, received null"),
        (body([]), "at least one input"),
        (body([7]), "expected a JSON object"),
        (body([{"name": "x"}]), "'datatype': expected a string"),
        (body([entry("FP31", data=[])]), "datatype FP31"),
        (body([entry(shape=[-1, 2], data=[])]), r"invalid shape \[-1, 2\]"),
        (body([entry(shape=[True], data=[1])]), "invalid shape"),
        (body([entry(shape=[1 << 40], data=[1])]), "not supported"),
        (body([entry(data=[1, 2])]), "has 4 values, the data 2"),
        (body([entry(data=[[1, 2], [3]])]), "input 'x'"),
        (body([entry(data=["a"] * 4)]), "input 'x'"),
        (body([entry("BYTES", [1], data=["*"])]), "not base64"),
        (body([entry("BYTES", [1], data=[1])]), "expected 1 strings"),
        (body([entry(parameters={"binary_data_size": 17})], GOOD), "binary_data_size is 17, 16 bytes are left"),
        (body([entry(parameters={"binary_data_size": -1})], GOOD), "binary_data_size is -1"),
        (body([entry(parameters={"binary_data_size": 12})], GOOD), "has 16 bytes, not 12"),
        (body([entry(parameters={"binary_data_size": 16})], GOOD, b"z"), "1 bytes after the last input"),
        ((b"{}", 3), "Inference-Header-Content-Length is 3, the body has 2"),
        (body([entry("BYTES", [1], parameters={"binary_data_size": 5})], b"\2\0\0\0a"), "element 0 is truncated"),
        (body([entry("BYTES", [1], parameters={"binary_data_size": 2})], b"\2\0"), "length of element 0 is truncated"),
        (body([entry("BYTES", [2], parameters={"binary_data_size": 4})], b"\0\0\0\0"), "2 elements, the data 1"),
        (body([entry(data=[1, 2, 3, 4])], outputs=[{"name": 1}]), "'name': expected a string"),
        (
            body([entry(data=[1, 2, 3, 4])], outputs=[{"name": "y", "parameters": {"classification": "3"}}]),
            "'classification': expected a number",
        ),
    ],
)
def test_invalid_requests(content, message):
    with pytest.raises(RequestError, match=message) as caught:
        protocol.parse(*content)
    assert caught.value.status == 400


def test_random_bytes_are_refused():
    """Bytes of valid requests, changed at random: an answer or a RequestError, never another exception."""
    rng = np.random.default_rng(4)
    valid, length = body([entry(parameters={"binary_data_size": 16})], GOOD, outputs=[{"name": "y"}])
    for _ in range(3000):
        changed = bytearray(valid)
        for _ in range(rng.integers(1, 5)):
            changed[rng.integers(len(changed))] = rng.integers(256)
        with contextlib.suppress(RequestError):
            protocol.parse(bytes(changed), length)
