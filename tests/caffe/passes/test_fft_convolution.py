"""Convolutions by Fourier transforms in a net: every blob as without, and when they are chosen."""

import importlib

import numpy as np
import pytest
import torch
from support.pass_nets import FACES, INCEPTION, compare, everything, made, run

from caffe import passes

module = importlib.import_module("caffe.passes.fft_convolution")
FROZEN = FACES.replace('name: "conv2" type: "Convolution"', 'name: "conv2" type: "Convolution" param { lr_mult: 0 }')
UNBIASED = FACES.replace("group: 2", "group: 2 bias_term: false")


@pytest.fixture
def always(monkeypatch):
    """Let transforms be chosen for the small nets of the tests."""
    module.tiling.cache_clear()
    monkeypatch.setattr(module, "GAIN", 0)
    yield
    module.tiling.cache_clear()


@pytest.mark.parametrize(
    ("definition", "chosen"),
    [(FACES, ["conv2"]), (INCEPTION, ["in"]), (FROZEN, ["conv2"]), (UNBIASED, ["conv2"])],
    ids=["faces", "inception", "frozen", "unbiased"],
)
def test_a_net_keeps_every_blob(always, definition, chosen):
    plain, fast = made(definition), made(definition, passes.PASSES)
    for _ in range(2):  # the second round with arrays of the first one out
        compare(run(fast), run(plain), exact=False)
    assert [node.layer.name for node in fast._nodes if getattr(node.fast, "tape", None)] == chosen


def test_diffs_of_weights_add_up(always):
    plain, fast = made(FACES), made(FACES, passes.PASSES)
    for net in (plain, fast):
        net.clear_param_diffs()
        for _ in range(2):
            net.forward()
            net.backward()
    compare(everything(fast), everything(plain), exact=False)


@pytest.mark.parametrize("amx", [False, True])
def test_in_bf16_products_are_bfloat16_unless_amx_is_there(always, monkeypatch, amx):
    monkeypatch.setattr(module, "AMX", amx)
    plain, fast = made(FACES), made(FACES, passes.PASSES)
    fast.set_precision("bf16")
    theirs, mine = run(plain), run(fast)
    tape = fast._nodes[fast._layer_names.index("conv2")].fast.tape
    assert tape is None if amx else tape[1].dtype == tape[2].dtype == torch.bfloat16
    for name in ("data of conv2", "diff of weights conv2 0", "diff of weights conv2 1"):
        assert np.abs(mine[name] - theirs[name]).max() < 0.05 * np.abs(theirs[name]).max(), name


def test_a_bottom_may_change_its_size(always):
    plain, fast = made(FACES), made(FACES, passes.PASSES)
    for net in (plain, fast):
        net.forward()
        net.blobs["data"].reshape(2, 3, 33, 31)
        net.blobs["label"].reshape(2)
        net.blobs["data"].data[...] = np.random.default_rng(1).normal(size=(2, 3, 33, 31))
        net.blobs["label"].data[...] = 1
    compare(run(fast), run(plain), exact=False)


@pytest.mark.parametrize(
    ("bottom", "weights", "pad", "step"),
    [
        ((50, 96, 28, 28), (256, 96, 5, 5), 2, 14),  # AgeNet's conv2
        ((50, 256, 14, 14), (384, 256, 3, 3), 1, 7),  # and conv3
        ((1, 96, 28, 28), (256, 96, 5, 5), 2, None),  # the weights' transform is more than one picture saves
        ((64, 16, 28, 28), (16, 16, 3, 3), 1, None),  # so are the pixels' for few channels
        ((2, 512, 3, 3), (512, 512, 7, 7), 1, None),  # no result
    ],
)
def test_transforms_are_chosen_where_they_pay(bottom, weights, pad, step):
    found = module.tiling(bottom, weights, (pad, pad), 1)
    assert (found and found.step) == step
