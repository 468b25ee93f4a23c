"""Datum against protobuf's own serialization, and bytes that no honest writer makes."""

import cv2
import numpy as np
import pytest

from caffe.data import datum, wire_format
from caffe.errors import CaffeError
from caffe.proto import caffe_pb2

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 5, 4), dtype=np.uint8)


def message(**fields):
    floats = fields.pop("float_data", [])
    record = caffe_pb2.Datum(**fields)
    record.float_data.extend(floats)
    return record.SerializeToString()


@pytest.mark.parametrize("label", [0, 1, 127, 128, 70000, -1, 2**31 - 1, -(2**31)])
def test_raw_data_as_protobuf_writes_and_reads_it(label):
    value = message(channels=3, height=5, width=4, data=PIXELS.tobytes(), label=label, encoded=False)
    assert datum.encode(PIXELS, label) == value
    array, read = datum.decode(value)
    assert read == label and array.dtype == np.uint8 and np.array_equal(array, PIXELS)
    assert array.base is not None and not array.flags.owndata  # a view of the record


def test_a_missing_label_is_nought():
    assert datum.decode(message(channels=1, height=1, width=2, data=b"ab"))[1] == 0


def test_floats_unpacked_as_caffe_writes_them_and_packed():
    floats = PIXELS.astype(np.float32) / 7
    value = message(channels=3, height=5, width=4, label=9, float_data=floats.ravel().tolist())
    assert datum.encode(floats, 9) == value
    packed = b"\x08\x03\x10\x05\x18\x04\x32" + wire_format.varint(floats.nbytes) + floats.tobytes() + b"\x28\x09"
    in_two_runs = value[:8] + value[8:] + b"\x38\x00"
    for form in (value, packed, in_two_runs, b"\x38\x00" + value):
        array, label = datum.decode(form)
        assert array.dtype == np.float32 and np.array_equal(array, floats) and label == 9


def test_a_tag_written_longer_than_need_be():
    one, two = np.float32(1.5).tobytes(), np.float32(2).tobytes()
    value = b"\x08\x01\x10\x01\x18\x02" + b"\xb5\x00" + one + b"\x35" + two
    assert datum.decode(value)[0].ravel().tolist() == [1.5, 2.0]


def test_records_with_any_bytes_changed_are_read_or_refused():
    rng = np.random.default_rng(0)
    floats = PIXELS.astype(np.float32)
    whole = [datum.encode(PIXELS, 300), datum.encode(floats, 3), datum.encode(None, 1, b"x" * 30)]
    for index in range(6000):
        record = bytearray(whole[index % 3])
        for _ in range(rng.integers(1, 5)):
            record[rng.integers(0, 30)] = rng.integers(0, 256)
        try:
            datum.decode(bytes(record[: rng.integers(20, 200)]))
        except CaffeError:
            continue


def test_data_wins_over_floats_and_unknown_fields_are_passed_over():
    value = message(channels=1, height=1, width=2, data=b"ab", float_data=[1.0, 2.0])
    unknown = b"\x78\x01" + b"\x82\x01\x03xyz" + b"\x8d\x01abcd" + b"\x91\x01abcdefgh"
    array, _ = datum.decode(unknown + value)
    assert array.tobytes() == b"ab"


@pytest.mark.parametrize("extension, exact", [(".png", True), (".jpg", False)])
def test_encoded_pictures(extension, exact):
    picture = np.ascontiguousarray(np.kron(PIXELS, np.ones((1, 8, 8), np.uint8)).transpose(1, 2, 0))
    data = cv2.imencode(extension, picture)[1].tobytes()
    value = datum.encode(None, 3, encoded=data)
    assert value == message(data=data, label=3, encoded=True)
    array, label = datum.decode(value)
    assert label == 3 and array.shape == (3, 40, 32) and array.flags.c_contiguous
    assert np.array_equal(array, cv2.imdecode(np.frombuffer(data, np.uint8), -1).transpose(2, 0, 1))
    if exact:
        assert np.array_equal(array, picture.transpose(2, 0, 1))
    assert datum.decode(value, force_gray=True)[0].shape == (1, 40, 32)


def test_encoded_grey_and_alpha_stay_so_unless_forced():
    grey = cv2.imencode(".png", PIXELS[0])[1].tobytes()
    alpha = cv2.imencode(".png", np.zeros((6, 7, 4), np.uint8))[1].tobytes()
    assert datum.decode(datum.encode(None, 0, grey))[0].shape == (1, 5, 4)
    assert datum.decode(datum.encode(None, 0, grey), force_color=True)[0].shape == (3, 5, 4)
    assert datum.decode(datum.encode(None, 0, alpha))[0].shape == (4, 6, 7)
    assert datum.decode(datum.encode(None, 0, alpha), force_color=True)[0].shape == (3, 6, 7)


def test_every_prefix_of_a_record_is_refused_or_read_never_worse():
    value = datum.encode(PIXELS, 300)
    for length in range(len(value) - 2):
        if length == len(value) - 5:  # exactly up to the data: the label is missing, and Caffe takes it
            continue
        with pytest.raises(CaffeError):
            datum.decode(value[:length])


@pytest.mark.parametrize(
    "value, match",
    [
        (b"\xff" * 20, "not a Datum"),
        (b"\x08\x03\x10\x05\x18\x04\x22\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "cut short"),
        (message(channels=3, height=5, width=4, data=b"abc"), "3x5x4 wants 60 values, received 3"),
        (message(channels=2**31 - 1, height=2**31 - 1, width=2**31 - 1, data=b"abc"), "received 3"),
        (message(channels=-3, height=-5, width=4, data=b"x" * 60), "must be positive"),
        (message(data=b"no picture", encoded=True), "not an image that OpenCV can read"),
        (message(encoded=True), "not an image"),
        (b"\x20\x05", "wire type"),
        (b"\x0a\x01\x01", "wire type"),
        (b"\x0b", "wire type 3"),
        (message(channels=1, height=1, width=1, float_data=[1, 2]), "received 2"),
    ],
)
def test_hostile_bytes(value, match):
    with pytest.raises(CaffeError, match=match):
        datum.decode(value)


def test_sixteen_bits_are_refused():
    data = cv2.imencode(".png", np.zeros((4, 4), np.uint16))[1].tobytes()
    with pytest.raises(CaffeError, match="uint16"):
        datum.decode(datum.encode(None, 0, data))


@pytest.mark.parametrize("array, label", [(PIXELS, 2**31), (PIXELS[0], 0), (PIXELS.astype(int), 0), (None, 0)])
def test_what_no_datum_holds(array, label):
    with pytest.raises(CaffeError):
        datum.encode(array, label)
