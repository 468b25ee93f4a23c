"""Every net of the zoo builds, trains, saves, deploys, exports, runs and answers; counts are the papers' own."""

import numpy as np
import pytest
import torch

from agegender import zoo
from agegender.errors import AgeGenderError
from agegender.predict import Head
from agegender.zoo import build, wideresnet
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
    built = build.deploy_net(net)
    assert build.count_parameters(built) == net.parameters
    assert net.parameters == COUNTS.get(name, net.parameters)
    assert built.inputs == [net.blobs[0]] and built.outputs == [net.blobs[1]]
    assert tuple(built.blobs[net.blobs[0]].shape) == (1, *net.shape) == (1, *net.transform().shape)
    assert tuple(built.blobs[net.blobs[1]].shape) == (1, len(net.labels))


def test_both_heads_of_the_wide_residual_net_have_the_published_count():
    from caffe.net import Net

    built = Net.from_param(wideresnet.body(), caffe_pb2.TEST)
    assert build.count_parameters(built) == 24463856
    small = Net.from_param(wideresnet.body(side=32), caffe_pb2.TEST)
    assert build.count_parameters(small) == 14338544


@pytest.mark.parametrize("name", sorted(zoo.nets()))
def test_the_deploy_file_is_the_definition(name):
    net = zoo.nets()[name]
    stored = read_net("prototxt/" + net.deploy_file).param
    if net.family in ("levi", "tringn"):  # written by hand, Dropout and all
        from ncs.deploy import fold_dropout, forget_training

        stored = forget_training(fold_dropout(stored))
        stored.layer[0].input_param.shape[0].dim[0] = 1  # the published GenderNet takes ten
    wanted = build.deploy_param(net)
    assert [text.format(layer) for layer in stored.layer] == [text.format(layer) for layer in wanted.layer]


@pytest.mark.parametrize(("name", "task"), [("levi-age", "AgeNet"), ("levi-gender", "GenderNet")])
def test_levis_body_is_that_of_the_training_file(name, task):
    stored = read_net("prototxt/levi/%s_train_val.prototxt" % task).param
    wanted = [layer for layer in zoo.nets()[name].body().layer if layer.type != "Input"]
    kept = [layer for layer in stored.layer if layer.type not in ("Data", "SoftmaxWithLoss", "Accuracy")]
    assert [text.format(layer) for layer in kept] == [text.format(layer) for layer in wanted]


def dummy(top, shape, kind):
    layer = caffe_pb2.LayerParameter(name=top, type="DummyData", top=[top])
    layer.dummy_data_param.shape.add().dim.extend(shape)
    layer.dummy_data_param.data_filler.add(**kind)
    return layer


TRAINED = ("levi-gender", "tringn-age", "googlenet-age", "wideresnet-pooled-gender", "zealerww-paper",
           "zealerww-selu", "zealerww-leaky", "zealerww-batchnorm", "zealerww-resnet", "zealerww-inception")  # fmt: skip


@pytest.mark.parametrize("name", TRAINED)
def test_the_whole_road_of_a_net(name, tmp_path):
    import caffe
    from caffe.proto.text import format as written
    from ncs.compile import Model, Options, compile_models
    from ncs.runners import open_runner

    net = zoo.nets()[name]
    data = [dummy("data", (2, *net.shape), {"type": "uniform", "min": 0, "max": 1})]
    data += [dummy(label, (2,), {"type": "constant", "value": 1}) for label in build.labels_of(net)]
    (tmp_path / "train.prototxt").write_text(written(build.train_param(net, data)))
    (tmp_path / "deploy.prototxt").write_text(build.deploy_text(net))
    (tmp_path / "solver.prototxt").write_text(
        'net: "%s/train.prototxt" base_lr: 0.0001 lr_policy: "fixed" momentum: 0.9 type: "Nesterov" max_iter: 2 '
        'snapshot_prefix: "%s/s" random_seed: 3 display: 0 snapshot_format: BINARYPROTO' % (tmp_path, tmp_path)
    )
    solver = caffe.get_solver(str(tmp_path / "solver.prototxt"))
    before = {layer: np.array(blobs[0].data) for layer, blobs in solver.net.params.items() if len(blobs) < 3}
    solver.step(2)
    assert any((before[layer] != solver.net.params[layer][0].data).any() for layer in before)
    solver.net.save(str(tmp_path / "net.caffemodel"))
    model = Model(net.name, str(tmp_path / "deploy.prototxt"), str(tmp_path / "net.caffemodel"), net.transform(),
                  list(net.labels.names), net.labels.name, net.labels.decoder)  # fmt: skip
    stem = str(tmp_path / "out")
    (manifest,) = compile_models([(model, stem)], Options(blob=False, ir=False), say=lambda _: None)
    picture = np.random.default_rng(1).integers(0, 256, (230, 230, 3), np.uint8)
    blob = net.transform().image(picture)[None]
    ours, theirs = (open_runner(device, manifest).run(blob)[0] for device in ("CAFFE", "ONNXRUNTIME"))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=2e-5)
    answer = Head(manifest, None).answer(theirs)
    assert answer.text == net.labels.decode(ours).text and len(answer.probabilities) == len(net.labels)


@pytest.mark.parametrize("name", ["vgg16-gender", "zealerww-vggface", "wideresnet-age"])
def test_huge_nets_answer(name):
    net = zoo.nets()[name]
    built = build.deploy_net(net)
    built.forward()
    np.testing.assert_allclose(built.blobs[net.blobs[1]].data.sum(), 1, rtol=1e-5)


def test_names_find_nets_and_what_shares_weights():
    assert [net.task for net in zoo.named("wideresnet")] == ["age", "gender"]
    assert [net.name for net in zoo.named("levi-age")] == ["levi-age"]
    with pytest.raises(AgeGenderError, match="googlenet-age"):
        zoo.named("googlenet-agee")


def test_auxiliary_heads_are_for_training_only():
    net = zoo.nets()["googlenet-age"]
    names = {layer.name for layer in net.body().layer}
    assert {"loss1/fc", "loss2/fc", "pool5/drop_7x7_s1"} <= names
    assert not {name for name in (layer.name for layer in build.deploy_param(net).layer) if name[:5] in ("loss1", "loss2")}
    assert [weight for _, _, weight in net.losses] == [0.3, 0.3, 1.0]
