"""Shapes without an element, without an axis, or beyond the memory end in one error or in an empty top."""

import pytest
from support.layer_nets import net_of

from caffe.core.blob import Blob
from caffe.errors import CaffeError


def run(shape, kind, more=""):
    dims = " ".join(f"dim: {size}" for size in shape)
    return net_of(
        f'layer {{ name: "i" type: "Input" top: "x" input_param {{ shape {{ {dims} }} }} }} '
        f'layer {{ name: "l" type: "{kind}" bottom: "x" top: "y" {more} }}'
    ).forward()["y"]


@pytest.mark.parametrize("shape", [(1, 0, 1, 1), (0, 3, 2, 2), (2, 3, 0, 4)])
@pytest.mark.parametrize("region", ["ACROSS_CHANNELS", "WITHIN_CHANNEL"])
def test_lrn_of_nothing_is_nothing(shape, region):
    assert run(shape, "LRN", f"lrn_param {{ norm_region: {region} }}").shape == shape


@pytest.mark.parametrize("shape", [(0,), (0, 3, 2, 2), (), (2, 0)])
def test_argmax_of_nothing_is_refused(shape):
    with pytest.raises(CaffeError, match="no largest value"):
        run(shape, "ArgMax")


def test_batch_norm_of_a_number_is_refused():
    with pytest.raises(CaffeError, match="at least one axis"):
        run((), "BatchNorm")


def test_a_blob_beyond_the_memory_is_one_error(monkeypatch):
    from caffe.core.lazy_torch import torch

    def full(*args, **kwargs):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")

    monkeypatch.setattr(torch, "zeros", full)
    with pytest.raises(CaffeError, match=r"shape \(2147483647,\) takes 8.6 GB, and the memory does not suffice"):
        _ = Blob((2147483647,)).data


def test_a_layer_beyond_the_memory_names_itself(monkeypatch):
    from caffe.layers.relu import ReLU

    def full(*args):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(ReLU, "forward", full)
    with pytest.raises(CaffeError, match="layer 'l' .ReLU.: the memory does not suffice"):
        run((2, 3), "ReLU")
