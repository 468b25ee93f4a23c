"""caffe.io against what pycaffe computed (golden/pycaffe_io.npz) and the behaviour its own tests ask for.

The golden file: pycaffe 1.0, scikit-image 0.21 with anti_aliasing=False (as in Caffe's years), SciPy 1.10.
"""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from caffe import io
from caffe.errors import CaffeError
from caffe.proto import caffe_pb2

GOLDEN = Path(__file__).parents[1] / "golden"
PYCAFFE = np.load(GOLDEN / "pycaffe_io.npz")
IMAGES = GOLDEN / "tools" / "images"


# ---- messages


def test_a_datum_without_a_label():
    datum = io.array_to_datum(np.ones((3, 4, 5)), label=None)
    assert not datum.HasField("label")
    assert io.array_to_datum(np.ones((3, 4, 5)), 1).label == 1


@pytest.mark.parametrize("array", [np.arange(24, dtype=np.uint8).reshape(2, 3, 4), np.ones((1, 2, 2)) * 0.5])
def test_datum_and_back(array):
    datum = caffe_pb2.Datum.FromString(io.array_to_datum(array, 7).SerializeToString())
    back = io.datum_to_array(datum)
    assert np.array_equal(back, array) and back.dtype == array.dtype and datum.label == 7
    with pytest.raises(CaffeError, match="Incorrect array shape"):
        io.array_to_datum(array[0])


def test_a_blob_of_the_old_format():
    blob = caffe_pb2.BlobProto(num=1, channels=1, height=3, width=4)
    blob.data.extend(range(12))
    assert np.array_equal(io.blobproto_to_array(blob), np.arange(12).reshape(1, 1, 3, 4))


def test_a_blob_of_the_new_format_without_a_shape_and_a_lone_value():
    blob = caffe_pb2.BlobProto()
    blob.data.extend(range(12))
    with pytest.raises(ValueError):
        io.blobproto_to_array(blob)
    blob.shape.dim.extend([3, 4])
    assert io.blobproto_to_array(blob).shape == (3, 4)
    lone = caffe_pb2.BlobProto()
    lone.data.append(123)
    assert io.blobproto_to_array(lone) == 123
    lone.shape.SetInParent()
    assert io.blobproto_to_array(lone).shape == () and io.blobproto_to_array(lone) == 123


def test_doubles_and_diffs():
    blob = io.array_to_blobproto(np.ones((2, 3)), diff=np.zeros((2, 3)) + 2)
    assert np.array_equal(io.blobproto_to_array(blob), np.ones((2, 3)))
    assert np.array_equal(io.blobproto_to_array(blob, return_diff=True), np.full((2, 3), 2))
    doubles = caffe_pb2.BlobProto()
    doubles.double_data.append(0.1)
    assert io.blobproto_to_array(doubles) == 0.1


def test_many_blobs_in_a_string():
    arrays = [np.ones((2, 3), np.float32), np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)]
    back = io.blobprotovector_str_to_arraylist(io.arraylist_to_blobprotovector_str(arrays))
    assert len(back) == 2 and all(np.array_equal(a, b) for a, b in zip(arrays, back))


# ---- images


@pytest.mark.parametrize("name", ["up3", "down3", "one", "five"])
def test_resize_image_as_pycaffe(name):
    got = io.resize_image(PYCAFFE["r_in_" + name], PYCAFFE["r_dims_" + name])
    assert got.dtype == np.float32 and np.abs(got - PYCAFFE["r_out_" + name]).max() < 1e-4


def test_resize_image_of_one_value_of_integers_and_nearest():
    assert np.array_equal(io.resize_image(np.full((4, 4, 3), 7.0), (2, 3)), np.full((2, 3, 3), 7.0))
    ints = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert np.array_equal(io.resize_image(ints, (4, 4)), ints)
    assert np.array_equal(io.resize_image(ints, (2, 2), 0), ints[1::2, 1::2])
    for image, order in [(ints, 3), (ints[0], 1)]:
        with pytest.raises(CaffeError):
            io.resize_image(image, (2, 2), order)


def test_oversample_as_pycaffe():
    for dims, name in [((6, 7), "o_out"), (np.array((7, 6)), "o_out2")]:
        assert np.array_equal(io.oversample(PYCAFFE["o_in"], dims), PYCAFFE[name])
    with pytest.raises(CaffeError, match="do not fit an image of 11x14"):
        io.oversample(PYCAFFE["o_in"], (12, 12))


@pytest.mark.parametrize("name", ["00.jpg", "gray.jpg", "rgba.png", "last.bmp", "03 pic.jpg"])
def test_load_image_as_pillow_reads_it(name):
    image = io.load_image(IMAGES / name)
    expected = np.asarray(Image.open(IMAGES / name).convert("RGBA").convert("RGB"), np.float32)
    assert image.dtype == np.float32 and image.shape[2] == 3 and image.min() >= 0 and image.max() <= 1
    assert np.abs(image * 255 - expected).max() < 1.01  # Pillow's own JPEG library may round otherwise
    grey = io.load_image(str(IMAGES / name), color=False)
    assert grey.shape == (*image.shape[:2], 1)
    assert np.abs(grey[..., 0] - image @ [0.2125, 0.7154, 0.0721]).max() < 1e-4


def test_sixteen_bits_and_what_is_no_picture(tmp_path):
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((2, 3, 3), 65535 // 5, np.uint16))
    assert io.load_image(tmp_path / "deep.png") == pytest.approx(np.full((2, 3, 3), 0.2), abs=1e-5)
    (tmp_path / "empty.jpg").write_bytes(b"")
    for path, match in [("none.jpg", "No such file"), ("empty.jpg", "not an image")]:
        with pytest.raises(CaffeError, match=match):
            io.load_image(tmp_path / path)


# ---- the Transformer


def transformer():
    made = io.Transformer({"data": (1, 3, 13, 12)})
    made.set_transpose("data", (2, 0, 1))
    made.set_channel_swap("data", (2, 1, 0))
    made.set_raw_scale("data", 255)
    made.set_input_scale("data", 0.017)
    made.set_mean("data", PYCAFFE["t_mean"])  # 16x16, the input is 13x12
    return made


def test_every_step_as_pycaffe():
    made = transformer()
    assert np.abs(made.mean["data"] - PYCAFFE["t_fit"]).max() < 1e-4
    blob = made.preprocess("data", PYCAFFE["t_in"])
    assert blob.dtype == np.float32 and np.abs(blob - PYCAFFE["t_out"]).max() < 1e-5
    assert np.abs(made.deprocess("data", blob[np.newaxis]) - PYCAFFE["t_back"]).max() < 1e-5


def test_means_of_every_shape():
    made = io.Transformer({"data": (1, 3, 4, 5)})
    made.set_mean("data", np.array([1, 2, 3]))
    assert made.mean["data"].shape == (3, 1, 1)
    made.set_mean("data", np.ones((3, 4, 5)))
    assert np.array_equal(made.mean["data"], np.ones((3, 4, 5)))
    made.set_mean("data", np.ones((3, 9, 9)))  # all one value: nothing to stretch
    assert np.array_equal(made.mean["data"], np.ones((3, 4, 5)))
    grey = io.Transformer({"data": (1, 1, 4, 5)})
    grey.set_mean("data", np.ones((4, 5)))
    assert grey.mean["data"].shape == (1, 4, 5)


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda t: t.preprocess("dta", PYCAFFE["t_in"]), "dta is not one of the net inputs.*did you mean 'data'"),
        (lambda t: t.set_transpose("data", (1, 0)), "Transpose order"),
        (lambda t: t.set_channel_swap("data", (1, 0)), "Channel swap"),
        (lambda t: t.set_mean("data", np.ones(4)), "Mean channels incompatible"),
        (lambda t: t.set_mean("data", np.ones((4, 13, 12))), "Mean channels incompatible"),
        (lambda t: t.set_mean("data", np.ones((1, 3, 13, 12))), "Mean shape invalid"),
    ],
)
def test_faults(call, match):
    with pytest.raises(CaffeError, match=match):
        call(transformer())
