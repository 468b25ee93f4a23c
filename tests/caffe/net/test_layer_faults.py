"""Every layer type with degenerate bottoms (no axes, sizes of 0 and 1, other numbers of axes, wild values): it computes
them or raises a CaffeError, never another exception."""

import numpy as np
import pytest
from support.layer_nets import net_of
from support.reference import one_layer_net

import caffe
from caffe import layers
from caffe.errors import CaffeError
from caffe.layers import base

layers.load()
SHAPES = [(), (0,), (1, 1), (0, 3), (1, 0, 4, 4), (2, 3, 0, 0), (1, 2, 3), (1, 2, 2, 2, 2), (2, 3, 4, 4)]
VALUES = [0.5, -1, 300, np.nan]
NEED_MORE_THAN_TEXT = ("HDF5Output", "Python")
TYPES = sorted(set(base.registry) - set(NEED_MORE_THAN_TEXT))


def run(name, example, bottoms, value):
    """Build a layer on bottoms of these shapes, run it forward and backward."""
    net = one_layer_net(name, example.text, bottoms, example.tops, example.phase, True)
    for number in range(len(bottoms)):
        net.blobs[f"x{number}"].data[...] = value
    net.forward()
    for top in net.top_names["l"]:
        net.blobs[top].diff[...] = 1
    net.backward()


def trials(example):
    """Return lists of bottom shapes: all of one shape, and the example's with one replaced."""
    count = len(example.bottoms)
    equal = [[shape] * count for shape in SHAPES]
    replaced = [
        [*example.bottoms[:i], shape, *example.bottoms[i + 1 :]] for i in range(count) for shape in SHAPES[i % 2 :: 2]
    ]
    return equal + replaced if count else []


@pytest.mark.parametrize("name", TYPES)
def test_degenerate_bottoms(name):
    for example in base.registry[name].examples:
        for number, bottoms in enumerate(trials(example)):
            try:
                run(name, example, bottoms, VALUES[number % len(VALUES)])
            except (CaffeError, NotImplementedError):
                continue


def test_the_error_names_the_layer_the_shapes_and_the_cause():
    text = """layer { name: "x" type: "Input" top: "x" input_param { shape { } } }
        layer { name: "low" type: "HingeLoss" bottom: "x" bottom: "x" top: "y" }"""
    with pytest.raises(CaffeError, match=r"net\.prototxt:2: layer 'low' \(HingeLoss\): .*\(\), \(\)") as caught:
        net_of(text)
    assert isinstance(caught.value.__cause__, IndexError)


def test_an_index_outside_the_data_is_an_error():
    text = """layer { name: "x" type: "Input" top: "x" top: "rois" input_param { shape { dim: 1 dim: 2 dim: 4 dim: 4 }
            shape { dim: 1 dim: 5 } } }
        layer { name: "roi" type: "ROIPooling" bottom: "x" bottom: "rois" top: "y"
            roi_pooling_param { pooled_h: 1 pooled_w: 1 } }"""
    net = net_of(text)
    net.blobs["rois"].data[...] = [[7, 0, 0, 3, 3]]
    with pytest.raises(CaffeError, match="layer 'roi'.*index 7 is out of bounds"):
        net.forward()


def test_a_bug_keeps_its_type(monkeypatch):
    net = net_of("""layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 } } }
        layer { name: "r" type: "ReLU" bottom: "x" top: "y" }""")

    def forward_blobs(*_):
        raise ValueError("a mistake")

    monkeypatch.setattr(net.layer_dict["r"], "forward_blobs", forward_blobs)
    with pytest.raises(ValueError, match="^a mistake$"):
        net.forward()


def test_three_axes_are_pooled_in_every_pass():
    """The runtime of the second pass has no window of three axes."""
    net = net_of(
        """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 8 dim: 16 dim: 32 dim: 32 } } }
        layer { name: "c" type: "Convolution" bottom: "x" top: "c"
          convolution_param { num_output: 16 kernel_size: 3 weight_filler { type: "xavier" } } }
        layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }""",
        caffe.TEST,
    )
    net.blobs["x"].data[...] = np.random.default_rng(0).normal(size=(1, 8, 16, 32, 32))
    first = net.forward()["p"].copy()
    for _ in range(3):
        np.testing.assert_allclose(net.forward()["p"], first, rtol=1e-4, atol=1e-5)
