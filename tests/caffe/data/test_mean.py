"""Mean files: real Caffe's, protobuf's serialization and NumPy's."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.external_data import SHARED, needs_shared

from caffe.data.mean import read_mean, to_blob_proto, transform_of, write_mean
from caffe.errors import CaffeError
from caffe.proto import caffe_pb2

GOLDEN = Path(__file__).parents[2] / "golden" / "tools"
MEAN = np.random.default_rng(1).uniform(0, 255, (3, 5, 4)).astype(np.float32)


@pytest.mark.parametrize("name, shape", [("mean_resize", (3, 48, 64)), ("mean_gray", (1, 32, 32))])
def test_files_of_real_caffe_are_byte_identical(tmp_path, name, shape):
    path = GOLDEN / (name + ".binaryproto")
    mean = read_mean(path)
    blob = caffe_pb2.BlobProto.FromString(path.read_bytes())
    assert mean.shape == shape and mean.dtype == np.float32
    assert np.array_equal(mean.ravel(), np.array(blob.data, np.float32))
    write_mean(tmp_path / "mean.binaryproto", mean)
    assert (tmp_path / "mean.binaryproto").read_bytes() == path.read_bytes()


@needs_shared
def test_released_mean_of_levi_and_hassner():
    mean = read_mean(SHARED / "data/levi/mean.binaryproto")
    assert mean.shape == (3, 256, 256)
    means = [78.42634, 87.76892, 114.89584]
    assert mean.reshape(3, -1).mean(1, dtype=float) == pytest.approx(means, abs=1e-4)


def test_file_size_matches_compute_image_mean():
    assert len(to_blob_proto(np.zeros((3, 256, 256)))) == 786446


def test_shapes_of_a_blob(tmp_path):
    path = tmp_path / "m.binaryproto"
    for dims in ([3, 5, 4], [1, 3, 5, 4]):
        blob = caffe_pb2.BlobProto()
        blob.shape.dim.extend(dims)
        blob.double_data.extend(MEAN.ravel().astype(float))
        path.write_bytes(blob.SerializeToString())
        assert np.array_equal(read_mean(path), MEAN)


def test_npy_round_trip(tmp_path):
    write_mean(tmp_path / "m.npy", MEAN)
    for read in (np.load, read_mean):
        assert np.array_equal(read(tmp_path / "m.npy"), MEAN)


def test_transform_param_with_a_mean_file(tmp_path):
    write_mean(tmp_path / "m.binaryproto", MEAN)
    name = str(tmp_path / "m.binaryproto")
    param = caffe_pb2.TransformationParameter(mean_file=name, scale=0.5, crop_size=2)
    transform = transform_of(param)
    assert np.array_equal(transform.mean, MEAN) and transform.scale == 0.5 and transform.crop == 2
    assert not transform.mirror
    mirrored = transform_of(caffe_pb2.TransformationParameter(mean_value=[1, 2, 3], mirror=True))
    assert mirrored.mean.tolist() == [1, 2, 3] and mirrored.mirror
    assert mirrored.crop is None and mirrored.scale == 1
    param.mean_value.append(3)
    with pytest.raises(CaffeError, match="exclude"):
        transform_of(param)
    without_mean = SimpleNamespace(mean_file="", mean_value=[], crop_size=0, scale=1, mirror=0)
    assert transform_of(without_mean).mean is None


VALID = to_blob_proto(MEAN)


@pytest.mark.parametrize(
    "data, match",
    [
        (b"", "no shape"),
        (VALID[:-1], "truncated"),
        (VALID[:2], "."),
        (b"\xff" * 30, "neither"),
        (VALID[8:], "no shape"),
        (to_blob_proto(np.full((1, 1, 1), np.nan)), "not finite"),
        (b"\x08\x02" + VALID[2:], "60 values do not fit the shape"),
        (b"\x93NUMPY\x01\x00junk", "neither"),
        (
            b"\x08\x02"
            + to_blob_proto(np.zeros((6, 5, 4)))[2:4].replace(b"\x06", b"\x03")
            + to_blob_proto(np.zeros((6, 5, 4)))[4:],
            "expected channels x height x width",
        ),
    ],
)
def test_invalid_files(tmp_path, data, match):
    path = tmp_path / "m"
    path.write_bytes(data)
    with pytest.raises(CaffeError, match=match):
        read_mean(path)


def test_pickle_and_missing_file_are_rejected(tmp_path):
    np.save(tmp_path / "m.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(CaffeError):
        read_mean(tmp_path / "m.npy")
    with pytest.raises(CaffeError, match="create one with compute_image_mean"):
        read_mean(tmp_path / "none")
