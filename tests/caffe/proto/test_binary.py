"""Binary nets walked by hand: the blobs protobuf finds, and clear words for damaged or hostile files."""

import numpy as np
import pytest

from caffe.errors import CaffeError
from caffe.proto import binary, blobs, caffe_pb2, wire_format


def read(data, message=None):
    message = message if message is not None else caffe_pb2.NetParameter()
    return message, binary.read(memoryview(data), message, "x.caffemodel")


def filled(message, *values):
    for value in values:
        blob = message.blobs.add(data=[value])
        blob.shape.dim.append(1)


def net_of_all_generations():
    net = caffe_pb2.NetParameter(name="n")
    filled(net.layer.add(name="v2", type="Scale"), 1, 2)
    filled(net.layers.add(name="v1", type=4), 3)
    filled(net.layers.add(bottom=["x"]).layer, 4)
    net.layer.add(name="none")
    return net


def test_blobs_come_by_path_and_the_rest_as_message():
    net = net_of_all_generations()
    message, found = read(net.SerializeToString())
    assert {path: [float(b.data[0]) for b in blobs] for path, blobs in found.items()} == {
        ("layer", 0): [1, 2],
        ("layers", 0): [3],
        ("layers", 1, "layer"): [4],
    }
    for layer in (net.layer[0], net.layers[0], net.layers[1].layer):
        layer.ClearField("blobs")
    assert message == net


def test_fields_that_the_schema_lacks_are_kept():
    unknown = b"\xc2\x3e\x02\x08\x01"  # field 1000
    message, _ = read(b"\x0a\x01n" + unknown)
    assert message.SerializeToString() == b"\x0a\x01n" + unknown


def test_every_truncation_is_an_error_or_a_shorter_net():
    data = net_of_all_generations().SerializeToString()
    errors = 0
    for end in range(1, len(data)):
        try:
            read(data[:end])
        except CaffeError as problem:
            assert "x.caffemodel: byte " in str(problem)
            errors += 1
    assert errors > len(data) * 0.8


def test_the_layer_of_a_bad_blob_is_named():
    net = net_of_all_generations()
    net.layer[0].blobs[1].shape.dim.append(2**40)
    with pytest.raises(CaffeError, match="x.caffemodel: byte .*layer 'v2', blob 1: shape 1 x 1099511627776"):
        read(net.SerializeToString())


def test_another_kind_of_file_is_told():
    mean = b"".join(bytes(p) for p in blobs.encode(np.zeros((3, 4, 4), np.float32), legacy_shape=True))
    with pytest.raises(CaffeError, match="this is no .caffemodel"):
        read(mean)
    with pytest.raises(CaffeError, match="this is no .solverstate"):
        read(net_of_all_generations().SerializeToString(), caffe_pb2.SolverState())
    with pytest.raises(CaffeError, match="is empty"):
        read(b"")


def test_a_name_that_is_no_text_is_told():
    with pytest.raises(CaffeError, match=r"UTF-8|utf-8|damaged"):
        read(b"\xa2\x06\x05\x0a\x03a\xff\xfe")


def test_a_bomb_of_messages_is_refused(monkeypatch):
    monkeypatch.setattr(binary, "MAX_MESSAGES", 1000)
    with pytest.raises(CaffeError, match="more than 1000 layers"):
        read(b"\xa2\x06\x00" * 1001)


def test_a_bomb_of_nested_groups_or_unknown_messages_is_refused():
    with pytest.raises(CaffeError):
        read(b"\x0b" * 100_000)
    nested = b""
    for _ in range(2000):
        nested = wire_format.varint(1000 << 3 | 2) + wire_format.varint(len(nested)) + nested
    read(nested)  # an unknown field is a string of bytes; nothing looks inside


def test_plain_bytes_have_a_bound(monkeypatch):
    monkeypatch.setattr(binary, "MAX_PLAIN_BYTES", 10)
    with pytest.raises(CaffeError, match="beside the weights"):
        read(caffe_pb2.NetParameter(name="a long name").SerializeToString())
