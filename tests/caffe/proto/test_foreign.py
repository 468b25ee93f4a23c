"""Files of other programs are named for what they are; Caffe's own are not mistaken for them."""

import gzip
import io
import tarfile
import zipfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from caffe.errors import CaffeError
from caffe.proto import caffe_pb2, foreign
from caffe.proto.read import read_net, read_solver
from caffe.weights import snapshot


def archive(kind):
    stream = io.BytesIO()
    if kind == "tar":
        with tarfile.open(fileobj=stream, mode="w") as file:
            file.addfile(tarfile.TarInfo("a"))
    else:
        with zipfile.ZipFile(stream, "w") as file:
            file.writestr(kind, b"x")
    return stream.getvalue()


def onnx_model():
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    node = helper.make_node("Identity", ["x"], ["y"])
    graph = helper.make_graph([node], "g", [value], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])])
    return helper.make_model(graph, producer_name="a program").SerializeToString()


def npy():
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    return stream.getvalue()


FILES = {
    "TensorFlow \\(.pb\\)": b"\x0a\x21\x0a\x05input\x12\x0bPlaceholder*\x0b\x0a\x05dtype\x12\x020\x01\x0a",
    "SavedModel": b"\x08\x01\x12\xe4\x04\x0a\x05serve",
    "TensorFlow Lite": b"\x1c\x00\x00\x00TFL3\x14\x00",
    "ONNX": onnx_model(),
    "PyTorch": archive("model/data.pkl"),
    "zip archive": archive("a.txt"),
    "gzip archive": gzip.compress(b"x", mtime=0),
    "tar archive": archive("tar"),
    "HTML page": b"\n<!DOCTYPE html>\n<html><body>404: Not Found</body></html>\n",
    "HTML": b"<HTML><HEAD>",
    "XML": b'<?xml version="1.0"?>\n<net name="x" version="10">',
    "JSON": b'{"layers": []}',
    "Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "Darknet": b"[net]\nbatch=1\n",
    "Keras 3": archive("metadata.json"),
    "safetensors": (9).to_bytes(8, "little") + b'{"a": 1} ',
    "pickle": b"\x80\x04\x95\x0a",
    "llama.cpp": b"GGUF\x03\x00\x00\x00",
    "weights of Darknet": bytes(4) + b"\x02\x00\x00\x00\x05\x00\x00\x00",
    "MXNet": b"\x12\x01" + bytes(14),
    "ncnn": b"7767517\n75 83\n",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "JPEG": b"\xff\xd8\xff\xe0",
    "NumPy": npy(),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("read", [read_net, snapshot.read_weights])
def test_the_message_says_what_the_file_is(tmp_path, kind, read):
    path = tmp_path / "file"
    path.write_bytes(FILES[kind])
    with pytest.raises(CaffeError, match=f"file: this is .*{kind}") as error:
        read(path)
    assert "\n" not in str(error.value) and str(error.value).isprintable()


def test_solvers_and_means(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(FILES["HTML page"])
    for read in (read_solver, snapshot.read_blob, snapshot.read_solverstate):
        with pytest.raises(CaffeError, match="this is an HTML page"):
            read(path)


@pytest.mark.parametrize("iteration", [1, 3, 5, 7, 40, 12345])
def test_caffes_own_files_are_read(tmp_path, iteration):
    state = snapshot.SolverState(iteration, "x_iter.caffemodel", 0, [np.ones((2, 2), np.float32)])
    snapshot.write_solverstate(tmp_path / "s", state)
    assert snapshot.read_solverstate(tmp_path / "s").iter == iteration
    snapshot.write_solverstate(tmp_path / "s", snapshot.SolverState(iteration, "x", 0, [np.ones(1, np.float32)]))
    assert snapshot.read_solverstate(tmp_path / "s").iter == iteration


def test_nets_and_blobs_are_not_foreign(tmp_path):
    net = caffe_pb2.NetParameter()
    for name in ("n", "x" * 200, ""):
        net.name = name
        net.layer.add(name="l", type="Input", top=["data"])
        assert foreign.kind_of(net.SerializeToString()[:1024]) is None
        (tmp_path / "n").write_bytes(net.SerializeToString())
        assert read_net(tmp_path / "n").param.layer[0].name == "l"
    for num in (1, 8, 300):
        blob = caffe_pb2.BlobProto(num=num, channels=1, height=1, width=1, data=[1] * num)
        (tmp_path / "b").write_bytes(blob.SerializeToString())
        assert snapshot.read_blob(tmp_path / "b").shape == (num, 1, 1, 1)
    assert onnx.load_from_string(FILES["ONNX"]).producer_name == "a program"


@pytest.mark.parametrize(
    "prototxt, reader, message",
    [
        ('base_lr: 1 lr_policy: "fixed"', read_net, "x.prototxt: this is a solver; expected a net"),
        ('layer { name: "a" type: "ReLU" }', read_solver, "x.prototxt: this is a net; expected a solver"),
        ('layer { name: "a" typ: "ReLU" }', read_solver, "SolverParameter has no field 'layer'"),
        ("bas_lr: 1", read_net, "NetParameter has no field 'bas_lr'"),
    ],
)
def test_a_net_and_a_solver_in_place_of_each_other(tmp_path, prototxt, reader, message):
    path = tmp_path / "x.prototxt"
    path.write_text(prototxt)
    with pytest.raises(CaffeError, match=message):
        reader(str(path))
