"""Fourier convolution in a net: results equal to the direct convolution, and the choice between the two."""

import importlib

import numpy as np
import pytest
import torch
from support.pass_nets import FACES, INCEPTION, all_arrays, build_net, compare, run

from caffe import passes

module = importlib.import_module("caffe.passes.fft_convolution")
FROZEN = FACES.replace('name: "conv2" type: "Convolution"', 'name: "conv2" type: "Convolution" param { lr_mult: 0 }')
UNBIASED = FACES.replace("group: 2", "group: 2 bias_term: false")


@pytest.fixture
def always_fourier(monkeypatch):
    """Make the pass choose transforms even for the small nets of the tests."""
    module.tiling.cache_clear()
    monkeypatch.setattr(module, "GAIN", 0)
    yield
    module.tiling.cache_clear()


@pytest.mark.parametrize(
    ("definition", "expected"),
    [(FACES, ["conv2"]), (INCEPTION, ["in"]), (FROZEN, ["conv2"]), (UNBIASED, ["conv2"])],
    ids=["faces", "inception", "frozen", "unbiased"],
)
def test_pass_preserves_every_blob(always_fourier, definition, expected):
    plain, fast = build_net(definition), build_net(definition, passes.PASSES)
    for _ in range(2):  # in the second run, views from the first are alive
        compare(run(fast), run(plain), exact=False)
    assert [node.layer.name for node in fast.nodes if getattr(node.fast, "tape", None)] == expected


def test_weight_diffs_accumulate(always_fourier):
    plain, fast = build_net(FACES), build_net(FACES, passes.PASSES)
    for net in (plain, fast):
        net.clear_param_diffs()
        for _ in range(2):
            net.forward()
            net.backward()
    compare(all_arrays(fast), all_arrays(plain), exact=False)


@pytest.mark.parametrize("amx", [False, True])
def test_bf16_spectra_are_bfloat16_unless_amx_is_available(always_fourier, monkeypatch, amx):
    monkeypatch.setattr(module, "AMX", amx)
    plain, fast = build_net(FACES), build_net(FACES, passes.PASSES)
    fast.set_precision("bf16")
    expected, actual = run(plain), run(fast)
    tape = fast.nodes[fast._layer_names.index("conv2")].fast.tape
    assert tape is None if amx else tape[1].dtype == tape[2].dtype == torch.bfloat16
    for name in ("data of conv2", "diff of weights conv2 0", "diff of weights conv2 1"):
        assert np.abs(actual[name] - expected[name]).max() < 0.05 * np.abs(expected[name]).max(), name


def test_bottom_may_change_its_size(always_fourier):
    plain, fast = build_net(FACES), build_net(FACES, passes.PASSES)
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
        ((32, 64, 56, 56), (192, 64, 3, 3), 1, None),  # GoogLeNet's conv2
        ((1, 96, 28, 28), (256, 96, 5, 5), 2, None),  # for one image, transforming the weights costs too much
        ((64, 16, 28, 28), (16, 16, 3, 3), 1, None),  # for few channels, transforming the pixels costs too much
        ((2, 512, 3, 3), (512, 512, 7, 7), 1, None),  # empty result
    ],
)
def test_transforms_are_chosen_where_they_are_cheaper(bottom, weights, pad, step):
    tiling = module.tiling(bottom, weights, (pad, pad), 1)
    assert (tiling and tiling.step) == step
