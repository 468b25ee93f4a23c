"""Datum: agreement with protobuf, and invalid records."""

import cv2
import numpy as np
import pytest

from caffe.data import datum
from caffe.errors import CaffeError
from caffe.proto import caffe_pb2, wire_format

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 5, 4), dtype=np.uint8)


def message(**fields):
    floats = fields.pop("float_data", [])
    record = caffe_pb2.Datum(**fields)
    record.float_data.extend(floats)
    return record.SerializeToString()


@pytest.mark.parametrize("label", [0, 1, 127, 128, 70000, -1, 2**31 - 1, -(2**31)])
def test_raw_data_agrees_with_protobuf(label):
    value = message(channels=3, height=5, width=4, data=PIXELS.tobytes(), label=label, encoded=False)
    assert datum.encode(PIXELS, label) == value
    array, decoded_label = datum.decode(value)
    assert decoded_label == label and array.dtype == np.uint8 and np.array_equal(array, PIXELS)
    assert array.base is not None and not array.flags.owndata  # a view of the record


def test_a_batch_is_read_as_its_records():
    def one_by_one(values):
        return zip(*(datum.decode(value) for value in values))

    rng, found = np.random.default_rng(1), 0
    for number in range(3000):
        pixels = rng.integers(0, 256, (3, 1 + number % 3, 1 + number % 5, 2), dtype=np.uint8)
        values = [datum.encode(image, int(rng.integers(0, 128 + number % 3))) for image in pixels]
        cut = int(rng.integers(0, 3))
        values = [value[: len(value) - cut] for value in values]
        changed = bytearray(values[number % 3])
        for _ in range(rng.integers(0, 2)):
            changed[rng.integers(-4, 9)] = rng.choice([0, 1, 2, 3, 8, 34, 40, 56, 127, 128, 255])
        values[number % 3] = bytes(changed)
        batch = datum.decode_batch(values)
        if batch is not None:
            images, labels = one_by_one(values)
            assert np.array_equal(batch[0], images) and np.array_equal(batch[1], labels)
            assert batch[0].dtype == batch[1].dtype == np.uint8
            found += 1
    assert 500 < found < 2000


@pytest.mark.parametrize(
    "values",
    [
        [b"", b""],
        [b"\xff", b"\xff"],
        [datum.encode(PIXELS, 1), datum.encode(PIXELS[:, :4], 1)],
        [datum.encode(PIXELS, 128)] * 2,
        [datum.encode(PIXELS, -1)] * 2,
        [datum.encode(PIXELS, 1, more=[2.0])] * 2,
        [datum.encode(PIXELS.astype(np.float32), 1)] * 2,
        [datum.encode(None, 1, b"jpeg")] * 2,
        [datum.encode(np.zeros((1, 128, 128), np.uint8), 1)] * 2,
    ],
)
def test_other_batches_are_not_read_at_once(values):
    assert datum.decode_batch(values) is None


def test_missing_label_is_zero():
    assert datum.decode(message(channels=1, height=1, width=2, data=b"ab"))[1] == 0


def test_unpacked_and_packed_floats():
    floats = PIXELS.astype(np.float32) / 7
    value = message(channels=3, height=5, width=4, label=9, float_data=floats.ravel().tolist())
    assert datum.encode(floats, 9) == value
    packed = b"\x08\x03\x10\x05\x18\x04\x32" + wire_format.varint(floats.nbytes) + floats.tobytes() + b"\x28\x09"
    in_two_runs = value[:8] + value[8:] + b"\x38\x00"
    for record in (value, packed, in_two_runs, b"\x38\x00" + value):
        array, label = datum.decode(record)
        assert array.dtype == np.float32 and np.array_equal(array, floats) and label == 9


def test_overlong_tag():
    one, two = np.float32(1.5).tobytes(), np.float32(2).tobytes()
    value = b"\x08\x01\x10\x01\x18\x02" + b"\xb5\x00" + one + b"\x35" + two
    assert datum.decode(value)[0].ravel().tolist() == [1.5, 2.0]


def test_corrupt_records_are_read_or_raise_caffe_error():
    rng = np.random.default_rng(0)
    floats = PIXELS.astype(np.float32)
    originals = [datum.encode(PIXELS, 300), datum.encode(floats, 3), datum.encode(None, 1, b"x" * 30)]
    for index in range(6000):
        record = bytearray(originals[index % 3])
        for _ in range(rng.integers(1, 5)):
            record[rng.integers(0, 30)] = rng.integers(0, 256)
        try:
            datum.decode(bytes(record[: rng.integers(20, 200)]))
        except CaffeError:
            continue


def test_data_has_precedence_over_floats_and_unknown_fields_are_ignored():
    value = message(channels=1, height=1, width=2, data=b"ab", float_data=[1.0, 2.0])
    unknown = b"\x78\x01" + b"\x82\x01\x03xyz" + b"\x8d\x01abcd" + b"\x91\x01abcdefgh"
    array, _ = datum.decode(unknown + value)
    assert array.tobytes() == b"ab"


@pytest.mark.parametrize("extension, exact", [(".png", True), (".jpg", False)])
def test_encoded_images(extension, exact):
    image = np.ascontiguousarray(np.kron(PIXELS, np.ones((1, 8, 8), np.uint8)).transpose(1, 2, 0))
    data = cv2.imencode(extension, image)[1].tobytes()
    value = datum.encode(None, 3, encoded=data)
    assert value == message(data=data, label=3, encoded=True)
    array, label = datum.decode(value)
    assert label == 3 and array.shape == (3, 40, 32) and array.flags.c_contiguous
    assert np.array_equal(array, cv2.imdecode(np.frombuffer(data, np.uint8), -1).transpose(2, 0, 1))
    if exact:
        assert np.array_equal(array, image.transpose(2, 0, 1))
    assert datum.decode(value, force_gray=True)[0].shape == (1, 40, 32)


def test_encoded_images_keep_their_channels_unless_forced():
    grey = cv2.imencode(".png", PIXELS[0])[1].tobytes()
    alpha = cv2.imencode(".png", np.zeros((6, 7, 4), np.uint8))[1].tobytes()
    assert datum.decode(datum.encode(None, 0, grey))[0].shape == (1, 5, 4)
    assert datum.decode(datum.encode(None, 0, grey), force_color=True)[0].shape == (3, 5, 4)
    assert datum.decode(datum.encode(None, 0, alpha))[0].shape == (4, 6, 7)
    assert datum.decode(datum.encode(None, 0, alpha), force_color=True)[0].shape == (3, 6, 7)


def test_every_prefix_of_a_record_raises_caffe_error():
    value = datum.encode(PIXELS, 300)
    for length in range(len(value) - 2):
        if length == len(value) - 5:  # ends after the data: a record without label is valid
            continue
        with pytest.raises(CaffeError):
            datum.decode(value[:length])


@pytest.mark.parametrize(
    "value, match",
    [
        (b"\xff" * 20, "not a Datum"),
        (b"\x08\x03\x10\x05\x18\x04\x22\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "truncated"),
        (message(channels=3, height=5, width=4, data=b"abc"), "3x5x4 needs 60 values, received 3"),
        (message(channels=2**31 - 1, height=2**31 - 1, width=2**31 - 1, data=b"abc"), "received 3"),
        (message(channels=-3, height=-5, width=4, data=b"x" * 60), "must be positive"),
        (message(data=b"no image", encoded=True), "not an image that OpenCV can read"),
        (message(encoded=True), "not an image"),
        (b"\x20\x05", "wire type"),
        (b"\x0a\x01\x01", "wire type"),
        (b"\x0b", "wire type 3"),
        (message(channels=1, height=1, width=1, float_data=[1, 2]), "received 2"),
    ],
)
def test_invalid_records(value, match):
    with pytest.raises(CaffeError, match=match):
        datum.decode(value)


def test_sixteen_bit_images_are_rejected():
    data = cv2.imencode(".png", np.zeros((4, 4), np.uint16))[1].tobytes()
    with pytest.raises(CaffeError, match="uint16"):
        datum.decode(datum.encode(None, 0, data))


@pytest.mark.parametrize("array, label", [(PIXELS, 2**31), (PIXELS[0], 0), (PIXELS.astype(int), 0), (None, 0)])
def test_values_that_do_not_fit_a_datum(array, label):
    with pytest.raises(CaffeError):
        datum.encode(array, label)
