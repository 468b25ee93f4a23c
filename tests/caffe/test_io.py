"""caffe.io against the results of pycaffe (golden/pycaffe_io.npz) and the behaviour that pycaffe's own tests require.

The golden file was recorded with pycaffe 1.0, scikit-image 0.21 (anti_aliasing=False, its old default) and SciPy 1.10.
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


def test_datum_without_label():
    datum = io.array_to_datum(np.ones((3, 4, 5)), label=None)
    assert not datum.HasField("label")
    assert io.array_to_datum(np.ones((3, 4, 5)), 1).label == 1


@pytest.mark.parametrize("array", [np.arange(24, dtype=np.uint8).reshape(2, 3, 4), np.ones((1, 2, 2)) * 0.5])
def test_datum_round_trip(array):
    datum = caffe_pb2.Datum.FromString(io.array_to_datum(array, 7).SerializeToString())
    result = io.datum_to_array(datum)
    assert np.array_equal(result, array) and result.dtype == array.dtype and datum.label == 7
    with pytest.raises(CaffeError, match="Incorrect array shape"):
        io.array_to_datum(array[0])


def test_blob_with_legacy_shape():
    blob = caffe_pb2.BlobProto(num=1, channels=1, height=3, width=4)
    blob.data.extend(range(12))
    assert np.array_equal(io.blobproto_to_array(blob), np.arange(12).reshape(1, 1, 3, 4))


def test_blob_without_shape_and_scalar_blob():
    blob = caffe_pb2.BlobProto()
    blob.data.extend(range(12))
    with pytest.raises(ValueError):
        io.blobproto_to_array(blob)
    blob.shape.dim.extend([3, 4])
    assert io.blobproto_to_array(blob).shape == (3, 4)
    scalar = caffe_pb2.BlobProto()
    scalar.data.append(123)
    assert io.blobproto_to_array(scalar) == 123
    scalar.shape.SetInParent()
    assert io.blobproto_to_array(scalar).shape == () and io.blobproto_to_array(scalar) == 123


def test_double_data_and_diff():
    blob = io.array_to_blobproto(np.ones((2, 3)), diff=np.zeros((2, 3)) + 2)
    assert np.array_equal(io.blobproto_to_array(blob), np.ones((2, 3)))
    assert np.array_equal(io.blobproto_to_array(blob, return_diff=True), np.full((2, 3), 2))
    doubles = caffe_pb2.BlobProto()
    doubles.double_data.append(0.1)
    assert io.blobproto_to_array(doubles) == 0.1


def test_blob_vector_round_trip():
    arrays = [np.ones((2, 3), np.float32), np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)]
    result = io.blobprotovector_str_to_arraylist(io.arraylist_to_blobprotovector_str(arrays))
    assert len(result) == 2 and all(np.array_equal(a, b) for a, b in zip(arrays, result))


# ---- images


@pytest.mark.parametrize("name", ["up3", "down3", "one", "five"])
def test_resize_image_agrees_with_pycaffe(name):
    result = io.resize_image(PYCAFFE["r_in_" + name], PYCAFFE["r_dims_" + name])
    assert result.dtype == np.float32 and np.abs(result - PYCAFFE["r_out_" + name]).max() < 1e-4


def test_resize_image_with_constant_image_integers_and_nearest():
    assert np.array_equal(io.resize_image(np.full((4, 4, 3), 7.0), (2, 3)), np.full((2, 3, 3), 7.0))
    ints = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert np.array_equal(io.resize_image(ints, (4, 4)), ints)
    assert np.array_equal(io.resize_image(ints, (2, 2), 0), ints[1::2, 1::2])
    for image, order in [(ints, 3), (ints[0], 1)]:
        with pytest.raises(CaffeError):
            io.resize_image(image, (2, 2), order)


def test_oversample_agrees_with_pycaffe():
    for dims, name in [((6, 7), "o_out"), (np.array((7, 6)), "o_out2")]:
        assert np.array_equal(io.oversample(PYCAFFE["o_in"], dims), PYCAFFE[name])
    with pytest.raises(CaffeError, match="do not fit an image of 11x14"):
        io.oversample(PYCAFFE["o_in"], (12, 12))


@pytest.mark.parametrize("name", ["00.jpg", "gray.jpg", "rgba.png", "last.bmp", "03 pic.jpg"])
def test_load_image_agrees_with_pillow(name):
    image = io.load_image(IMAGES / name)
    expected = np.asarray(Image.open(IMAGES / name).convert("RGBA").convert("RGB"), np.float32)
    assert image.dtype == np.float32 and image.shape[2] == 3 and image.min() >= 0 and image.max() <= 1
    assert np.abs(image * 255 - expected).max() < 1.01  # Pillow's JPEG library may round differently
    grey = io.load_image(str(IMAGES / name), color=False)
    assert grey.shape == (*image.shape[:2], 1)
    assert np.abs(grey[..., 0] - image @ [0.2125, 0.7154, 0.0721]).max() < 1e-4


def test_sixteen_bit_images_and_unreadable_files(tmp_path):
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((2, 3, 3), 65535 // 5, np.uint16))
    assert io.load_image(tmp_path / "deep.png") == pytest.approx(np.full((2, 3, 3), 0.2), abs=1e-5)
    (tmp_path / "empty.jpg").write_bytes(b"")
    for path, match in [("none.jpg", "No such file"), ("empty.jpg", "not an image that OpenCV can read")]:
        with pytest.raises(CaffeError, match=match):
            io.load_image(tmp_path / path)


# ---- the Transformer


def make_transformer():
    transformer = io.Transformer({"data": (1, 3, 13, 12)})
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_channel_swap("data", (2, 1, 0))
    transformer.set_raw_scale("data", 255)
    transformer.set_input_scale("data", 0.017)
    transformer.set_mean("data", PYCAFFE["t_mean"])  # 16x16, the input is 13x12
    return transformer


def test_transformer_agrees_with_pycaffe():
    transformer = make_transformer()
    assert np.abs(transformer.mean["data"] - PYCAFFE["t_fit"]).max() < 1e-4
    blob = transformer.preprocess("data", PYCAFFE["t_in"])
    assert blob.dtype == np.float32 and np.abs(blob - PYCAFFE["t_out"]).max() < 1e-5
    assert np.abs(transformer.deprocess("data", blob[np.newaxis]) - PYCAFFE["t_back"]).max() < 1e-5


def test_mean_shapes():
    transformer = io.Transformer({"data": (1, 3, 4, 5)})
    transformer.set_mean("data", np.array([1, 2, 3]))
    assert transformer.mean["data"].shape == (3, 1, 1)
    transformer.set_mean("data", np.ones((3, 4, 5)))
    assert np.array_equal(transformer.mean["data"], np.ones((3, 4, 5)))
    transformer.set_mean("data", np.ones((3, 9, 9)))  # constant: min-max normalisation would divide by zero
    assert np.array_equal(transformer.mean["data"], np.ones((3, 4, 5)))
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
def test_transformer_errors(call, match):
    with pytest.raises(CaffeError, match=match):
        call(make_transformer())


def test_load_image_of_file_objects(tmp_path):
    """As scikit-image's imread, which pycaffe used: BytesIO and open files."""
    import io as std_io

    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    data = cv2.imencode(".png", pixels)[1].tobytes()
    (tmp_path / "a.png").write_bytes(data)
    expected = pixels[..., ::-1] / np.float32(255)
    np.testing.assert_allclose(io.load_image(std_io.BytesIO(data)), expected, atol=1e-7)
    with open(tmp_path / "a.png", "rb") as stream:
        np.testing.assert_allclose(io.load_image(stream), expected, atol=1e-7)
    with pytest.raises(CaffeError, match="BytesIO"):
        io.load_image(std_io.BytesIO(b"not an image"))
    with pytest.raises(CaffeError, match="binary mode"):
        io.load_image(std_io.StringIO("text"))
