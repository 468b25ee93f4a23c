"""Net: names, phases and stages, layer ranges, losses and diffs, shared weights, files, errors."""

import gc

import numpy as np
import pytest
from support.layer_nets import net_of

import caffe
from caffe.core import config
from caffe.errors import CaffeError
from caffe.net.net import Net

SMALL = """name: "small" force_backward: true
layer { name: "data" type: "Input" top: "data" top: "label"
  input_param { shape { dim: 5 dim: 2 dim: 6 dim: 6 } shape { dim: 5 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "gaussian" std: 0.5 }
                      bias_filler { type: "constant" value: 2 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.2 } } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


@pytest.fixture(params=[True, False], ids=["fast", "plain"])
def small(request):
    """The net above with random data, with and without the optimization passes."""
    before = config.fast()
    config.set_optimize(request.param)
    caffe.set_random_seed(1)
    net = net_of(SMALL)
    config.set_optimize(before)
    rng = np.random.default_rng(0)
    net.blobs["data"].data[...] = rng.normal(size=(5, 2, 6, 6))
    net.blobs["label"].data[...] = rng.integers(0, 3, 5)
    return net


# -- names and numbers -----------------------------------------------------------------------------


def test_names(small):
    split = ["ip_ip_0_split_0", "ip_ip_0_split_1"]
    assert list(small.blobs) == ["data", "label", "conv", "ip", *split, "prob", "loss"]
    assert small.inputs == ["data", "label"] and small.outputs == ["loss", "prob"]
    assert list(small.layer_dict) == ["data", "conv", "relu", "ip", "ip_ip_0_split", "prob", "loss"]
    assert [layer.type for layer in small.layers][1:4] == ["Convolution", "ReLU", "InnerProduct"]
    assert small.top_names["data"] == ["data", "label"] and small.top_names["ip_ip_0_split"] == split
    assert small.bottom_names["data"] == [] and small.bottom_names["loss"] == [split[1], "label"]
    assert list(small.params) == ["conv", "ip"] and [len(p) for p in small.params.values()] == [2, 2]
    assert small.layer_dict["ip"].blobs[0].data.shape == (3, 64)
    assert {name: w for name, w in small.blob_loss_weights.items() if w} == {"loss": 1.0}


def test_learnable_weights_have_their_multipliers(small):
    multipliers = [(w.layer, w.index, w.lr_mult, w.decay_mult) for w in small.learnable_weights]
    assert multipliers == [("conv", 0, 1, 1), ("conv", 1, 2, 0), ("ip", 0, 1, 1), ("ip", 1, 1, 1)]


# -- running ---------------------------------------------------------------------------------------


def test_forward_returns_outputs_and_requested_blobs(small):
    out = small.forward(blobs=["conv"])
    assert set(out) == {"loss", "prob", "conv"} and (out["conv"] >= 0).all()
    assert np.allclose(out["prob"].sum(1), 1, 1e-5)
    label = small.blobs["label"].data.astype(int)
    assert np.allclose(out["loss"], -np.log(out["prob"][range(5), label]).mean(), 1e-5)


def test_forward_takes_inputs_by_name(small):
    data, label = small.blobs["data"].data.copy(), small.blobs["label"].data.copy()
    expected = small.forward()["prob"].copy()
    small.blobs["data"].data[...] = 0
    assert np.allclose(small.forward(data=data, label=label)["prob"], expected)
    with pytest.raises(CaffeError, match=r"\['data'\] do not match the net's inputs"):
        small.forward(data=data)
    with pytest.raises(CaffeError, match="has 4 items"):
        small.forward(data=data[:4], label=label)


def test_forward_in_two_ranges_equals_forward(small):
    expected = {name: array.copy() for name, array in small.forward().items()}
    conv = small.blobs["conv"].data.copy()
    small.blobs["data"].data[...] *= -1
    small.forward(end="relu")
    half = small.blobs["conv"].data.copy()
    assert not np.allclose(half, conv) and np.allclose(small.blobs["prob"].data, expected["prob"])
    small.blobs["conv"].data[...] = conv  # the second range reads what the user writes
    out = small.forward(start="ip")
    assert all(np.allclose(out[name], expected[name], 1e-5) for name in expected)
    assert set(small.forward(start="conv", end="ip")) == {"ip"}


def test_backward_in_two_ranges_equals_backward(small):
    small.forward()
    small.clear_param_diffs()
    expected = small.backward()["data"].copy()
    weights = [b.diff.copy() for p in small.params.values() for b in p]
    assert np.abs(expected).sum() > 0
    small.clear_param_diffs()
    small.blobs["data"].diff[...] = small.blobs["conv"].diff[...] = 0
    assert set(small.backward(start="loss", end="ip")) == {"conv"}
    assert (small.blobs["data"].diff == 0).all() and (small.params["conv"][0].diff == 0).all()
    assert np.allclose(small.backward(start="relu")["data"], expected, 1e-4, 1e-7)
    assert all(
        np.allclose(b.diff, w, 1e-4, 1e-6) for b, w in zip([b for p in small.params.values() for b in p], weights)
    )


def test_backward_from_a_user_defined_diff(small):
    """The diff set on a top is backpropagated: the gradient of the sum over one unit, as for DeepDream."""
    small.forward()
    small.blobs["ip"].diff[...] = 0
    small.blobs["ip"].diff[:, 1] = 1
    down = small.backward(start="ip")["data"].copy()
    step, data = 1e-2, small.blobs["data"].data.copy()
    small.blobs["data"].data[0, 1, 2, 3] += step
    above = small.forward()["prob"] is not None and small.blobs["ip"].data[:, 1].sum()
    small.blobs["data"].data[...] = data
    small.blobs["data"].data[0, 1, 2, 3] -= step
    small.forward()
    slope = (above - small.blobs["ip"].data[:, 1].sum()) / (2 * step)
    assert abs(slope - down[0, 1, 2, 3]) < 1e-2 * max(1, abs(slope))


def test_weight_diffs_accumulate_and_are_cleared(small):
    small.forward()
    small.backward()
    once = small.params["ip"][0].diff.copy()
    small.backward()
    assert np.allclose(small.params["ip"][0].diff, 2 * once, 1e-5)
    view = small.params["ip"][0].diff
    small.clear_param_diffs()
    assert all((b.diff == 0).all() for p in small.params.values() for b in p) and (view == 0).all()


def test_invalid_arguments_of_forward_and_backward_raise(small):
    small.forward()
    with pytest.raises(CaffeError, match="do not match"):
        small.backward(nonsense=np.ones(1))
    with pytest.raises(CaffeError, match="has no layer 'cnov'; did you mean 'conv'"):
        small.backward(start="cnov")
    with pytest.raises(CaffeError, match="has no blob 'pro'; did you mean 'prob'"):
        small.forward(blobs=["pro"])


def test_forward_all_takes_any_number_of_items(small):
    rng = np.random.default_rng(1)
    data, label = rng.normal(size=(12, 2, 6, 6)).astype(np.float32), np.zeros(12, np.float32)
    out = small.forward_all(data=data, label=label, blobs=["conv"])
    assert out["prob"].shape == (12, 3) and out["conv"].shape == (12, 4, 4, 4)
    for i in (0, 6, 11):
        single = small.forward(data=np.repeat(data[i : i + 1], 5, 0), label=label[:5])["prob"][0]
        assert np.allclose(out["prob"][i], single, 1e-4)


def test_reshaping_an_input_reshapes_the_net(small):
    small.blobs["data"].reshape(2, 2, 6, 6)
    small.blobs["label"].reshape(2)
    small.reshape()
    assert small.blobs["conv"].data.shape == (2, 4, 4, 4) and small.blobs["prob"].data.shape == (2, 3)
    small.blobs["data"].data[...] = 1
    assert small.forward()["prob"].shape == (2, 3)
    small.blobs["data"].reshape(2, 2, 7, 7)
    with pytest.raises(CaffeError, match=r"net.prototxt:9: layer 'ip' \(InnerProduct\)"):
        small.forward()


def test_callbacks_run_for_every_layer(small):
    calls = []
    small.before_forward(lambda i: calls.append(("f", i)))
    small.after_backward(lambda i: calls.append(("b", i)))
    small.forward()
    small.backward()
    assert calls == [("f", i) for i in range(7)] + [("b", i) for i in reversed(range(7))]


# -- memory ----------------------------------------------------------------------------------------


def test_arrays_and_blobs_outlive_the_net():
    net = net_of(SMALL)
    net.forward()
    arrays = [b.data for b in net.blobs.values()] + [b.data for p in net.params.values() for b in p]
    copies = [a.copy() for a in arrays]
    blob, params = net.blobs["conv"], net.params["ip"]
    del net
    gc.collect()
    _ = [np.random.default_rng(0).normal(size=1000) for _ in range(100)]
    assert all(np.array_equal(a, c) for a, c in zip(arrays, copies))
    assert blob.data.shape == (5, 4, 4, 4) and params[0].data.shape == (3, 64)


def test_early_views_stay_live(small):
    views = {name: (blob.data, blob.diff) for name, blob in small.blobs.items()}
    for _ in range(2):
        small.forward()
        small.backward()
        for name, blob in small.blobs.items():
            assert np.array_equal(views[name][0], blob.data) and np.array_equal(views[name][1], blob.diff)
    assert views["prob"][0].sum() > 4.9 and np.abs(views["data"][1]).sum() > 0


# -- losses ----------------------------------------------------------------------------------------

TWO = """force_backward: true
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "a" type: "Power" bottom: "x" top: "a" power_param { power: 2 } %s }
layer { name: "s" type: "Reduction" bottom: "a" top: "s" loss_weight: 3 }
layer { name: "e" type: "EuclideanLoss" bottom: "a" bottom: "x" %s }"""


@pytest.mark.parametrize("middle", ["", "loss_weight: 0.25"])
@pytest.mark.parametrize(
    "last, weight", [('top: "e"', 1), ('top: "e" loss_weight: -2', -2), ("", 1), ("loss_weight: 0", 0)]
)
def test_loss_is_the_weighted_sum_and_backward_its_gradient(middle, last, weight):
    net = net_of(TWO % (middle, last))
    x = np.array([[1, -2, 3], [0.5, 0.25, -1]])
    net.blobs["x"].data[...] = x
    between = 0.25 if middle else 0
    loss = net.forward_range(0, len(net.layers) - 1)
    assert np.isclose(loss, (3 + between) * (x**2).sum() + weight * ((x**2 - x) ** 2).sum() / 4, 1e-5)
    net.backward()
    slope = (3 + between) * 2 * x + weight * (x**2 - x) * (2 * x - 1) / 2
    assert np.allclose(net.blobs["x"].diff, slope, 1e-4, 1e-5)


def test_incomplete_loss_weights_raise():
    slices = (
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 2 } } }\n'
        'layer { name: "s" type: "Slice" bottom: "x" top: "a" top: "b" loss_weight: 1 }'
    )
    with pytest.raises(
        CaffeError, match=r"net.prototxt:2: .*expected one loss_weight per top \(2\) or none, received 1"
    ):
        net_of(slices)


# -- what runs backward ----------------------------------------------------------------------------

FROZEN = """%s
layer { name: "x" type: "Input" top: "x" top: "t" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "one" type: "InnerProduct" bottom: "x" top: "one" %s inner_product_param { num_output: 3 } }
layer { name: "two" type: "InnerProduct" bottom: "one" top: "two" %s %s inner_product_param { num_output: 3 } }
layer { name: "e" type: "EuclideanLoss" bottom: "two" bottom: "t" }"""
FROZEN_LAYER = "param { lr_mult: 0 } param { lr_mult: 0 }"


def nonzero_diffs(force="", one="", two="", down=""):
    """Return which of the diffs (x, weights of one, one, weights of two) are not zero after backward."""
    net = net_of(FROZEN % (force, one, two, down))
    for i, blob in enumerate([net.blobs["x"], *net.params["one"], *net.params["two"]]):
        blob.data[...] = np.random.default_rng(i).normal(size=blob.data.shape)
    net.forward()
    net.backward()
    diffs = [net.blobs["x"].diff, net.params["one"][0].diff, net.blobs["one"].diff, net.params["two"][0].diff]
    return [bool(np.abs(d).sum()) for d in diffs]


CASES = [
    ({}, [False, True, True, True]),
    ({"one": FROZEN_LAYER}, [False, False, False, True]),
    ({"two": FROZEN_LAYER}, [False, True, True, False]),
    ({"one": "param { lr_mult: 0 }"}, [False, False, True, True]),
    ({"down": "propagate_down: false"}, [False, False, False, True]),
    ({"force": "force_backward: true"}, [True, True, True, True]),
    ({"force": "force_backward: true", "one": FROZEN_LAYER, "two": FROZEN_LAYER}, [True, True, True, True]),
]


@pytest.mark.parametrize("options, expected", CASES)
def test_backward_runs_only_for_trainable_layers(options, expected):
    assert nonzero_diffs(**options) == expected


# -- shared weights --------------------------------------------------------------------------------

SHARED = """force_backward: true
layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 4 dim: 3 } } }
layer { name: "b" type: "Input" top: "b" input_param { shape { dim: 4 dim: 3 } } }
layer { name: "one" type: "InnerProduct" bottom: "a" top: "one" param { name: "w" %s }
  inner_product_param { num_output: 2 bias_term: false weight_filler { type: "xavier" } } }
layer { name: "two" type: "InnerProduct" bottom: "b" top: "two" param { name: "w" %s }
  inner_product_param { num_output: %d bias_term: false weight_filler { type: "xavier" } %s } }"""


def test_shared_weights_are_one_blob_and_their_diffs_accumulate():
    net = net_of(SHARED % ("", "", 2, ""))
    rng = np.random.default_rng(3)
    a, b, da, db = (rng.normal(size=s).astype(np.float32) for s in ((4, 3), (4, 3), (4, 2), (4, 2)))
    net.blobs["a"].data[...], net.blobs["b"].data[...] = a, b
    assert len(net.learnable_weights) == 1
    net.params["one"][0].data[...] = 2
    assert (net.params["two"][0].data == 2).all()
    net.forward()
    assert np.allclose(net.blobs["two"].data, b.sum(1, keepdims=True) * 2, 1e-5)
    net.blobs["one"].diff[...], net.blobs["two"].diff[...] = da, db
    net.backward()
    assert np.allclose(net.params["one"][0].diff, da.T @ a + db.T @ b, 1e-4, 1e-5)
    assert np.array_equal(net.params["one"][0].diff, net.params["two"][0].diff)


def test_permissive_sharing_requires_equal_counts_only():
    text = SHARED % ("", "share_mode: %s", 2, "transpose: true")
    with pytest.raises(CaffeError, match=r"param 'w' is shared with layer 'one', where it has shape \(2, 3\)"):
        net_of(text % "STRICT")
    net = net_of(text % "PERMISSIVE")
    net.params["one"][0].data[...] = np.arange(6).reshape(2, 3)
    assert np.array_equal(net.params["two"][0].data, np.arange(6).reshape(3, 2))


def test_multipliers_of_shared_weights_must_agree():
    net = net_of(SHARED % ("lr_mult: 3", "", 2, ""))
    assert [w.lr_mult for w in net.learnable_weights] == [3]
    assert [w.decay_mult for w in net_of(SHARED % ("", "decay_mult: 5", 2, "")).learnable_weights] == [5]
    with pytest.raises(CaffeError, match="two values of lr_mult"):
        net_of(SHARED % ("lr_mult: 3", "lr_mult: 1", 2, ""))


def test_two_nets_share_weights():
    one, two = net_of(SMALL), net_of(SMALL)
    two.share_with(one)
    one.params["ip"][1].data[...] = 42
    assert (two.params["ip"][1].data == 42).all()
    two.params["conv"][0].data[...] = 0.5
    assert (one.params["conv"][0].data == 0.5).all()


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("hdf5", [False, True])
def test_save_and_load(tmp_path, small, hdf5):
    path = str(tmp_path / ("w.caffemodel.h5" if hdf5 else "w.caffemodel"))
    (small.save_hdf5 if hdf5 else small.save)(path)
    (tmp_path / "net.prototxt").write_text(SMALL)
    other = Net(str(tmp_path / "net.prototxt"), caffe.TEST, weights=path)
    for name, blobs in small.params.items():
        assert all(
            np.array_equal(blob.data, loaded.data) for blob, loaded in zip(blobs, other.params[name], strict=True)
        )
    older = Net(str(tmp_path / "net.prototxt"), path, caffe.TEST)  # the older order of arguments
    assert np.array_equal(older.params["ip"][0].data, small.params["ip"][0].data)


def test_copy_from_matches_layer_names_and_is_atomic(tmp_path, small):
    small.save(str(tmp_path / "w.caffemodel"))
    caffe.set_random_seed(9)
    renamed = net_of(SMALL.replace('name: "ip"', 'name: "fresh"'))
    before = renamed.params["fresh"][0].data.copy()
    renamed.copy_from(str(tmp_path / "w.caffemodel"))
    assert np.array_equal(renamed.params["conv"][0].data, small.params["conv"][0].data)
    assert np.array_equal(renamed.params["fresh"][0].data, before)
    wider = net_of(SMALL.replace("num_output: 3", "num_output: 7"))
    before = wider.params["conv"][0].data.copy()
    with pytest.raises(CaffeError, match=r"layer 'ip', blob 0: the file has shape \(3, 64\), the net \(7, 64\)"):
        wider.copy_from(str(tmp_path / "w.caffemodel"))
    assert np.array_equal(wider.params["conv"][0].data, before)


# -- phases, levels, stages ------------------------------------------------------------------------

STAGES = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } }
layer { name: "always" type: "ReLU" bottom: "data" top: "always" }
layer { name: "level0" type: "ReLU" bottom: "data" top: "level0" include { min_level: 0 } }
layer { name: "level1" type: "ReLU" bottom: "data" top: "level1" include { min_level: 1 } }
layer { name: "A" type: "ReLU" bottom: "data" top: "A" include { stage: "A" } }
layer { name: "AorB" type: "ReLU" bottom: "data" top: "AorB" include { stage: "A" } include { stage: "B" } }
layer { name: "AandB" type: "ReLU" bottom: "data" top: "AandB" include { stage: "A" stage: "B" } }
layer { name: "notA" type: "ReLU" bottom: "data" top: "notA" exclude { stage: "A" } }
"""
STATES = [
    (0, (), ["always", "level0", "notA"]),
    (1, (), ["always", "level0", "level1", "notA"]),
    (-1, (), ["always", "notA"]),
    (0, ("A",), ["always", "level0", "A", "AorB"]),
    (0, ("B",), ["always", "level0", "AorB", "notA"]),
    (0, ("A", "B"), ["always", "level0", "A", "AorB", "AandB"]),
]


@pytest.mark.parametrize("level, stages, names", STATES)
def test_levels_and_stages(tmp_path, level, stages, names):
    path = tmp_path / "net.prototxt"
    path.write_text(STAGES)
    net = Net(str(path), caffe.TEST, level=level, stages=list(stages))
    assert sorted(net.outputs) == sorted(names)
    assert net.forward().keys() == set(names)


ALL_IN_ONE = """
layer { name: "train" type: "DummyData" top: "data" top: "label" include { phase: TRAIN not_stage: "deploy" }
  dummy_data_param { shape { dim: 6 dim: 4 } shape { dim: 6 } } }
layer { name: "val" type: "DummyData" top: "data" top: "label" include { phase: TEST not_stage: "deploy" }
  dummy_data_param { shape { dim: 9 dim: 4 } shape { dim: 9 } } }
layer { name: "deploy" type: "Input" top: "data" include { stage: "deploy" }
  input_param { shape { dim: 1 dim: 4 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 2 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" exclude { stage: "deploy" } }
layer { name: "acc" type: "Accuracy" bottom: "ip" bottom: "label" top: "acc"
  include { phase: TEST not_stage: "deploy" } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" include { stage: "deploy" } }
"""
USES = [
    (caffe.TRAIN, (), ["train", "ip", "loss"], ["loss"], 6),
    (caffe.TEST, (), ["val", "ip", "ip_ip_0_split", "loss", "acc"], ["acc", "loss"], 9),
    (caffe.TEST, ("deploy",), ["deploy", "ip", "prob"], ["prob"], 1),
]


@pytest.mark.parametrize("phase, stages, layers, outputs, batch", USES)
def test_one_prototxt_for_train_test_and_deploy(tmp_path, phase, stages, layers, outputs, batch):
    path = tmp_path / "net.prototxt"
    path.write_text(ALL_IN_ONE)
    net = Net(str(path), phase, stages=list(stages))
    names = [name for name in net.layer_dict if "label" not in name]  # without the label's Split layer
    assert names == layers and net.outputs == outputs and net.blobs["ip"].shape == (batch, 2)
    net.forward()


# -- errors ----------------------------------------------------------------------------------------

GOOD = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }\n'
INVALID_LAYERS = [
    ('layer { name: "a" type: "ReLU" bottom: "y" top: "a" }', r"unknown bottom blob 'y' \(bottom 0\)"),
    (
        'layer { name: "a" type: "ReLu" bottom: "x" top: "a" }',
        "unknown layer type 'ReLu'; did you mean 'ReLU'",
    ),
    ('layer { name: "a" type: "ReLU" bottom: "x" top: "a" top: "b" }', r"takes 1 top blob\(s\), received 2"),
    ('layer { name: "a" type: "Softmax" top: "a" }', r"takes 1 bottom blob\(s\), received 0"),
    ('layer { name: "a" type: "Concat" top: "a" }', r"takes 1 or more bottom blob\(s\), received 0"),
    (
        'layer { name: "a" type: "ReLU" bottom: "x" top: "a" param { } }',
        r"received 1 param \{ \}, but the layer has 0 weight blobs",
    ),
    (
        'layer { name: "a" type: "ReLU" bottom: "x" top: "a" propagate_down: true propagate_down: false }',
        "expected one propagate_down per bottom",
    ),
    (
        'layer { name: "a" type: "Tile" bottom: "x" top: "x2" tile_param { tiles: 2 } }\n'
        'layer { name: "b" type: "Tile" bottom: "x2" top: "x" tile_param { tiles: 2 } }',
        "top blob 'x' is already produced by another layer",
    ),
]


@pytest.mark.parametrize("body, message", INVALID_LAYERS)
def test_errors_name_file_and_line(body, message):
    line = 2 + body.count("\n")
    with pytest.raises(CaffeError, match=rf"^net.prototxt:{line}: layer '[ab]' \(\w+\): .*{message}"):
        net_of(GOOD + body)


def test_all_root_errors_are_reported_at_once():
    body = (
        GOOD
        + """
layer { name: "a" type: "Softmax" bottom: "x" top: "a" softmax_param { axis: 7 } }
layer { name: "follows" type: "ReLU" bottom: "a" top: "f" }
layer { name: "also" type: "ReLU" bottom: "f" top: "g" }
layer { name: "b" type: "Tile" bottom: "x" top: "b" }"""
    )
    with pytest.raises(CaffeError) as caught:
        net_of(body)
    assert [line.split(": ")[0] for line in str(caught.value).splitlines()] == [
        "net.prototxt:3",
        "net.prototxt:6",
    ]


def test_every_unknown_type_is_named_although_one_reads_the_other(tmp_path):
    (tmp_path / "n.prototxt").write_text(
        'input: "x" input_shape { dim: 1 }\n'
        'layer { name: "a" type: "DenseCRF" bottom: "x" top: "y" }\n'
        'layer { name: "b" type: "Nms" bottom: "y" top: "z" }\n'
        'layer { name: "c" type: "ReLU" bottom: "z" top: "w" }\n'
    )
    with pytest.raises(CaffeError) as error:
        caffe.Net(str(tmp_path / "n.prototxt"), caffe.TEST)
    lines = str(error.value).splitlines()
    assert len(lines) == 2
    assert "n.prototxt:2: layer 'a' (DenseCRF): " in lines[0] and "DeepLab" in lines[0]
    assert "n.prototxt:3: layer 'b' (Nms): " in lines[1] and "OpenPose" in lines[1]
