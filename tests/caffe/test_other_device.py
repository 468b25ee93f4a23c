"""Nets and solvers on another device than the CPU: the same numbers, and no operation that mixes two devices."""

import numpy as np
import pytest
import torch
from support.layer_nets import net_of
from support.meta_device import DEVICE, other_device
from support.pass_nets import FACES, INCEPTION, RESIDUAL
from support.small_solvers import database, dropout_net, solver_text

import caffe
from caffe import layers
from caffe.core import config
from caffe.layers import base
from caffe.proto import caffe_pb2, text

layers.load()
EXAMPLES = [
    pytest.param(name, example, id="%s-%d" % (name, number))
    for name, layer in sorted(base.registry.items())
    for number, example in enumerate(layer.examples)
]


def _layer(name, example):
    """A net of one layer of which every bottom wants its derivative."""
    param = caffe_pb2.NetParameter(force_backward=True)
    for i, shape in enumerate(example.bottoms):
        made = param.layer.add(name="x%d" % i, type="Input", top=["x%d" % i])
        made.input_param.shape.add(dim=shape)
    layer = param.layer.add(name="l", type=name, bottom=["x%d" % i for i in range(len(example.bottoms))])
    layer.top.extend("y%d" % i for i in range(example.tops))
    text.parse(example.text, layer)
    caffe.set_random_seed(3)
    return caffe.Net.from_param(param, example.phase)


def _run(net, example):
    """All that forward and backward of one layer make, its bottoms seeded."""
    rng = np.random.default_rng(1)
    for i, shape in enumerate(example.bottoms):
        kind = ([*example.values, *["normal"] * 9])[i]
        values = rng.integers(0, kind, shape) if isinstance(kind, int) else rng.uniform(0.1, 0.9, shape)
        net.blobs["x%d" % i].data[...] = np.round(values) if kind == "binary" else values
    net.forward()
    layer = net.layer_dict["l"]
    found = {name: net.blobs[name].data.copy() for name in net.top_names["l"]}
    if layer.differentiable and example.bottoms and not layer.is_data:
        for name in net.top_names["l"] if not layer.is_loss else ():
            net.blobs[name].diff[...] = rng.normal(size=net.blobs[name].shape)
        net.backward()
        found.update({name: blob.diff.copy() for name, blob in net.blobs.items() if name.startswith("x")})
    return found


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_a_layer_computes_the_same(name, example):
    here = _run(_layer(name, example), example)
    with other_device():
        net = _layer(name, example)
        assert net.device == DEVICE
        there = _run(net, example)
    for key, values in here.items():
        assert np.allclose(there[key], values, atol=1e-5), key


@pytest.mark.parametrize("definition", [FACES, INCEPTION, RESIDUAL], ids=["faces", "inception", "residual"])
def test_a_net_computes_the_same(definition):
    found = []
    for place in (None, other_device()):
        with place or pytest.MonkeyPatch.context():
            caffe.set_random_seed(5)
            net = net_of(definition)
            net.blobs["data"].data[...] = np.random.default_rng(3).normal(size=net.blobs["data"].shape)
            net.forward()
            net.backward()
            blobs = [*net.blobs.values(), *(blob for blobs in net.params.values() for blob in blobs)]
            found.append([array.copy() for blob in blobs for array in (blob.data, blob.diff)])
    for here, there in zip(*found):
        assert np.allclose(here, there, rtol=1e-4, atol=1e-5)


def _solver(folder, kind, dropout):
    """A solver over records in `folder`'s parent; what it makes lands in `folder`."""
    folder.mkdir(exist_ok=True)
    net = dropout_net(folder.parent / "db")
    if not dropout:  # the devices draw other masks
        net = net.replace('type: "Dropout"', 'type: "Dropout" dropout_param { dropout_ratio: 0 }')
    (folder / "net.prototxt").write_text(net)
    (folder / "solver.prototxt").write_text(solver_text(folder, type=kind))
    return caffe.get_solver(str(folder / "solver.prototxt"))


def _weights(solver):
    return [blob.data.copy() for blobs in solver.net.params.values() for blob in blobs]


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_training_ends_where_the_cpu_ends(tmp_path, kind):
    database(tmp_path / "db", 23)
    here = _solver(tmp_path / "here", kind, dropout=False)
    here.step(6)
    with other_device():
        there = _solver(tmp_path / "there", kind, dropout=False)
        there.step(6)
        pairs = zip(_weights(here), _weights(there))
    for mine, theirs in pairs:
        assert np.allclose(mine, theirs, rtol=1e-3, atol=1e-4)


def test_a_resumed_run_ends_bit_for_bit_where_an_undisturbed_one_does(tmp_path):
    database(tmp_path / "db", 23)
    with other_device():
        whole = _solver(tmp_path / "run", "SGD", dropout=True)
        whole.step(3)
        whole.snapshot()
        resumed = _solver(tmp_path / "run", "SGD", dropout=True)
        resumed.restore(str(tmp_path / "run" / "s_iter_3.solverstate"))
        for solver in (whole, resumed):
            solver.step(3)
        for mine, theirs in zip(_weights(resumed), _weights(whole)):
            assert np.array_equal(mine, theirs)


@pytest.mark.parametrize("text", [
    'type: "Dropout"', 'type: "Pooling" pooling_param { pool: STOCHASTIC kernel_size: 2 stride: 2 }',
])  # fmt: skip
def test_random_numbers_are_drawn_where_the_blob_is_and_follow_the_seed(text):
    with other_device():
        runs = []
        for seed in (1, 1, 2):
            caffe.set_random_seed(seed)
            net = net_of('layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }'
                         f'layer {{ name: "y" bottom: "x" top: "y" {text} }}')  # fmt: skip
            net.blobs["x"].data[...] = np.arange(1, 385).reshape(2, 3, 8, 8)
            net.forward()
            runs.append(net.blobs["y"].data.copy())
            net.forward()
            assert not np.array_equal(net.blobs["y"].data, runs[-1])
    assert np.array_equal(runs[0], runs[1]) and not np.array_equal(runs[0], runs[2])


def test_the_device_of_these_tests_refuses_mixtures():
    with other_device():
        there = torch.zeros(3, device=DEVICE)
        with pytest.raises(RuntimeError, match="two devices"):
            there + torch.zeros(3)
        with pytest.raises(RuntimeError, match="generator is the CPU's"):
            there.bernoulli_(0.5, generator=torch.Generator())
        assert float(there.cpu().sum()) == 0


def test_gpu_mode_keeps_float32_and_repeatable_runs(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32, cudnn.deterministic
    try:
        caffe.set_mode_gpu()
        assert config.device() == torch.device("cuda", 0)
        assert (cudnn.allow_tf32, matmul.allow_tf32, cudnn.deterministic) == (False, False, True)
        config.set_tf32(True)
        assert cudnn.allow_tf32 and matmul.allow_tf32
    finally:
        caffe.set_mode_cpu()
        cudnn.allow_tf32, matmul.allow_tf32, cudnn.deterministic = before
