"""Reading and writing BlobProtos without protobuf, compared with protobuf."""

import numpy as np
import pytest

from caffe.errors import CaffeError
from caffe.proto import blobs, caffe_pb2


def read(message):
    data = message if isinstance(message, bytes) else message.SerializeToString()
    return blobs.read_blob(memoryview(data), "f: blob 0")


def joined(pieces):
    return b"".join(bytes(piece) for piece in pieces)


def blob(shape=(2, 3), count=6, **fields):
    message = caffe_pb2.BlobProto(**fields)
    message.shape.dim.extend(shape)
    message.data.extend(np.arange(count, dtype=float))
    return message


def test_packed_values_and_shape():
    stored = read(blob())
    assert stored.shape == (2, 3) and stored.diff is None
    assert np.array_equal(stored.data, np.arange(6, dtype=np.float32).reshape(2, 3))


def test_individually_tagged_values_of_old_files():
    values = np.arange(1000, dtype="<f4")
    tagged = b"".join(b"\x2d" + value.tobytes() for value in values)
    gradients = b"".join(b"\x35" + value.tobytes() for value in -values)
    stored = read(b"\x08\x01\x10\x0a\x18\x0a\x20\x0a" + tagged + gradients)
    assert stored.shape == (1, 10, 10, 10)
    assert np.array_equal(stored.data.ravel(), values)
    assert np.array_equal(stored.diff.ravel(), -values)


def test_values_in_several_pieces_are_concatenated():
    message = caffe_pb2.BlobProto(data=[1, 2])
    message.shape.dim.append(3)
    assert list(read(message.SerializeToString() + b"\x2d\x00\x00\x80\x3f").data) == [1, 2, 1]


def test_double_data_has_precedence_over_data():
    message = caffe_pb2.BlobProto(data=[1], double_data=[0.1])
    message.shape.dim.append(1)
    stored = read(message).data
    assert stored.dtype == np.float64 and stored[0] == 0.1


def test_legacy_dimensions_have_precedence_over_shape():
    assert read(blob(num=1, channels=1, height=3, width=2)).shape == (1, 1, 3, 2)


def test_blob_without_shape_is_a_scalar():
    assert read(caffe_pb2.BlobProto(data=[7])).data.shape == ()


def test_half_precision_of_nvcaffe():
    half = np.array([1.5, -2], "<f2").tobytes()
    data = b"\x50\x02" + b"\x62\x04" + half + b"\x3a\x03\x0a\x01\x02"
    assert list(read(data).data) == [1.5, -2]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (blob(shape=(2, 4)), "shape 2 x 4 needs 8 values, the file has 6"),
        (blob(shape=(-2, -3)), "negative extent"),
        (blob(shape=(2**60, 2**60)), "the file has 6"),
        (blob(shape=(0, 2**62, 2**62), count=0), ""),
        (blob(shape=(1,) * 33, count=1), "33 axes"),
        (blob(shape=(1,) * 5000, count=1), "more than 32 axes"),
        (blob(diff=[1]), "needs 6 gradients, the file has 1"),
        (blob().SerializeToString()[:-1], "truncated"),
        (b"\x2a\x03abc", "ends inside a value"),
        (b"\x2a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "truncated"),
        (b"\x29" + bytes(8), "wrong size"),
        (b"\x2d\0\0\0\0\x35\0\0\0\0" * 12_000, "pieces"),
        (b"\x50\x09\x62\x04abcd", "unknown type"),
    ],
)
def test_invalid_blobs_raise_without_allocating(message, text):
    with pytest.raises(CaffeError, match=f"f: blob 0.*{text}"):
        read(message)


def test_serialization_equals_protobufs():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert joined(blobs.encode(array)) == blob().SerializeToString()
    expected = blob(diff=list(range(6)))
    assert joined(blobs.encode(array, array)) == expected.SerializeToString()
    legacy = caffe_pb2.BlobProto(num=1, channels=1, height=2, width=3, data=range(6))
    assert joined(blobs.encode(array, legacy_shape=True)) == legacy.SerializeToString()
    double = caffe_pb2.BlobProto(double_data=range(6), double_diff=range(6))
    double.shape.dim.extend((2, 3))
    assert joined(blobs.encode(array.astype(float), array)) == double.SerializeToString()
    assert joined(blobs.encode(np.float32(7).reshape(()))) == caffe_pb2.BlobProto(data=[7]).SerializeToString()
    with pytest.raises(CaffeError, match="5 axes"):
        blobs.encode(np.zeros((1,) * 5, np.float32), legacy_shape=True)
