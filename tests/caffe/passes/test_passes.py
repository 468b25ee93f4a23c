"""Nets run through the passes as they run plainly: pass by pass, blob by blob, whoever looks and whenever."""

import numpy as np
import pytest
import torch
from support.pass_nets import FACES, INCEPTION, RESIDUAL, compare, everything, made, run, runners

from caffe import passes
from caffe.core import config
from caffe.layers.base import TEST
from caffe.net.net import Net
from caffe.proto import caffe_pb2, text


@pytest.mark.parametrize("definition", [FACES, INCEPTION, RESIDUAL], ids=["faces", "inception", "residual"])
@pytest.mark.parametrize(
    "chosen",
    [*[(each,) for each in passes.PASSES], passes.PASSES],
    ids=lambda c: c[0].__name__ if len(c) == 1 else "all",
)
def test_every_pass_keeps_every_blob(definition, chosen):
    plain, fast = made(definition), made(definition, chosen)
    exact = not {passes.channels_last, passes.scale_in_batch_norm} & {*chosen}  # these sum in another order
    for _ in range(2):  # the second round with arrays of the first one out
        compare(run(fast), run(plain), exact)


def test_the_passes_do_act():
    net = made(FACES, passes.PASSES)
    assert runners(net) == {
        "relu1": "LateReLU",
        "pool1": "EarlyPooling",
        "relu2": "LateReLU",
        "pool2": "EarlyPooling",
        "relu3": "InPlaceReLU",
    }
    net.forward()
    assert net.blobs["conv1"].pending_tensor is not None
    assert net.blobs["norm1"].tensor.is_contiguous(memory_format=torch.channels_last)


def test_config_and_environment_leave_the_passes_out():
    param = caffe_pb2.NetParameter()
    text.parse(FACES, param)
    before = config.fast()
    try:
        for flag in (True, False):
            config.set_optimize(flag)
            net = Net.from_param(param, TEST)
            assert any(node.fast is not None for node in net._nodes) is flag
    finally:
        config.set_optimize(before)


def test_arrays_taken_before_forward_are_live_and_of_caffes_layout():
    plain, fast = made(FACES), made(FACES, passes.PASSES)
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
    net = made(FACES, passes.PASSES)
    net.forward()
    view = net.blobs["conv1"].data[0]
    assert net.blobs["conv1"].has_live_view
    del view
    assert not net.blobs["conv1"].has_live_view


def test_in_test_phase_and_from_layer_to_layer():
    plain, fast = made(FACES, phase=TEST), made(FACES, passes.PASSES, phase=TEST)
    for net in (plain, fast):
        net.forward(end="relu1")
        net.forward(start="pool1")
    assert np.allclose(fast.blobs["fc2"].data, plain.blobs["fc2"].data, atol=1e-5)


def test_backward_may_stop_between_a_pair():
    plain, fast = made(FACES), made(FACES, (passes.pool_before_relu,))
    for net in (plain, fast):
        net.forward()
        net.backward(end="pool1")
    assert np.array_equal(plain.blobs["conv1"].diff, fast.blobs["conv1"].diff)  # by the rectified values
    for net in (plain, fast):
        net.backward(start="relu1")
    compare(everything(fast), everything(plain), exact=True)


def test_callbacks_see_what_they_see_in_a_plain_net():
    seen = {}
    for name, chosen in (("plain", ()), ("fast", (passes.pool_before_relu, passes.relu_in_place))):
        net = made(FACES, chosen)
        net.forward()
        net.backward()
        rows = seen[name] = []
        net.after_forward(lambda i, net=net, rows=rows: rows.append(net.blobs["conv1"].data.sum()))
        net.after_backward(lambda i, net=net, rows=rows: rows.append(np.abs(net.blobs["conv1"].diff).sum()))
        net.forward()
        net.backward()
    assert seen["plain"] == seen["fast"]


def test_a_relu_that_others_read_too_is_left_alone():
    net = made(INCEPTION, passes.PASSES)  # "in" goes through a Split
    assert "LateReLU" not in runners(net).values() and runners(net)["relu_in"] == "InPlaceReLU"
