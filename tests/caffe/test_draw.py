"""Drawing nets: labels, the graph, its DOT text, and an image without Graphviz."""

import shutil

import cv2
import numpy as np
import pytest

from caffe import draw
from caffe.errors import CaffeError
from caffe.proto import caffe_pb2, text

NET = """
name: "a \\"net\\""
layer { name: "data" type: "Data" top: "data" top: "label"
  data_param { batch_size: 7 } include { phase: TRAIN } }
layer { name: "in" type: "Input" top: "data" include { phase: TEST } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 3 }
  convolution_param { num_output: 20 kernel_size: 5 stride: 2 pad: 1 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: AVE kernel_size: 3 } }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip" inner_product_param { num_output: 10 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss"
  exclude { phase: TEST } }
"""


@pytest.fixture(scope="module")
def net():
    param = caffe_pb2.NetParameter()
    text.parse(NET, param)
    return param


def by_name(net, name):
    return next(layer for layer in net.layer if layer.name == name)


def test_labels(net):
    label = draw.get_layer_label
    assert label(by_name(net, "conv"), "LR") == r'"conv\n(Convolution)\nkernel size: 5\nstride: 2\npad: 1"'
    assert label(by_name(net, "conv"), "TB", True) == (
        '"conv (Convolution) kernel size: 5 stride: 2 pad: 1 lr mult: 3.0, 1.0"'
    )
    assert label(by_name(net, "pool"), "BT") == '"pool (Pooling AVE) kernel size: 3 stride: 1 pad: 0"'
    assert label(by_name(net, "relu"), "LR") == r'"relu\n(ReLU)"'
    edges = [draw.get_edge_label(by_name(net, name)) for name in ("data", "conv", "ip", "relu")]
    assert edges == ["Batch 7", "20", "10", '""']
    assert draw.get_layer_lr_mult(by_name(net, "ip")) == (1.0, 1.0)
    with pytest.raises(ValueError, match="Pooling layers"):
        draw.get_layer_lr_mult(by_name(net, "pool"))
    assert draw.get_pooling_types_dict()[1] == "AVE"
    assert draw.choose_color_by_layertype("Pooling") != draw.choose_color_by_layertype("ReLU")


@pytest.mark.parametrize("phase, names", [(0, {"data", "loss"}), (1, {"in"}), (None, {"data", "in", "loss"})])
def test_phases(net, phase, names):
    nodes = draw.net_graph(net, "LR", phase=phase).nodes
    layers = {key.rpartition("_")[0] for key in nodes if not key.endswith("_blob")}
    assert layers - {"conv", "relu", "pool", "ip"} == names


def test_in_place_layers_are_neurons_with_edges_in_both_directions(net):
    graph = draw.net_graph(net, "LR")
    assert graph.nodes["relu_ReLU"][1] == draw.NEURON_LAYER_STYLE
    assert {("conv_blob", "relu_ReLU"), ("relu_ReLU", "conv_blob")} <= {edge[:2] for edge in graph.edges}
    assert len(graph.nodes) == 7 + 6 and len(graph.edges) == 7 + 7


def test_dot_text_is_a_valid_graph(net, tmp_path):
    draw.draw_net_to_file(net, str(tmp_path / "net.dot"), "TB")
    lines = (tmp_path / "net.dot").read_text().splitlines()
    assert lines[0] == 'digraph "a \\"net\\"" {' and lines[1] == "rankdir=TB;" and lines[-1] == "}"
    pydot = pytest.importorskip("pydot")
    (graph,) = pydot.graph_from_dot_data("\n".join(lines))
    assert len(graph.get_edges()) == 14 and len([n for n in graph.get_nodes() if n.get_name() != "\\n"]) == 13


def test_pydot_graph(net):
    pytest.importorskip("pydot")
    graph = draw.get_pydot_graph(net, "LR", phase=caffe_pb2.TEST)
    assert len(graph.get_nodes()) == 5 + 4
    assert "kernel size: 5" in graph.to_string()


@pytest.mark.parametrize("rankdir", ["LR", "TB", "BT", "RL"])
def test_image_without_graphviz(net, tmp_path, monkeypatch, rankdir):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    draw.draw_net_to_file(net, str(tmp_path / "net.png"), rankdir)
    image = cv2.imread(str(tmp_path / "net.png"))
    wide = image.shape[1] > image.shape[0]
    assert wide == (rankdir in ("LR", "RL"))
    # the colours of convolution, pooling and blobs appear (BGR)
    for color in ((0x50, 0x50, 0xFF), (0x00, 0x99, 0xFF), (0xE0, 0xE0, 0xE0)):
        assert (np.abs(image.astype(int) - color).max(2) == 0).sum() > 100


def test_svg_and_errors(net, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert b"<svg" in draw.draw_net(net, "LR", "svg")
    with pytest.raises(CaffeError, match="format 'xyz' needs Graphviz"):
        draw.draw_net(net, "LR", "xyz")
    with pytest.raises(CaffeError, match="rankdir must be"):
        draw.draw_net(net, "UP")
    with pytest.raises(CaffeError, match="needs a file extension"):
        draw.draw_net_to_file(net, str(tmp_path / "net"))
    assert not list(tmp_path.iterdir())


def test_empty_net():
    assert draw.draw_net(caffe_pb2.NetParameter(), "LR", "dot").startswith(b'digraph "Net"')
    assert draw._by_matplotlib(draw.NetGraph({}, []), "LR", "png").startswith(b"\x89PNG")
