"""Optimization passes preserve every blob: one pass at a time and all together, with and without live views."""

import importlib

import numpy as np
import pytest
import torch
from support.pass_nets import FACES, INCEPTION, RESIDUAL, all_arrays, build_net, compare, run, runners

from caffe import passes
from caffe.core import config
from caffe.layers.base import TEST, TRAIN
from caffe.net.net import Net
from caffe.proto import caffe_pb2, text


@pytest.mark.parametrize("definition", [FACES, INCEPTION, RESIDUAL], ids=["faces", "inception", "residual"])
@pytest.mark.parametrize(
    "selected_passes",
    [*[(single,) for single in passes.PASSES], passes.PASSES],
    ids=lambda c: c[0].__name__ if len(c) == 1 else "all",
)
def test_every_pass_preserves_every_blob(definition, selected_passes):
    plain, fast = build_net(definition), build_net(definition, selected_passes)
    exact = not {passes.channels_last, passes.scale_in_batch_norm} & {*selected_passes}  # these sum in another order
    for _ in range(2):  # in the second run, views from the first are alive
        compare(run(fast), run(plain), exact)


def test_passes_install_runners():
    net = build_net(FACES, passes.PASSES)
    assert runners(net) == {
        "relu1": "DeferredReLU",
        "pool1": "EarlyPooling",
        "relu2": "DeferredReLU",
        "pool2": "EarlyPooling",
        "relu3": "InPlaceReLU",
    }
    net.forward()
    assert net.blobs["conv1"].pending_tensor is not None
    assert net.blobs["norm1"].tensor.is_contiguous(memory_format=torch.channels_last)


def test_set_optimize_disables_passes():
    param = caffe_pb2.NetParameter()
    text.parse(FACES, param)
    before = config.fast()
    try:
        for flag in (True, False):
            config.set_optimize(flag)
            net = Net.from_param(param, TEST)
            assert any(node.fast is not None for node in net.nodes) is flag
    finally:
        config.set_optimize(before)


def test_views_taken_before_forward_are_live_and_contiguous():
    plain, fast = build_net(FACES), build_net(FACES, passes.PASSES)
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


def test_view_is_released_when_deleted():
    net = build_net(FACES, passes.PASSES)
    net.forward()
    view = net.blobs["conv1"].data[0]
    assert net.blobs["conv1"].has_live_view
    del view
    assert not net.blobs["conv1"].has_live_view


def test_partial_forward_in_test_phase():
    plain, fast = build_net(FACES, phase=TEST), build_net(FACES, passes.PASSES, phase=TEST)
    for net in (plain, fast):
        net.forward(end="relu1")
        net.forward(start="pool1")
    assert np.allclose(fast.blobs["fc2"].data, plain.blobs["fc2"].data, atol=1e-5)


def test_backward_may_stop_inside_a_swapped_pair():
    plain, fast = build_net(FACES), build_net(FACES, (passes.pool_before_relu,))
    for net in (plain, fast):
        net.forward()
        net.backward(end="pool1")
    assert np.array_equal(plain.blobs["conv1"].diff, fast.blobs["conv1"].diff)  # with respect to the rectified values
    for net in (plain, fast):
        net.backward(start="relu1")
    compare(all_arrays(fast), all_arrays(plain), exact=True)


def test_callbacks_see_the_same_values_as_without_passes():
    values = {}
    for name, selected_passes in (("plain", ()), ("fast", (passes.pool_before_relu, passes.relu_in_place))):
        net = build_net(FACES, selected_passes)
        net.forward()
        net.backward()
        values_of_net = values[name] = []
        net.after_forward(
            lambda i, net=net, values_of_net=values_of_net: values_of_net.append(net.blobs["conv1"].data.sum())
        )
        net.after_backward(
            lambda i, net=net, values_of_net=values_of_net: values_of_net.append(np.abs(net.blobs["conv1"].diff).sum())
        )
        net.forward()
        net.backward()
    assert values["plain"] == values["fast"]


def test_relu_with_several_readers_is_not_swapped():
    net = build_net(INCEPTION, passes.PASSES)  # "in" goes through a Split
    assert "DeferredReLU" not in runners(net).values() and runners(net)["relu_in"] == "InPlaceReLU"


BRANCHES = """
    layer { name: "data" type: "Input" top: "data" top: "label"
      input_param { shape { dim: 2 dim: 1 dim: 7 dim: 6 } shape { dim: 2 } } }
    layer { name: "in" type: "Convolution" bottom: "data" top: "in"
      convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
    layer { name: "relu_in" type: "ReLU" bottom: "in" top: "in" }
    layer { name: "a" type: "Convolution" bottom: "in" top: "a"
      convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "xavier" } } }
    layer { name: "relu_a" type: "ReLU" bottom: "a" top: "a" }
    layer { name: "b" type: "Convolution" bottom: "in" top: "b"
      convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
    layer { name: "relu_b" type: "ReLU" bottom: "b" top: "b" }
    layer { name: "join" %s }
    layer { name: "c" type: "Convolution" bottom: "join" top: "c"
      convolution_param { num_output: 3 kernel_size: 3 stride: 2 weight_filler { type: "xavier" } } }
    layer { name: "relu_c" type: "ReLU" bottom: "c" top: "c" }
    layer { name: "fc" type: "InnerProduct" bottom: "c" top: "fc"
      inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""


@pytest.mark.parametrize("join", ["Concat", "Eltwise"])
def test_relu_overwrites_only_diffs_that_no_other_blob_shares(join):
    definition = BRANCHES % f'type: "{join}" bottom: "a" bottom: "b" top: "join"'
    plain, fast = build_net(definition), build_net(definition, passes.PASSES)
    runners = {node.layer.name: node.fast for node in fast.nodes}
    assert {name: runners[name].owns_diff for name in ("relu_in", "relu_a", "relu_b", "relu_c")} == {
        "relu_in": True,
        "relu_a": False,
        "relu_b": False,
        "relu_c": True,
    }
    for _ in range(2):
        compare(run(fast), run(plain), exact=False)
    for net in (plain, fast):  # the diff of "join" is still that of its reader
        net.backward(start="join")
    compare(all_arrays(fast), all_arrays(plain), exact=False)


@pytest.mark.parametrize("size", [(7, 6), (1, 6), (7, 1), (1, 1), (2, 2)])
@pytest.mark.parametrize("batch", [1, 3])
def test_convolution_of_one_channel(size, batch):
    definition = BRANCHES.replace("dim: 2 dim: 1 dim: 7 dim: 6", f"dim: {batch} dim: 1 dim: {size[0]} dim: {size[1]}")
    definition = definition.replace("shape { dim: 2 }", f"shape {{ dim: {batch} }}").replace(" stride: 2", " pad: 1")
    definition %= 'type: "Eltwise" bottom: "a" bottom: "b" top: "join"'
    plain, fast = build_net(definition), build_net(definition, passes.PASSES)
    for _ in range(2):
        compare(run(fast), run(plain), exact=False)
    layout = torch.channels_last if min(size) > 2 else torch.contiguous_format
    fast.forward_range(0, 1, record=False)
    assert fast.blobs["in"].tensor.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("phase", [TRAIN, TEST], ids=["train", "test"])
def test_convolution_that_applies_the_relu_is_equal(phase):
    before = (passes.channels_last, passes.relu_in_place)
    definition = BRANCHES % 'type: "Concat" bottom: "a" bottom: "b" top: "join"'
    plain = build_net(definition, before, phase)
    fast = build_net(definition, (*before, passes.relu_in_convolution), phase)
    for _ in range(2):
        for net in (plain, fast):
            net.clear_param_diffs()
            net.forward_range(0, len(net.nodes) - 1, record=phase == TRAIN)
            if phase == TRAIN:
                net.backward_range(len(net.nodes) - 1, 0)
        applied = {node.layer.name for node in fast.nodes if getattr(node.layer, "rectified", False)}
        assert applied == {"a", "b", "c"}  # "in" has one channel
    compare(all_arrays(fast), all_arrays(plain), exact=False)
    for net in (plain, fast):  # while views are alive, both layers write to them
        views = [net.blobs[name].data for name in ("a", "c")]
        net.forward_range(0, len(net.nodes) - 1)
        assert all((view >= 0).all() for view in views)
    compare(all_arrays(fast), all_arrays(plain), exact=False)


def test_a_convolution_without_its_relu_is_not_rectified():
    plain, fast = (
        build_net(BRANCHES % 'type: "Concat" bottom: "a" bottom: "b" top: "join"', p) for p in ((), passes.PASSES)
    )
    for net in (plain, fast):
        net.forward()
        net.forward(end="a")
    assert fast.blobs["a"].data.min() < 0
    compare({"a": fast.blobs["a"].data}, {"a": plain.blobs["a"].data}, exact=False)
    for net in (plain, fast):
        net.forward(start="relu_a")
        net.backward(end="b")
        net.backward(start="relu_a")
    compare(all_arrays(fast), all_arrays(plain), exact=False)


def test_a_convolution_that_changes_to_transforms_leaves_the_relu_to_its_layer(monkeypatch):
    definition = BRANCHES % 'type: "Eltwise" bottom: "a" bottom: "b" top: "join"'
    plain, fast = build_net(definition), build_net(definition, passes.PASSES)
    compare(run(fast), run(plain), exact=False)
    module = importlib.import_module("caffe.passes.fft_convolution")
    module.tiling.cache_clear()
    monkeypatch.setattr(module, "GAIN", 0)
    compare(run(fast), run(plain), exact=False)
    module.tiling.cache_clear()
    assert fast.nodes[fast._layer_names.index("b")].fast.tape is not None


@pytest.mark.parametrize("relu_before", [False, True], ids=["pool, relu", "relu, pool, relu"])
@pytest.mark.parametrize("shape", ["dim: 2 dim: 3 dim: 9 dim: 8", "dim: 1 dim: 1 dim: 2 dim: 2"])
def test_relu_after_max_pooling(relu_before, shape):
    definition = FACES[: FACES.index('    layer { name: "norm1"')].replace("stride: 2 weight", "pad: 2 weight")
    definition = definition.replace("dim: 3 dim: 3 dim: 33 dim: 31", shape).replace(
        "shape { dim: 3 }", "shape { dim: 2 }"
    )
    if not relu_before:
        definition = definition.replace('layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }', "")
    definition += """
        layer { name: "relu" type: "ReLU" bottom: "pool1" top: "pool1" }
        layer { name: "sum" type: "Reduction" bottom: "pool1" top: "sum" loss_weight: 1
          reduction_param { operation: SUMSQ } }"""
    plain, fast = build_net(definition), build_net(definition, passes.PASSES)
    assert (runners(fast).get("relu") == "InPlaceReLU") is not relu_before
    for _ in range(2):
        compare(run(fast), run(plain), exact=False)
