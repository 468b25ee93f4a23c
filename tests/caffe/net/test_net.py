"""pycaffe's Net: dictionaries, partial forward and backward, weight files, weight sharing, callbacks."""

import numpy as np
import pytest

import caffe
from caffe.errors import CaffeError

NET = """name: "small" force_backward: true
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "ip1" type: "InnerProduct" bottom: "data" top: "ip1" inner_product_param { num_output: 4
  weight_filler { type: "gaussian" } bias_filler { type: "constant" value: 1 } } }
layer { name: "relu" type: "ReLU" bottom: "ip1" top: "ip1" }
layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2" inner_product_param { num_output: 2
  weight_filler { type: "gaussian" } } }
"""
MEMORY = """
layer { name: "data" type: "MemoryData" top: "data" top: "label"
  memory_data_param { batch_size: 2 channels: 1 height: 2 width: 2 } }
layer { name: "sum" type: "Reduction" bottom: "data" top: "sum" reduction_param { axis: 1 } }
layer { name: "quiet" type: "Silence" bottom: "label" }
"""


@pytest.fixture
def net(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    return caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)


def reference_forward(net, x):
    """Compute (ip1 after the ReLU, ip2) in NumPy."""
    (w1, b1), (w2, b2) = ([blob.data for blob in net.params[name]] for name in ("ip1", "ip2"))
    hidden = np.maximum(x @ w1.T + b1, 0)
    return hidden, hidden @ w2.T + b2


def test_dictionaries(net):
    assert list(net.blobs) == ["data", "ip1", "ip2"] and list(net.params) == ["ip1", "ip2"]
    assert net.inputs == ["data"] and net.outputs == ["ip2"]
    assert list(net.layer_dict) == ["data", "ip1", "relu", "ip2"] and net.layer_dict["relu"].type == "ReLU"
    assert [layer.type for layer in net.layers] == ["Input", "InnerProduct", "ReLU", "InnerProduct"]
    assert net.top_names["relu"] == ["ip1"] and net.bottom_names["ip2"] == ["ip1"]
    assert net.blob_loss_weights["ip2"] == 0


def test_full_and_partial_forward(net):
    x = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    hidden, out = reference_forward(net, x)
    np.testing.assert_allclose(net.forward(data=x)["ip2"], out, rtol=1e-5)
    np.testing.assert_allclose(net.forward(blobs=["ip1"], data=x)["ip1"], hidden, rtol=1e-5)
    net.blobs["ip1"].data[...] = 1
    np.testing.assert_allclose(
        net.forward(start="ip2")["ip2"], reference_forward(net, x)[1] * 0 + net.params["ip2"][0].data.sum(1), rtol=1e-5
    )
    assert list(net.forward(end="relu", data=x)) == ["ip1"]
    many = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_allclose(net.forward_all(data=many)["ip2"], reference_forward(net, many)[1], rtol=1e-5)


def test_backward_matches_the_analytic_gradient(net):
    x = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    hidden, out = reference_forward(net, x)
    net.forward(data=x)
    top = np.random.default_rng(1).normal(size=out.shape).astype(np.float32)
    diffs = net.backward(diffs=["ip1"], ip2=top)
    inner = (top @ net.params["ip2"][0].data) * (hidden > 0)
    np.testing.assert_allclose(diffs["data"], inner @ net.params["ip1"][0].data, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(net.params["ip2"][0].diff, top.T @ hidden, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("save, load", [("save", "copy_from"), ("save_hdf5", "load_hdf5"), ("save_hdf5", "copy_from")])
def test_weights_survive_save_and_load(net, tmp_path, save, load):
    path = str(tmp_path / ("w.caffemodel" if save == "save" else "w.caffemodel.h5"))
    getattr(net, save)(path)
    other = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    assert not np.array_equal(other.params["ip1"][0].data, net.params["ip1"][0].data)
    getattr(other, load)(path)
    for name in net.params:
        for blob, expected in zip(net.params[name], other.params[name]):
            assert np.array_equal(blob.data, expected.data)


def test_share_with_shares_memory(net, tmp_path):
    other = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    other.share_with(net)
    net.params["ip2"][1].data[...] = 5
    assert (other.params["ip2"][1].data == 5).all()
    x = np.ones((2, 3), np.float32)
    assert np.array_equal(net.forward(data=x)["ip2"], other.forward(data=x)["ip2"])


def test_reshape_reaches_every_blob(net):
    net.blobs["data"].reshape(7, 3)
    net.reshape()
    assert net.blobs["ip2"].data.shape == (7, 2)
    assert net.forward(data=np.zeros((7, 3)))["ip2"].shape == (7, 2)


def test_callbacks_receive_layer_indices(net):
    calls = []
    net.before_forward(lambda i: calls.append(("before", i)))
    net.after_forward(lambda i: calls.append(("after", i)))
    net.before_backward(lambda i: calls.append(("down", i)))
    net.after_backward(lambda i: calls.append(("up", i)))
    net.forward()
    assert calls == [(event, i) for i in range(4) for event in ("before", "after")]
    calls.clear()
    net.backward()
    assert calls == [(event, i) for i in (3, 2, 1, 0) for event in ("down", "up")]


def test_set_input_arrays_feeds_memory_data(tmp_path, net):
    (tmp_path / "memory.prototxt").write_text(MEMORY)
    memory_net = caffe.Net(str(tmp_path / "memory.prototxt"), caffe.TEST)
    data = np.arange(16, dtype=np.float32).reshape(4, 1, 2, 2)
    memory_net.set_input_arrays(data, np.arange(4, dtype=np.float32))
    for start in (0, 2, 0):
        np.testing.assert_array_equal(memory_net.forward()["sum"], data[start : start + 2].reshape(2, -1).sum(1))
    with pytest.raises(CaffeError, match="MemoryData"):
        net.set_input_arrays(data, np.zeros(4, np.float32))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda net: net.forward(start="ip3"), "no layer 'ip3'.*did you mean 'ip"),
        (lambda net: net.forward(image=1), "do not match the net's inputs"),
        (lambda net: net.forward(blobs=["ip9"]), "no blob 'ip9'"),
        (lambda net: net.copy_from("none.caffemodel"), "none.caffemodel"),
    ],
)
def test_invalid_calls_raise(net, call, message):
    with pytest.raises(CaffeError, match="(?s)" + message):
        call(net)
