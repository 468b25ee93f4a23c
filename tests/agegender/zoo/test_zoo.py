"""Every net of the zoo builds, trains, saves, deploys, exports and runs; parameter counts are those of the papers."""

import ctypes
import gc
import json
import shutil

import cv2
import numpy as np
import pytest
import torch

from agegender import cli, zoo
from agegender.errors import AgeGenderError
from agegender.inference.faces import face_settings
from agegender.inference.predict import with_margin
from agegender.zoo import assemble, compile, wideresnet
from caffe.convert.onnx_import import importer
from caffe.proto import caffe_pb2, text
from caffe.proto.read import read_net

torch.set_num_threads(1)

COUNTS = {  # published, or computed by hand from the tables of layers
    "levi-age": 11415048,
    "levi-gender": 11411970,
    "AgeNet": 11415561,
    "GenderNet": 11411970,
    "googlenet-age": 5981752,
    "googlenet-gender": 5975602,
    "vgg16-age": 134674341,
    "vgg16-gender": 134674341 - 99 * 4097,
    "wideresnet-age": 24463856 - 262144,
    "wideresnet-gender": 24463856 - 13238272,
    "wideresnet-pooled-age": 10949040 + 14400 + 512 * 101,
    "wideresnet-pooled-gender": 10949040 + 14400 + 512 * 2,
    "zealerww-paper": 96 * 148 + 256 * 2401 + 384 * 2305 + 512 * 9601 + 512 * 513 + 2 * 513,
    "zealerww-vggface": 14714688 + 512 * 25089 + 512 * 513 + 2 * 513,
}


@pytest.mark.parametrize("name", sorted(zoo.nets()))
def test_deploy_net_has_the_stated_parameters_and_shapes(name):
    net = zoo.nets()[name]
    deploy = assemble.deploy_net(net)
    assert assemble.count_parameters(deploy) == net.parameters
    assert net.parameters == COUNTS.get(name, net.parameters)
    assert deploy.inputs == [net.blobs[0]] and deploy.outputs == [net.blobs[1]]
    assert tuple(deploy.blobs[net.blobs[0]].shape) == (1, *net.shape) == (1, *net.transform().shape)
    assert tuple(deploy.blobs[net.blobs[1]].shape) == (1, len(net.labels))


def test_wide_residual_net_with_both_heads_has_the_published_count():
    from caffe.net.net import Net

    full = Net.from_param(wideresnet.body(), caffe_pb2.TEST)
    assert assemble.count_parameters(full) == 24463856
    small = Net.from_param(wideresnet.body(side=32), caffe_pb2.TEST)
    assert assemble.count_parameters(small) == 14338544


@pytest.mark.parametrize("name", sorted(zoo.nets()))
def test_deploy_file_equals_the_definition(name):
    net = zoo.nets()[name]
    stored = read_net("prototxt/" + net.deploy_file).param
    if net.family in ("levi", "tringn"):  # handwritten, with Dropout
        from caffe.convert.deploy import fold_dropout, strip_training_fields

        stored = strip_training_fields(fold_dropout(stored))
        stored.layer[0].input_param.shape[0].dim[0] = 1  # the published GenderNet has a batch of ten
    expected = assemble.deploy_param(net)
    assert [text.format(layer) for layer in stored.layer] == [text.format(layer) for layer in expected.layer]


@pytest.mark.parametrize(("name", "task"), [("levi-age", "AgeNet"), ("levi-gender", "GenderNet")])
def test_levi_body_equals_the_training_file(name, task):
    stored = read_net(f"prototxt/levi/{task}_train_val.prototxt").param
    expected = [layer for layer in zoo.nets()[name].body().layer if layer.type != "Input"]
    kept = [layer for layer in stored.layer if layer.type not in ("Data", "SoftmaxWithLoss", "Accuracy")]
    assert [text.format(layer) for layer in kept] == [text.format(layer) for layer in expected]


def dummy_data(top, shape, **filler):
    layer = caffe_pb2.LayerParameter(name=top, type="DummyData", top=[top])
    layer.dummy_data_param.shape.add().dim.extend(shape)
    layer.dummy_data_param.data_filler.add(**filler)
    return layer


BATCH = 2
SOLVER = """net: "%(folder)s/train.prototxt"
type: "SGD" base_lr: 0.001 lr_policy: "fixed" momentum: 0.9 max_iter: %(iterations)d
random_seed: 3 display: 0 snapshot_prefix: "%(folder)s/net" """
HUGE = 50e6  # parameters; larger nets train one iteration on one image, without a blob, whose compiler needs gigabytes


def train(net, folder):
    """Train a few iterations on noise and return the caffemodel; asserts that exactly the trainable weights change."""
    import caffe

    huge = net.parameters > HUGE
    batch = 1 if huge else BATCH
    data = [dummy_data("data", (batch, *net.shape), type="uniform", min=0, max=1)]
    data += [dummy_data(label, (batch,), type="constant", value=1) for label in assemble.label_names(net)]
    (folder / "train.prototxt").write_text(text.format(assemble.train_param(net, data)))
    (folder / "solver.prototxt").write_text(SOLVER % {"folder": folder, "iterations": 1 if huge else 2})
    solver = caffe.get_solver(str(folder / "solver.prototxt"))
    before = {name: samples(blobs) for name, blobs in solver.net.params.items()}
    solver.step(solver.param.max_iter)
    for layer in solver.net.layer_dict.values():
        if layer.param.name not in before:
            continue
        frozen = bool(layer.param.param) and not any(spec.lr_mult for spec in layer.param.param)
        changed = any((old != new).any() for old, new in zip(before[layer.param.name], samples(layer.blobs)))
        assert changed != frozen or layer.param.type == "BatchNorm", layer.param.name
    solver.net.save(str(folder / "trained.caffemodel"))
    return str(folder / "trained.caffemodel")


def fold(net, path):
    """Fold batch normalization if the deploy net expects that; returns the path of the caffemodel."""
    from caffe.convert.fold_batch_norm import fold_norm
    from caffe.weights.snapshot import read_weights, write_caffemodel

    if not net.folded:
        return path
    param, weights = fold_norm(assemble.unfolded_param([net], [net.blobs[1]]), read_weights(path))
    write_caffemodel(path + ".folded.caffemodel", param, weights)
    return path + ".folded.caffemodel"


def samples(blobs):
    """About 500 values of each blob."""
    return [np.array(blob.data).ravel()[:: max(1, blob.count // 500)] for blob in blobs]


def predict(net, folder, device, capsys):
    """Probabilities by `run_inference.py --model`."""
    argv = ["--model", net.name, "--model-dir", folder, "--image_path", folder / "face.png", "--device", device]
    capsys.readouterr()  # a first compilation says that it downloads the compiler
    assert cli.main(["predict", *map(str, argv), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)["answers"][net.name]
    assert answer["label"] == net.labels.decode(answer["probabilities"]).text
    return np.array(answer["probabilities"])


def run(path, prototxt, blob):
    """Output of a Caffe net for one blob."""
    from caffe.net.net import Net

    net = Net(str(prototxt), caffe_pb2.TEST, weights=str(path))
    net.blobs[net.inputs[0]].data[...] = blob
    net.forward()
    return np.array(net.blobs[net.outputs[0]].data[0])


def blobs_can_be_compiled():
    """Whether the Myriad compiler is available or can be downloaded."""
    from caffe.errors import CaffeError
    from ncs.myriad import toolchain

    try:
        return bool(toolchain.toolchain())
    except CaffeError:
        return False


@pytest.fixture
def cleanup(tmp_path):
    """Release gigabytes of memory and disk space after the test."""
    yield
    shutil.rmtree(tmp_path)
    trim_memory()


def trim_memory():
    """Return free memory to the system; training makes malloc keep it (caffe.core.malloc)."""
    gc.collect()
    if hasattr(ctypes.CDLL(None), "malloc_trim"):
        ctypes.CDLL(None).malloc_trim(0)


@pytest.mark.parametrize("name", sorted(zoo.nets()))
def test_train_deploy_compile_predict_and_reimport(name, tmp_path, cleanup, capsys):
    """Train, save, deploy and compile a net, predict with every runner, and import its ONNX file again."""
    from ncs.compiler.compile import Options
    from ncs.myriad.blob import read_blob

    net = zoo.nets()[name]
    weights, blob = fold(net, train(net, tmp_path)), net.parameters < HUGE and blobs_can_be_compiled()
    trim_memory()
    compile.compile_nets([net], str(tmp_path), Options(ir=False, blob=blob), weights=weights)
    image = np.random.default_rng(1).integers(0, 256, (230, 210, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "face.png"), image)
    received, expected = (predict(net, tmp_path, device, capsys) for device in ("CAFFE", "ONNXRUNTIME"))
    spread = expected.max() - expected.min()
    assert spread > 1e-5 and expected.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(received, expected, rtol=0, atol=1e-3 * spread)
    prototxt, caffemodel = importer.write(tmp_path / (name + ".onnx"), str(tmp_path / "imported.caffemodel"))
    data = net.transform().image(with_margin(image, face_settings.margin(net.transform())))
    np.testing.assert_allclose(run(caffemodel, prototxt, data), expected, rtol=0, atol=1e-3 * spread)
    if blob:
        compiled = read_blob(tmp_path / (name + ".blob"))
        assert [(t.name, t.dims) for t in compiled.inputs] == [(net.blobs[0], (1, *net.shape))]
        assert [(t.name, t.dims) for t in compiled.outputs] == [(net.blobs[1], (1, len(net.labels)))]
    elif net.parameters < HUGE:
        pytest.skip("everything but the blob was tested: the Myriad compiler is not available")


def test_resolve_finds_nets_and_those_that_share_weights():
    assert [net.task for net in zoo.resolve("wideresnet")] == ["age", "gender"]
    assert [net.name for net in zoo.resolve("levi-age")] == ["levi-age"]
    with pytest.raises(AgeGenderError, match="googlenet-age"):
        zoo.resolve("googlenet-agee")


def test_auxiliary_heads_are_in_the_training_net_only():
    net = zoo.nets()["googlenet-age"]
    names = {layer.name for layer in net.body().layer}
    assert {"loss1/fc", "loss2/fc", "pool5/drop_7x7_s1"} <= names
    assert not [layer for layer in assemble.deploy_param(net).layer if layer.name.startswith(("loss1", "loss2"))]
    assert [weight for _, _, weight in net.losses] == [0.3, 0.3, 1.0]
