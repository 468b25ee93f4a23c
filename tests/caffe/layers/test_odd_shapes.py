"""Bottoms without elements or axes, or too large for the memory, give one error or an empty top."""

import pytest
from support.layer_nets import net_of

from caffe.core.blob import Blob
from caffe.errors import CaffeError


def run(shape, layer_type, more=""):
    dims = " ".join(f"dim: {size}" for size in shape)
    return net_of(
        f'layer {{ name: "i" type: "Input" top: "x" input_param {{ shape {{ {dims} }} }} }} '
        f'layer {{ name: "l" type: "{layer_type}" bottom: "x" top: "y" {more} }}'
    ).forward()["y"]


@pytest.mark.parametrize("shape", [(1, 0, 1, 1), (0, 3, 2, 2), (2, 3, 0, 4)])
@pytest.mark.parametrize("region", ["ACROSS_CHANNELS", "WITHIN_CHANNEL"])
def test_lrn_of_an_empty_bottom_is_empty(shape, region):
    assert run(shape, "LRN", f"lrn_param {{ norm_region: {region} }}").shape == shape


@pytest.mark.parametrize("shape", [(0,), (0, 3, 2, 2), (), (2, 0)])
def test_argmax_of_an_empty_bottom_raises(shape):
    with pytest.raises(CaffeError, match="at least one axis and one value"):
        run(shape, "ArgMax")


def test_batch_norm_of_a_scalar_raises():
    with pytest.raises(CaffeError, match="at least one axis"):
        run((), "BatchNorm")


def test_out_of_memory_for_a_blob(monkeypatch):
    from caffe.core.lazy_torch import torch

    def full(*args, **kwargs):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")

    monkeypatch.setattr(torch, "zeros", full)
    with pytest.raises(CaffeError, match=r"not enough memory for a blob of shape \(2147483647,\) \(8.6 GB\)"):
        _ = Blob((2147483647,)).data


def test_out_of_memory_names_the_layer(monkeypatch):
    from caffe.layers.relu import ReLU

    def full(*args):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(ReLU, "forward", full)
    with pytest.raises(CaffeError, match="layer 'l' .ReLU.: not enough memory"):
        run((2, 3), "ReLU")
