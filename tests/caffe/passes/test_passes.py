"""Nets run through the passes as they run plainly: pass by pass, blob by blob, whoever looks and whenever."""

import numpy as np
import pytest
import torch

from caffe import config, passes
from caffe.layers.base import TEST, TRAIN
from caffe.net import Net
from caffe.proto import caffe_pb2, text

FACES = """
    layer { name: "data" type: "Input" top: "data" top: "label"
      input_param { shape { dim: 3 dim: 3 dim: 33 dim: 31 } shape { dim: 3 } } }
    layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
      convolution_param { num_output: 8 kernel_size: 5 stride: 2 weight_filler { type: "xavier" } } }
    layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
    layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
      pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
    layer { name: "norm1" type: "LRN" bottom: "pool1" top: "norm1" lrn_param { alpha: 0.1 } }
    layer { name: "conv2" type: "Convolution" bottom: "norm1" top: "conv2"
      convolution_param { num_output: 6 kernel_size: 3 pad: 1 group: 2 weight_filler { type: "xavier" } } }
    layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
    layer { name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2"
      pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
    layer { name: "fc" type: "InnerProduct" bottom: "pool2" top: "fc"
      inner_product_param { num_output: 7 weight_filler { type: "xavier" } } }
    layer { name: "relu3" type: "ReLU" bottom: "fc" top: "fc" }
    layer { name: "fc2" type: "InnerProduct" bottom: "fc" top: "fc2"
      inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc2" bottom: "label" top: "loss" }
"""
INCEPTION = """
    layer { name: "data" type: "Input" top: "data" top: "label"
      input_param { shape { dim: 2 dim: 4 dim: 9 dim: 9 } shape { dim: 2 } } }
    layer { name: "in" type: "Convolution" bottom: "data" top: "in"
      convolution_param { num_output: 6 kernel_size: 3 weight_filler { type: "xavier" } } }
    layer { name: "relu_in" type: "ReLU" bottom: "in" top: "in" }
    layer { name: "a" type: "Convolution" bottom: "in" top: "a"
      convolution_param { num_output: 3 kernel_size: 1 weight_filler { type: "xavier" } } }
    layer { name: "relu_a" type: "ReLU" bottom: "a" top: "a" }
    layer { name: "b" type: "Pooling" bottom: "in" top: "b"
      pooling_param { pool: MAX kernel_size: 3 stride: 1 pad: 1 } }
    layer { name: "c" type: "Convolution" bottom: "b" top: "c"
      convolution_param { num_output: 2 kernel_size: 1 weight_filler { type: "xavier" } } }
    layer { name: "relu_c" type: "ReLU" bottom: "c" top: "c" }
    layer { name: "out" type: "Concat" bottom: "a" bottom: "c" top: "out" }
    layer { name: "mean" type: "Pooling" bottom: "out" top: "mean"
      pooling_param { pool: AVE kernel_size: 7 } }
    layer { name: "fc" type: "InnerProduct" bottom: "mean" top: "fc"
      inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""
RESIDUAL = """
    layer { name: "data" type: "Input" top: "data" top: "label"
      input_param { shape { dim: 3 dim: 4 dim: 9 dim: 8 } shape { dim: 3 } } }
    layer { name: "bn0" type: "BatchNorm" bottom: "data" top: "bn0" }
    layer { name: "scale0" type: "Scale" bottom: "bn0" top: "bn0" }
    layer { name: "in" type: "Convolution" bottom: "bn0" top: "in"
      convolution_param { num_output: 6 kernel_size: 3 pad: 1 bias_term: false weight_filler { type: "msra" } } }
    layer { name: "bn1" type: "BatchNorm" bottom: "in" top: "bn1" }
    layer { name: "scale1" type: "Scale" bottom: "bn1" top: "bn1"
      scale_param { bias_term: true filler { type: "gaussian" mean: 1 std: 0.5 } bias_filler { value: 0.2 } } }
    layer { name: "relu1" type: "ReLU" bottom: "bn1" top: "bn1" }
    layer { name: "a" type: "Convolution" bottom: "bn1" top: "a"
      convolution_param { num_output: 6 kernel_size: 3 pad: 1 bias_term: false weight_filler { type: "msra" } } }
    layer { name: "bn_a" type: "BatchNorm" bottom: "a" top: "a" }
    layer { name: "scale_a" type: "Scale" bottom: "a" top: "a"
      scale_param { bias_term: true filler { type: "gaussian" mean: 1 std: 0.5 } } }
    layer { name: "relu_a" type: "ReLU" bottom: "a" top: "a" }
    layer { name: "b" type: "Convolution" bottom: "a" top: "b"
      convolution_param { num_output: 6 kernel_size: 3 pad: 1 bias_term: false weight_filler { type: "msra" } } }
    layer { name: "bn_b" type: "BatchNorm" bottom: "b" top: "b" batch_norm_param { use_global_stats: true } }
    layer { name: "scale_b" type: "Scale" bottom: "b" top: "b" scale_param { bias_term: true } }
    layer { name: "sum" type: "Eltwise" bottom: "bn1" bottom: "b" top: "sum" }
    layer { name: "relu_sum" type: "ReLU" bottom: "sum" top: "sum" }
    layer { name: "mean" type: "Pooling" bottom: "sum" top: "mean" pooling_param { pool: AVE global_pooling: true } }
    layer { name: "fc" type: "InnerProduct" bottom: "mean" top: "fc"
      inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""
CUBES = """
    layer { name: "cube" type: "Power" bottom: "bn0" top: "cube" power_param { power: 3 } }
    layer { name: "loss" type: "Reduction" bottom: "cube" top: "loss" loss_weight: 1 }
"""


def _net(definition, chosen=(), phase=TRAIN):
    """A Net of `definition` that ran through the passes `chosen` only, with seeded weights and input."""
    param = caffe_pb2.NetParameter()
    text.parse(definition, param)
    before = config.fast()
    try:
        config.set_fast(False)
        config.set_random_seed(5)
        net = Net.from_param(param, phase)
    finally:
        config.set_fast(before)
    for each in chosen:
        each(net._nodes)
    rng = np.random.default_rng(3)
    net.blobs["data"].data[...] = rng.normal(size=net.blobs["data"].shape)
    net.blobs["label"].data[...] = rng.integers(0, 3, net.blobs["label"].shape)
    return net


def _all(net):
    """Every array that a user can see after forward and backward."""
    found = {"data of " + name: blob.data.copy() for name, blob in net.blobs.items()}
    found.update({"diff of " + name: blob.diff.copy() for name, blob in net.blobs.items()})
    for name, blobs in net.params.items():
        found.update({"weights %s %d" % (name, i): blob.data.copy() for i, blob in enumerate(blobs)})
        found.update({"diff of weights %s %d" % (name, i): blob.diff.copy() for i, blob in enumerate(blobs)})
    return found


def _run(net):
    net.clear_param_diffs()
    net.forward()
    net.backward()
    return _all(net)


def _compare(mine, theirs, exact):
    assert mine.keys() == theirs.keys()
    for name, values in theirs.items():
        if exact:
            assert np.array_equal(mine[name], values), name
        else:
            scale = max(1e-6, np.abs(values).max())
            assert np.abs(mine[name] - values).max() <= 1e-5 * scale, name


@pytest.mark.parametrize(
    "definition", [FACES, INCEPTION, RESIDUAL], ids=["faces", "inception", "residual"]
)
@pytest.mark.parametrize(
    "chosen",
    [*[(each,) for each in passes.PASSES], passes.PASSES],
    ids=lambda c: c[0].__name__ if len(c) == 1 else "all",
)
def test_every_pass_keeps_every_blob(definition, chosen):
    plain, fast = _net(definition), _net(definition, chosen)
    exact = not {passes.channels_last, passes.scale_in_batch_norm} & {*chosen}  # these sum in another order
    for _ in range(2):  # the second round with arrays of the first one out
        _compare(_run(fast), _run(plain), exact)


def test_the_passes_do_act():
    net = _net(FACES, passes.PASSES)
    runners = {node.layer.name: type(node.fast).__name__ for node in net._nodes if node.fast is not None}
    assert runners == {
        "relu1": "LateReLU",
        "pool1": "EarlyPooling",
        "relu2": "LateReLU",
        "pool2": "EarlyPooling",
        "relu3": "InPlaceReLU",
    }
    net.forward()
    assert net.blobs["conv1"].unfinished is not None
    assert net.blobs["norm1"].tensor.is_contiguous(memory_format=torch.channels_last)


def test_the_passes_act_in_residual_blocks():
    net = _net(RESIDUAL, passes.PASSES)
    runners = {node.layer.name: type(node.fast).__name__ for node in net._nodes if node.fast is not None}
    assert runners == {
        **{name + which: kind for name, kind in (("bn", "Norm"), ("scale", "Scale")) for which in ("0", "1", "_a", "_b")},
        **{"relu1": "Part", "relu_a": "Part", "relu_sum": "InPlaceReLU"},
    }


def _seeded_statistics(net):
    """Statistics as after some training, so that the accumulated ones matter."""
    rng = np.random.default_rng(4)
    for name in ("bn0", "bn1", "bn_a", "bn_b"):
        mean, variance, weight = net.params[name]
        mean.data[...], variance.data[...], weight.data[...] = rng.normal(size=mean.shape), rng.uniform(1, 3, mean.shape), 2
    return net


@pytest.mark.parametrize("phase", [TRAIN, TEST])
def test_accumulated_statistics_give_the_same_in_both_ways(phase):
    plain, fast = (_seeded_statistics(_net(RESIDUAL, chosen, phase)) for chosen in ((), passes.PASSES))
    _compare(_run(fast), _run(plain), exact=False)


@pytest.mark.parametrize("shape", [(1, 4, 9, 8), (5, 4, 1, 1), (7, 4)])
def test_batches_of_one_and_planes_of_one_are_normalized_alike(shape):
    definition = RESIDUAL[: RESIDUAL.index('    layer { name: "in"')] + CUBES
    definition = definition.replace("dim: 3 dim: 4 dim: 9 dim: 8", " ".join("dim: %d" % d for d in shape))
    plain, fast = (_net(definition + "force_backward: true", chosen) for chosen in ((), passes.PASSES))
    for net in (plain, fast):
        net.params["scale0"][0].data[...] = (1, 2, -1, 0.5)
    _compare(_run(fast), _run(plain), exact=False)


@pytest.mark.parametrize("stop", ["relu_a", "scale_a", "bn_a"])
def test_backward_may_stop_amid_a_batch_norm_and_go_on(stop):
    plain, fast = _net(RESIDUAL), _net(RESIDUAL, passes.PASSES)
    names = plain._layer_names
    for net in (plain, fast):
        net.clear_param_diffs()
        net.forward()
        net.backward(end=stop)
        net.backward(start=names[names.index(stop) - 1])
    _compare(_all(fast), _all(plain), exact=False)


@pytest.mark.parametrize(("start", "changed"), [("relu1", "bn1"), ("scale1", "bn1"), ("bn1", "in")])
def test_forward_may_go_on_amid_a_batch_norm(start, changed):
    plain, fast = _net(RESIDUAL), _net(RESIDUAL, passes.PASSES)
    for net in (plain, fast):
        net.clear_param_diffs()
        net.forward()
        net.blobs[changed].data[...] *= -0.5
        net.forward(start=start)
        net.backward()
    _compare(_all(fast), _all(plain), exact=False)


def test_config_and_environment_leave_the_passes_out():
    param = caffe_pb2.NetParameter()
    text.parse(FACES, param)
    before = config.fast()
    try:
        for flag in (True, False):
            config.set_fast(flag)
            net = Net.from_param(param, TEST)
            assert any(node.fast is not None for node in net._nodes) is flag
    finally:
        config.set_fast(before)


def test_arrays_taken_before_forward_are_live_and_of_caffes_layout():
    plain, fast = _net(FACES), _net(FACES, passes.PASSES)
    fast.forward()
    names = ("conv1", "pool1", "norm1", "fc")
    arrays = {name: fast.blobs[name].data for name in names}
    assert all(a.flags.c_contiguous for a in arrays.values())
    for net in (plain, fast):
        net.blobs["data"].data[...] *= -0.5
        net.forward()
    for name, array in arrays.items():
        assert np.allclose(array, plain.blobs[name].data, atol=1e-5), name
        assert np.shares_memory(array, fast.blobs[name].data), name


def test_memory_is_given_up_once_nobody_looks():
    net = _net(FACES, passes.PASSES)
    net.forward()
    view = net.blobs["conv1"].data[0]
    assert net.blobs["conv1"].held
    del view
    assert not net.blobs["conv1"].held


def test_in_test_phase_and_from_layer_to_layer():
    plain, fast = _net(FACES, phase=TEST), _net(FACES, passes.PASSES, phase=TEST)
    for net in (plain, fast):
        net.forward(end="relu1")
        net.forward(start="pool1")
    assert np.allclose(fast.blobs["fc2"].data, plain.blobs["fc2"].data, atol=1e-5)


def test_backward_may_stop_between_a_pair():
    plain, fast = _net(FACES), _net(FACES, (passes.pool_before_relu,))
    for net in (plain, fast):
        net.forward()
        net.backward(end="pool1")
    assert np.array_equal(plain.blobs["conv1"].diff, fast.blobs["conv1"].diff)  # by the rectified values
    for net in (plain, fast):
        net.backward(start="relu1")
    _compare(_all(fast), _all(plain), exact=True)


def test_callbacks_see_what_they_see_in_a_plain_net():
    seen = {}
    for name, chosen in (("plain", ()), ("fast", (passes.pool_before_relu, passes.relu_in_place))):
        net = _net(FACES, chosen)
        net.forward()
        net.backward()
        rows = seen[name] = []
        net.after_forward(lambda i, net=net, rows=rows: rows.append(net.blobs["conv1"].data.sum()))
        net.after_backward(lambda i, net=net, rows=rows: rows.append(np.abs(net.blobs["conv1"].diff).sum()))
        net.forward()
        net.backward()
    assert seen["plain"] == seen["fast"]


def test_a_relu_that_others_read_too_is_left_alone():
    net = _net(INCEPTION, passes.PASSES)  # "in" goes through a Split
    runners = {node.layer.name: type(node.fast).__name__ for node in net._nodes if node.fast is not None}
    assert "LateReLU" not in runners.values() and runners["relu_in"] == "InPlaceReLU"
