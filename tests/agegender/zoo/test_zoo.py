"""Every net of the zoo builds, trains, saves, deploys, exports, runs and answers; counts are the papers' own."""

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
from agegender.inference.predict import with_margin
from agegender.zoo import assemble, compile, wideresnet
from caffe.convert.onnx_import import importer
from caffe.proto import caffe_pb2, text
from caffe.proto.read import read_net

torch.set_num_threads(1)

COUNTS = {  # by hand from the layers' tables, or published
    "levi-age": 11415048,
    "levi-gender": 11411970,
    "tringn-age": 11415561,
    "tringn-gender": 11411970,
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
def test_the_deploy_net_has_the_parameters_it_is_said_to_have(name):
    net = zoo.nets()[name]
    built = assemble.deploy_net(net)
    assert assemble.count_parameters(built) == net.parameters
    assert net.parameters == COUNTS.get(name, net.parameters)
    assert built.inputs == [net.blobs[0]] and built.outputs == [net.blobs[1]]
    assert tuple(built.blobs[net.blobs[0]].shape) == (1, *net.shape) == (1, *net.transform().shape)
    assert tuple(built.blobs[net.blobs[1]].shape) == (1, len(net.labels))


def test_both_heads_of_the_wide_residual_net_have_the_published_count():
    from caffe.net.net import Net

    built = Net.from_param(wideresnet.body(), caffe_pb2.TEST)
    assert assemble.count_parameters(built) == 24463856
    small = Net.from_param(wideresnet.body(side=32), caffe_pb2.TEST)
    assert assemble.count_parameters(small) == 14338544


@pytest.mark.parametrize("name", sorted(zoo.nets()))
def test_the_deploy_file_is_the_definition(name):
    net = zoo.nets()[name]
    stored = read_net("prototxt/" + net.deploy_file).param
    if net.family in ("levi", "tringn"):  # written by hand, Dropout and all
        from caffe.convert.deploy import fold_dropout, strip_training_fields

        stored = strip_training_fields(fold_dropout(stored))
        stored.layer[0].input_param.shape[0].dim[0] = 1  # the published GenderNet takes ten
    wanted = assemble.deploy_param(net)
    assert [text.format(layer) for layer in stored.layer] == [text.format(layer) for layer in wanted.layer]


@pytest.mark.parametrize(("name", "task"), [("levi-age", "AgeNet"), ("levi-gender", "GenderNet")])
def test_levis_body_is_that_of_the_training_file(name, task):
    stored = read_net(f"prototxt/levi/{task}_train_val.prototxt").param
    wanted = [layer for layer in zoo.nets()[name].body().layer if layer.type != "Input"]
    kept = [layer for layer in stored.layer if layer.type not in ("Data", "SoftmaxWithLoss", "Accuracy")]
    assert [text.format(layer) for layer in kept] == [text.format(layer) for layer in wanted]


def dummy(top, shape, kind):
    layer = caffe_pb2.LayerParameter(name=top, type="DummyData", top=[top])
    layer.dummy_data_param.shape.add().dim.extend(shape)
    layer.dummy_data_param.data_filler.add(**kind)
    return layer


BATCH = 2
SOLVER = """net: "%(folder)s/train.prototxt" type: "SGD" base_lr: 0.001 lr_policy: "fixed" momentum: 0.9 max_iter: %(iterations)d
random_seed: 3 display: 0 snapshot_prefix: "%(folder)s/net" """
HUGE = 50e6  # parameters; beyond, one iteration of one picture, and no blob: its compiler takes gigabytes


def trained(net, folder):
    """Path of the caffemodel that a few iterations on noise end with; what is frozen stays, what learns has moved."""
    import caffe

    huge = net.parameters > HUGE
    data = [dummy("data", (1 if huge else BATCH, *net.shape), {"type": "uniform", "min": 0, "max": 1})]
    data += [
        dummy(label, (1 if huge else BATCH,), {"type": "constant", "value": 1}) for label in assemble.label_names(net)
    ]
    (folder / "train.prototxt").write_text(text.format(assemble.train_param(net, data)))
    (folder / "solver.prototxt").write_text(SOLVER % {"folder": folder, "iterations": 1 if huge else 2})
    solver = caffe.get_solver(str(folder / "solver.prototxt"))
    before = {name: samples(blobs) for name, blobs in solver.net.params.items()}
    solver.step(solver.param.max_iter)
    for layer in solver.net.layer_dict.values():
        if layer.param.name not in before:
            continue
        frozen = bool(layer.param.param) and not any(spec.lr_mult for spec in layer.param.param)
        moved = any((old != new).any() for old, new in zip(before[layer.param.name], samples(layer.blobs)))
        assert moved != frozen or layer.param.type == "BatchNorm", layer.param.name
    solver.net.save(str(folder / "trained.caffemodel"))
    return str(folder / "trained.caffemodel")


def preprocessing_of(net, path):
    """The caffemodel for a deploy net that has its normalisations in its weights; `path` where it has not."""
    from caffe.convert.fold_batch_norm import fold_norm
    from caffe.weights.snapshot import read_weights, write_caffemodel

    if not net.folded:
        return path
    param, weights = fold_norm(assemble.unfolded_param([net], [net.blobs[1]]), read_weights(path))
    write_caffemodel(path + ".folded.caffemodel", param, weights)
    return path + ".folded.caffemodel"


def samples(blobs):
    """A few hundred values of each blob."""
    return [np.array(blob.data).ravel()[:: max(1, blob.count // 500)] for blob in blobs]


def ask(net, folder, device, capsys):
    """Probabilities by `run_inference.py --model`."""
    argv = [
        "--model",
        net.name,
        "--model-dir",
        folder,
        "--image_path",
        folder / "face.png",
        "--device",
        device,
        "--json",
    ]
    assert cli.main(["predict", *map(str, argv)]) == 0
    told = json.loads(capsys.readouterr().out)["answers"][net.name]
    assert told["label"] == net.labels.decode(told["probabilities"]).text
    return np.array(told["probabilities"])


def run(path, prototxt, blob):
    """Output of a Caffe net for one blob."""
    from caffe.net.net import Net

    net = Net(str(prototxt), caffe_pb2.TEST, weights=str(path))
    net.blobs[net.inputs[0]].data[...] = blob
    net.forward()
    return np.array(net.blobs[net.outputs[0]].data[0])


def blobs_can_be_compiled():
    """Whether the Myriad compiler is here or can be fetched."""
    from caffe.errors import CaffeError
    from ncs.myriad import toolchain

    try:
        return bool(toolchain.toolchain())
    except CaffeError:
        return False


@pytest.fixture
def tidy(tmp_path):
    """Leaves no gigabytes behind, in memory or on the disk."""
    yield
    shutil.rmtree(tmp_path)
    give_back()


def give_back():
    """Return what is free to the system: training told malloc to keep it (caffe.core.malloc)."""
    gc.collect()
    if hasattr(ctypes.CDLL(None), "malloc_trim"):
        ctypes.CDLL(None).malloc_trim(0)


@pytest.mark.parametrize("name", sorted(zoo.nets()))
def test_the_whole_road_of_a_net(name, tmp_path, tidy, capsys):
    """Trains, saves, deploys, compiles, answers through every runner, and comes back from its ONNX file."""
    from ncs.compiler.compile import Options
    from ncs.myriad.blob import read_blob

    net = zoo.nets()[name]
    weights, blob = preprocessing_of(net, trained(net, tmp_path)), net.parameters < HUGE and blobs_can_be_compiled()
    give_back()
    compile.make([net], str(tmp_path), Options(ir=False, blob=blob), weights=weights)
    picture = np.random.default_rng(1).integers(0, 256, (230, 210, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "face.png"), picture)
    ours, theirs = (ask(net, tmp_path, device, capsys) for device in ("CAFFE", "ONNXRUNTIME"))
    spread = theirs.max() - theirs.min()
    assert spread > 1e-5 and theirs.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-3 * spread)
    files = importer.write(tmp_path / (name + ".onnx"), str(tmp_path / "back.caffemodel"))
    fed = net.transform().image(with_margin(picture, net.transform().margin))
    np.testing.assert_allclose(run(files[1], files[0], fed), theirs, rtol=0, atol=1e-3 * spread)
    if blob:
        made = read_blob(tmp_path / (name + ".blob"))
        assert [(t.name, t.dims) for t in made.inputs] == [(net.blobs[0], (1, *net.shape))]
        assert [(t.name, t.dims) for t in made.outputs] == [(net.blobs[1], (1, len(net.labels)))]
    elif net.parameters < HUGE:
        pytest.skip("all but the blob was held: the Myriad compiler cannot be had here")


def test_names_find_nets_and_what_shares_weights():
    assert [net.task for net in zoo.resolve("wideresnet")] == ["age", "gender"]
    assert [net.name for net in zoo.resolve("levi-age")] == ["levi-age"]
    with pytest.raises(AgeGenderError, match="googlenet-age"):
        zoo.resolve("googlenet-agee")


def test_auxiliary_heads_are_for_training_only():
    net = zoo.nets()["googlenet-age"]
    names = {layer.name for layer in net.body().layer}
    assert {"loss1/fc", "loss2/fc", "pool5/drop_7x7_s1"} <= names
    assert not {
        name for name in (layer.name for layer in assemble.deploy_param(net).layer) if name[:5] in ("loss1", "loss2")
    }
    assert [weight for _, _, weight in net.losses] == [0.3, 0.3, 1.0]
