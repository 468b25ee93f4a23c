"""The five nets of prototxt/ that the literature knows: sizes, a training step, files, the same answers in three runtimes."""

import runpy

import cv2
import numpy as np
import pytest
from support.checkout import ROOT

import caffe
from caffe.convert.deploy import deploy
from caffe.convert.onnx_export import model_bytes
from caffe.data import datum
from caffe.data.db import create_db
from caffe.proto import caffe_pb2, text
from caffe.proto.read import read_net, read_solver

FOLDER = ROOT / "prototxt"
# Weights of the deploy net as the literature counts them: BatchNorm's running sums are no weights.
PARAMETERS = {
    "alexnet": 60_965_224,
    "googlenet": 6_998_552,
    "vgg16": 138_357_544,
    "resnet50": 25_557_032,
    "squeezenet": 1_235_496,
}
HEADS = 2 * (128 + 1024 * (2048 + 1) + 1000 * (1024 + 1)) + 128 * (512 + 528)  # GoogLeNet's, of the training only


def count(net):
    """(weights, running sums) of a net."""
    weights = sums = 0
    for name, blobs in net.params.items():
        size = sum(blob.count for blob in blobs)
        if net.layer_dict[name].type == "BatchNorm":
            sums += size
        else:
            weights += size
    return weights, sums


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """An LMDB of four encoded pictures of 256 x 256."""
    path = tmp_path_factory.mktemp("pictures") / "lmdb"
    rng = np.random.default_rng(0)
    with create_db(path) as writer:
        for i in range(4):
            coarse = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
            coded = cv2.imencode(".png", cv2.resize(coarse, (256, 256)))[1].tobytes()
            record = caffe_pb2.Datum(data=coded, encoded=True, label=int(rng.integers(1000)))
            writer.put(b"%08d" % i, record.SerializeToString())
            assert datum.decode(record.SerializeToString())[0].shape == (3, 256, 256)
    return path


def training_net(name, pictures):
    """The train_val net in phase TRAIN over `pictures`, one at a time."""
    param = read_net(str(FOLDER / name / "train_val.prototxt")).param
    for layer in param.layer:
        if layer.type == "Data":
            layer.data_param.source, layer.data_param.batch_size = str(pictures), 1
    caffe.set_random_seed(1)
    return caffe.Net.from_param(param, caffe.TRAIN)


@pytest.fixture(params=sorted(PARAMETERS))
def name(request):
    return request.param


def test_the_files_are_what_their_program_writes(name, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER / "make"))
    for file, content in runpy.run_path(str(FOLDER / "make" / "__main__.py"))["files"](name).items():
        assert (FOLDER / name / file).read_text(encoding="utf-8") == content


def test_the_deploy_file_is_what_deploy_makes_of_the_training_net(name):
    made = deploy(read_net(str(FOLDER / name / "train_val.prototxt")).param)
    assert text.format(made) == text.format(read_net(str(FOLDER / name / "deploy.prototxt")).param)


def test_the_solver_names_the_net_and_tests_it_whole(name):
    param = read_solver(str(FOLDER / name / "solver.prototxt")).param
    net = read_net(str(ROOT / param.net)).param
    assert param.test_iter[0] * net.layer[1].data_param.batch_size == 50_000


def test_one_step_files_and_three_runtimes(name, pictures, tmp_path):
    net = training_net(name, pictures)
    size, sums = count(net)
    assert size == PARAMETERS[name] + (HEADS if name == "googlenet" else 0)
    assert sums == (2 * 26_560 + 53 if name == "resnet50" else 0)
    loss = net.forward_range(0, len(net.layers) - 1)
    assert 4 < loss < 100
    net.backward_range(len(net.layers) - 1, 0)
    for weight in net.learnable_weights:
        diff = weight.blob.diff
        assert np.isfinite(diff).all() and (diff.any() or weight.lr_mult == 0), weight.layer
    path = str(tmp_path / "net.caffemodel")
    net.save(path)
    first = next(iter(net.params))
    kept = net.params[first][0].data.copy()
    del net, diff, weight
    answers = caffe.Net(str(FOLDER / name / "deploy.prototxt"), caffe.TEST, weights=path)
    assert count(answers)[0] == PARAMETERS[name] and np.array_equal(answers.params[first][0].data, kept)
    picture = np.random.default_rng(1).uniform(-9, 9, answers.blobs["data"].shape).astype(np.float32)
    expected = answers.forward(data=picture)["prob"].copy().reshape(1, 1000)
    assert expected.sum() == pytest.approx(1, abs=1e-4) and expected.std() > 0
    model = model_bytes(answers)
    del answers
    for runtime in (onnxruntime_says, openvino_says):
        np.testing.assert_allclose(runtime(model, picture).reshape(1, 1000), expected, rtol=1e-3, atol=1e-4)


def onnxruntime_says(model, picture):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"data": picture})[0]


def openvino_says(model, picture):
    import openvino

    core = openvino.Core()
    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = core.compile_model(core.read_model(model), "CPU", config)
    return next(iter(compiled({"data": picture}).values()))
