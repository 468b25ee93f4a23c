"""The five published nets in prototxt/: sizes, a training step, files, the same outputs in three runtimes."""

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
GENERATOR = ROOT / "scripts" / "make_prototxt"
# Weights of the deploy net as the literature counts them: without BatchNorm's running sums.
PARAMETERS = {
    "alexnet": 60_965_224,
    "googlenet": 6_998_552,
    "vgg16": 138_357_544,
    "resnet50": 25_557_032,
    "squeezenet": 1_235_496,
}
HEADS = 2 * (128 + 1024 * (2048 + 1) + 1000 * (1024 + 1)) + 128 * (
    512 + 528
)  # GoogLeNet's auxiliary classifiers, in the training net only


def count(net):
    """Count (weights, running sums) of a net."""
    weights = sums = 0
    for name, blobs in net.params.items():
        size = sum(blob.count for blob in blobs)
        if net.layer_dict[name].type == "BatchNorm":
            sums += size
        else:
            weights += size
    return weights, sums


@pytest.fixture(scope="module")
def image_lmdb(tmp_path_factory):
    """An LMDB of four encoded images of 256 x 256."""
    path = tmp_path_factory.mktemp("images") / "lmdb"
    rng = np.random.default_rng(0)
    with create_db(path) as writer:
        for i in range(4):
            coarse = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
            encoded = cv2.imencode(".png", cv2.resize(coarse, (256, 256)))[1].tobytes()
            record = caffe_pb2.Datum(data=encoded, encoded=True, label=int(rng.integers(1000)))
            writer.put(b"%08d" % i, record.SerializeToString())
            assert datum.decode(record.SerializeToString())[0].shape == (3, 256, 256)
    return path


def training_net(name, image_lmdb):
    """The train_val net in phase TRAIN on the database `image_lmdb`, batch size 1."""
    param = read_net(str(FOLDER / name / "train_val.prototxt")).param
    for layer in param.layer:
        if layer.type == "Data":
            layer.data_param.source, layer.data_param.batch_size = str(image_lmdb), 1
    caffe.set_random_seed(1)
    return caffe.Net.from_param(param, caffe.TRAIN)


@pytest.fixture(params=sorted(PARAMETERS))
def name(request):
    return request.param


def test_files_are_up_to_date_with_their_generator(name, monkeypatch):
    monkeypatch.syspath_prepend(str(GENERATOR))
    for file, content in runpy.run_path(str(GENERATOR / "__main__.py"))["files"](name).items():
        assert (FOLDER / name / file).read_text(encoding="utf-8") == content


def test_deploy_file_matches_the_converted_training_net(name):
    deploy_net = deploy(read_net(str(FOLDER / name / "train_val.prototxt")).param)
    assert text.format(deploy_net) == text.format(read_net(str(FOLDER / name / "deploy.prototxt")).param)


def test_solver_tests_on_the_whole_validation_set(name):
    param = read_solver(str(FOLDER / name / "solver.prototxt")).param
    net = read_net(str(ROOT / param.net)).param
    assert param.test_iter[0] * net.layer[1].data_param.batch_size == 50_000


def test_training_step_caffemodel_and_three_runtimes(name, image_lmdb, tmp_path):
    net = training_net(name, image_lmdb)
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
    first_layer = next(iter(net.params))
    first_weights = net.params[first_layer][0].data.copy()
    del net, diff, weight
    deploy_net = caffe.Net(str(FOLDER / name / "deploy.prototxt"), caffe.TEST, weights=path)
    assert count(deploy_net)[0] == PARAMETERS[name]
    assert np.array_equal(deploy_net.params[first_layer][0].data, first_weights)
    image = np.random.default_rng(1).uniform(-9, 9, deploy_net.blobs["data"].shape).astype(np.float32)
    expected = deploy_net.forward(data=image)["prob"].copy().reshape(1, 1000)
    assert expected.sum() == pytest.approx(1, abs=1e-4) and expected.std() > 0
    model = model_bytes(deploy_net)
    del deploy_net
    for runtime in (run_onnxruntime, run_openvino):
        np.testing.assert_allclose(runtime(model, image).reshape(1, 1000), expected, rtol=1e-3, atol=1e-4)


def run_onnxruntime(model, image):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"data": image})[0]


def run_openvino(model, image):
    import openvino

    core = openvino.Core()
    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = core.compile_model(core.read_model(model), "CPU", config)
    return next(iter(compiled({"data": image}).values()))
