"""Reading binary nets: same blobs as protobuf, and clear errors for damaged or malicious files."""

import numpy as np
import pytest

from caffe.errors import CaffeError
from caffe.proto import binary, blobs, caffe_pb2, wire_format


def read(data, message=None):
    message = message if message is not None else caffe_pb2.NetParameter()
    return message, binary.read(memoryview(data), message, "x.caffemodel")


def add_blobs(message, *values):
    for value in values:
        blob = message.blobs.add(data=[value])
        blob.shape.dim.append(1)


def net_of_all_versions():
    net = caffe_pb2.NetParameter(name="n")
    add_blobs(net.layer.add(name="v2", type="Scale"), 1, 2)
    add_blobs(net.layers.add(name="v1", type=4), 3)
    add_blobs(net.layers.add(bottom=["x"]).layer, 4)
    net.layer.add(name="none")
    return net


def test_blobs_are_returned_by_path_and_the_rest_in_the_message():
    net = net_of_all_versions()
    message, stored = read(net.SerializeToString())
    assert {path: [float(b.data[0]) for b in blobs] for path, blobs in stored.items()} == {
        ("layer", 0): [1, 2],
        ("layers", 0): [3],
        ("layers", 1, "layer"): [4],
    }
    for layer in (net.layer[0], net.layers[0], net.layers[1].layer):
        layer.ClearField("blobs")
    assert message == net


def test_unknown_fields_are_kept():
    unknown = b"\xc2\x3e\x02\x08\x01"  # field 1000
    message, _ = read(b"\x0a\x01n" + unknown)
    assert message.SerializeToString() == b"\x0a\x01n" + unknown


def test_truncated_files_raise_or_give_a_shorter_net():
    data = net_of_all_versions().SerializeToString()
    errors = 0
    for end in range(1, len(data)):
        try:
            read(data[:end])
        except CaffeError as problem:
            assert "x.caffemodel: byte " in str(problem)
            errors += 1
    assert errors > len(data) * 0.8


def test_error_names_the_layer_of_an_invalid_blob():
    net = net_of_all_versions()
    net.layer[0].blobs[1].shape.dim.append(2**40)
    with pytest.raises(CaffeError, match="x.caffemodel: byte .*layer 'v2', blob 1: shape 1 x 1099511627776"):
        read(net.SerializeToString())


def test_files_of_another_type():
    mean = b"".join(bytes(p) for p in blobs.encode(np.zeros((3, 4, 4), np.float32), legacy_shape=True))
    with pytest.raises(CaffeError, match="this is not a .caffemodel"):
        read(mean)
    with pytest.raises(CaffeError, match="this is not a .solverstate"):
        read(net_of_all_versions().SerializeToString(), caffe_pb2.SolverState())
    with pytest.raises(CaffeError, match="is empty"):
        read(b"")


def test_name_that_is_not_utf8():
    with pytest.raises(CaffeError, match=r"UTF-8|utf-8|damaged"):
        read(b"\xa2\x06\x05\x0a\x03a\xff\xfe")


def test_number_of_messages_is_limited(monkeypatch):
    monkeypatch.setattr(binary, "MAX_MESSAGES", 1000)
    with pytest.raises(CaffeError, match="more than 1000 layers"):
        read(b"\xa2\x06\x00" * 1001)


def test_deeply_nested_groups_and_unknown_messages():
    with pytest.raises(CaffeError):
        read(b"\x0b" * 100_000)
    nested = b""
    for _ in range(2000):
        nested = wire_format.varint(1000 << 3 | 2) + wire_format.varint(len(nested)) + nested
    read(nested)  # an unknown field is skipped without parsing its content


def test_size_apart_from_weights_is_limited(monkeypatch):
    monkeypatch.setattr(binary, "MAX_PLAIN_BYTES", 10)
    with pytest.raises(CaffeError, match="apart from the weights"):
        read(caffe_pb2.NetParameter(name="a long name").SerializeToString())
