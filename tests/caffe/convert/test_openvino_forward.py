"""`Net.forward` on OpenVINO against the layers themselves: outputs, inner blobs, changed weights and inputs, backward."""

import numpy as np
import pytest
from differential import random_nets

import caffe
from caffe.convert import openvino_forward
from caffe.convert.leading_layers import leading_layers
from caffe.core import config
from caffe.net.net import Net

NET = """
input: "data" input_shape { dim: 2 dim: 3 dim: 20 dim: 20 }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" convolution_param { num_output: 8 kernel_size: 3
        weight_filler { type: "xavier" } bias_filler { type: "gaussian" std: 0.1 } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "norm1" type: "LRN" bottom: "pool1" top: "norm1" }
layer { name: "conv2" type: "Convolution" bottom: "norm1" top: "conv2" convolution_param { num_output: 8 kernel_size: 3
        pad: 1 weight_filler { type: "xavier" } } }
layer { name: "sum" type: "Eltwise" bottom: "norm1" bottom: "conv2" top: "sum" }
layer { name: "fc" type: "InnerProduct" bottom: "sum" top: "fc" inner_product_param { num_output: 5
        weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


def pair(folder, monkeypatch, text):
    """The net of `text` as users create it, and one with the same weights whose layers always run."""
    monkeypatch.setattr(openvino_forward, "MIN_OPERATIONS", 0)
    path = folder / "net.prototxt"
    path.write_text(text)
    caffe.set_random_seed(3)
    fast, plain = caffe.Net(str(path), caffe.TEST), caffe.Net(str(path), caffe.TEST)
    plain.leave_openvino()
    for name, blobs in fast.params.items():
        for mine, other in zip(plain.params[name], blobs):
            mine.data[...] = other.data
    return fast, plain


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """A pair of NET."""
    return pair(tmp_path, monkeypatch, NET)


def images(seed, batch=2):
    return np.random.default_rng(seed).normal(0, 1, (batch, 3, 20, 20)).astype(np.float32)


def forward(net, seed, **kwargs):
    data = images(seed, net.blobs["data"].shape[0])
    net.blobs["data"].data[...] = data
    return {name: values.copy() for name, values in net.forward(**kwargs).items()}


def close(received, expected):
    np.testing.assert_allclose(received, expected, rtol=0, atol=2e-5 * np.abs(expected).max(initial=1))


def both(nets, seed, **kwargs):
    fast, plain = (forward(net, seed, **kwargs) for net in nets)
    assert fast.keys() == plain.keys()
    for name in fast:
        close(fast[name], plain[name])


def uses_openvino(net):
    return net._openvino.incomplete


def test_the_second_pass_runs_on_openvino(nets):
    for seed in range(4):
        both(nets, seed)
        assert uses_openvino(nets[0]) == (seed > 0)
        assert not uses_openvino(nets[1])


def test_inner_blobs_are_computed_when_they_are_read(nets):
    for seed in range(2):
        both(nets, seed)
    assert uses_openvino(nets[0])
    for name, blob in nets[1].blobs.items():
        close(nets[0].blobs[name].data, blob.data)
    assert not uses_openvino(nets[0])


def test_inner_blobs_belong_to_the_inputs_of_the_pass(nets):
    fast, plain = nets
    for seed in range(2):
        both(nets, seed)
    result = fast.blobs["prob"].data.copy()
    fast.blobs["data"].data[...] = 7
    close(fast.blobs["conv2"].data, plain.blobs["conv2"].data)
    assert (fast.blobs["data"].data == 7).all()
    np.testing.assert_array_equal(fast.blobs["prob"].data, result)


def test_a_live_view_of_an_inner_blob_stays_current(nets):
    views = [net.blobs["conv2"].data for net in nets]
    for seed in range(3):
        both(nets, seed)
        close(*views)


def test_an_output_array_stays_live(nets):
    outputs = [net.blobs["prob"].data for net in nets]
    for seed in range(3):
        both(nets, seed)
        close(*outputs)


@pytest.mark.parametrize("held", [False, True])
def test_changed_weights_are_used(nets, held):
    views = []
    for seed in range(4):
        both(nets, seed)
        for net in nets:
            weights = net.params["conv2"][0].data
            weights *= 1.5
            views += [weights] if held else []
        del weights


def test_copied_weights_are_used(nets, tmp_path):
    path = str(tmp_path / "w.caffemodel")
    for seed in range(3):
        both(nets, seed)
        nets[1].params["fc"][0].data[...] += 0.1
        nets[1].save(path)
        nets[0].copy_from(path)
    both(nets, 9)


def test_inner_blobs_belong_to_the_weights_of_the_pass(nets, tmp_path):
    fast, plain = nets
    for seed in range(2):
        both(nets, seed)
    expected = plain.blobs["conv2"].data.copy()
    fast.params["conv1"][0].data[...] = 0
    close(fast.blobs["conv2"].data, expected)


def test_backward_after_forward(nets):
    for seed in range(3):
        both(nets, seed)
        gradients = []
        for net in nets:
            net.clear_param_diffs()
            net.blobs["prob"].diff[...] = np.arange(10).reshape(2, 5)
            net.backward()
            gradients.append([blob.diff.copy() for blobs in net.params.values() for blob in blobs])
        for received, expected in zip(*gradients):
            np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)


def test_partial_passes(nets):
    for seed in range(3):
        both(nets, seed)
        both(nets, seed + 10, end="conv2")
        close(nets[0].blobs["prob"].data, nets[1].blobs["prob"].data)  # those of the pass before
        for net in nets:
            net.blobs["norm1"].data[...] += 1
        both(nets, seed, start="conv2")


@pytest.mark.parametrize("batches", [(1, 1, 3, 3, 1), (2, 4, 4, 4)])
def test_another_batch_size(nets, batches):
    for seed, batch in enumerate(batches):
        for net in nets:
            net.blobs["data"].reshape(batch, 3, 20, 20)
        both(nets, seed)
        assert uses_openvino(nets[0]) == (seed > 0 and batches[seed - 1] == batch)


def test_inner_blobs_belong_to_the_batch_of_the_pass(nets):
    fast, plain = nets
    for seed in range(2):
        both(nets, seed)
    fast.blobs["data"].reshape(5, 3, 20, 20)
    close(fast.blobs["conv2"].data, plain.blobs["conv2"].data)
    assert fast.blobs["data"].shape == (5, 3, 20, 20)


def test_forward_all_and_further_blobs(nets):
    data = images(5, 7)
    fast, plain = (net.forward_all(data=data, blobs=["fc"]) for net in nets)
    for name in ("prob", "fc"):
        close(fast[name], plain[name])


def test_callbacks_see_every_layer(nets):
    calls = []
    both(nets, 0)
    nets[0].after_forward(calls.append)
    both(nets, 1)
    assert calls == list(range(len(nets[0].nodes)))


def test_a_script_that_reads_inner_blobs_leaves_openvino(nets):
    for seed in range(6):
        both(nets, seed)
        close(nets[0].blobs["conv2"].data, nets[1].blobs["conv2"].data)
    assert not nets[0]._openvino._eligible


@pytest.mark.parametrize(
    "layers",
    [
        'layer { name: "r" type: "ReLU" bottom: "data" top: "data" }',
        'layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 1 } } }',
    ],
    ids=["in place on the input", "generated data"],
)
def test_nets_that_only_their_layers_can_run(tmp_path, layers):
    (tmp_path / "net.prototxt").write_text('input: "data" input_shape { dim: 2 dim: 1 dim: 1 dim: 1 }' + layers)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    assert not openvino_forward._is_eligible(net, leading_layers(net))


SELECTION = """
layer { name: "mark" type: "InnerProduct" bottom: "sum" top: "mark" inner_product_param { num_output: 1
        weight_filler { type: "xavier" } } }
layer { name: "keep" type: "Threshold" bottom: "mark" top: "keep" threshold_param { threshold: 0 } }
layer { name: "chosen" type: "Filter" bottom: "sum" bottom: "keep" top: "chosen" }
layer { name: "relu2" type: "ReLU" bottom: "chosen" top: "chosen" }
layer { name: "last" type: "InnerProduct" bottom: "chosen" top: "last" inner_product_param { num_output: 3
        weight_filler { type: "xavier" } } }
"""


@pytest.fixture
def selecting_nets(tmp_path, monkeypatch):
    """A pair whose last layers are behind one with a number of rows that depends on values."""
    pair_of_nets = pair(tmp_path, monkeypatch, NET + SELECTION)
    for net in pair_of_nets:
        net.blobs["data"].reshape(6, 3, 20, 20)
    return pair_of_nets


def test_layers_behind_those_of_openvino(selecting_nets):
    fast, plain = selecting_nets
    rows = set()
    for seed in range(5):
        both(selecting_nets, seed)
        assert uses_openvino(fast) == (seed > 0)
        rows.add(len(fast.blobs["last"].data))
    assert len(rows) > 1
    for name, blob in plain.blobs.items():
        close(fast.blobs[name].data, blob.data)


def test_backward_through_layers_behind_those_of_openvino(selecting_nets):
    for seed in range(3):
        both(selecting_nets, seed)
        gradients = []
        for net in selecting_nets:
            net.clear_param_diffs()
            for name in net.outputs:
                net.blobs[name].diff[...] = 0.5
            net.backward()
            gradients.append([blob.diff.copy() for blobs in net.params.values() for blob in blobs])
        for received, expected in zip(*gradients):
            np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)


def test_code_of_the_user_runs_once_a_pass(tmp_path, monkeypatch):
    monkeypatch.setattr(openvino_forward, "MIN_OPERATIONS", 0)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "counting_layer.py").write_text(
        "import caffe\ncalls = []\nclass Counting(caffe.Layer):\n    def setup(self, bottom, top): pass\n"
        "    def reshape(self, bottom, top): top[0].reshape(*bottom[0].data.shape)\n"
        "    def forward(self, bottom, top): calls.append(1); top[0].data[...] = 2 * bottom[0].data\n"
        "    def backward(self, top, propagate_down, bottom): pass\n"
    )
    layer = 'python_param { module: "counting_layer" layer: "Counting" }'
    (tmp_path / "net.prototxt").write_text(
        NET + f'layer {{ name: "own" type: "Python" bottom: "prob" top: "own" {layer} }}'
    )
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    import counting_layer

    for seed in range(3):
        before = len(counting_layer.calls)
        forward(net, seed)
        assert uses_openvino(net) == (seed > 0)
        assert len(counting_layer.calls) == before + 1
    np.testing.assert_allclose(net.blobs["own"].data, 2 * net.blobs["prob"].data, rtol=1e-5)
    net.blobs["conv2"].data  # noqa: B018 - computes the inner blobs
    assert len(counting_layer.calls) == before + 1 and not uses_openvino(net)


def test_disabled_with_the_passes(nets):
    config.set_optimize(False)
    try:
        for seed in range(3):
            both(nets, seed)
            assert not uses_openvino(nets[0])
    finally:
        config.set_optimize(True)


def test_small_nets_keep_their_layers(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    for seed in range(3):
        forward(net, seed)
    assert not uses_openvino(net)


@pytest.mark.parametrize("number", range(40))
def test_random_nets(number, monkeypatch):
    """Outputs and inner blobs of the second pass, of nets with every kind of layer that a pass changes."""
    monkeypatch.setattr(openvino_forward, "MIN_OPERATIONS", 0)
    fast, plain = (Net.from_param(random_nets.chain(number), caffe.TEST) for _ in range(2))
    plain.leave_openvino()
    rng = np.random.default_rng(number)
    for name, blobs in plain.params.items():
        for mine, other in zip(fast.params[name], blobs):
            other.data[...] = rng.uniform(0.2, 1.2, other.shape)
            mine.data[...] = other.data
    for _ in range(2):
        for name in plain.inputs:
            plain.blobs[name].data[...] = rng.uniform(-1.2, 1.2, plain.blobs[name].shape)
            fast.blobs[name].data[...] = plain.blobs[name].data
        results = [net.forward() for net in (fast, plain)]
    assert uses_openvino(fast) == (fast._openvino._eligible and openvino_forward._is_worthwhile(leading_layers(fast)))
    for received, expected in _pairs(fast, plain, results):
        np.testing.assert_allclose(received, expected, rtol=0, atol=1e-4 * max(1, np.abs(expected).max()))


def _pairs(fast, plain, results):
    yield from ((results[0][name], results[1][name]) for name in results[1])
    yield from ((fast.blobs[name].data, blob.data) for name, blob in plain.blobs.items())


def test_layers_that_continue_from_their_last_states(tmp_path, monkeypatch):
    monkeypatch.setattr(openvino_forward, "MIN_OPERATIONS", 0)
    path = tmp_path / "net.prototxt"
    path.write_text("""input: "data" input_shape { dim: 3 dim: 2 dim: 4 } input: "cont" input_shape { dim: 3 dim: 2 }
        layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 4 axis: 2
                weight_filler { type: "xavier" } } }
        layer { name: "lstm" type: "LSTM" bottom: "fc" bottom: "cont" top: "lstm" recurrent_param { num_output: 5
                weight_filler { type: "gaussian" std: 0.8 } } }""")
    caffe.set_random_seed(3)
    net = caffe.Net(str(path), caffe.TEST)
    net.blobs["data"].data[...], net.blobs["cont"].data[...] = 1, 1
    states = [net.forward()["lstm"][-1].copy() for _ in range(3)]
    assert np.abs(states[1] - states[0]).max() > 0.01 < np.abs(states[2] - states[1]).max()
