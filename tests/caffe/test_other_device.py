"""Nets and solvers on a device other than the CPU: same results, no operation that mixes two devices."""

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
    pytest.param(name, example, id=f"{name}-{number}")
    for name, layer in sorted(base.registry.items())
    for number, example in enumerate(layer.examples)
]


def _layer(name, example):
    """A net with one layer that computes the gradient of every bottom."""
    param = caffe_pb2.NetParameter(force_backward=True)
    for i, shape in enumerate(example.bottoms):
        input_layer = param.layer.add(name=f"x{i}", type="Input", top=[f"x{i}"])
        input_layer.input_param.shape.add(dim=shape)
    layer = param.layer.add(name="l", type=name, bottom=[f"x{i}" for i in range(len(example.bottoms))])
    layer.top.extend(f"y{i}" for i in range(example.tops))
    text.parse(example.text, layer)
    caffe.set_random_seed(3)
    return caffe.Net.from_param(param, example.phase)


def _run(net, example):
    """Run forward and backward of one layer on seeded bottoms; return tops and bottom gradients."""
    rng = np.random.default_rng(1)
    for i, shape in enumerate(example.bottoms):
        kind = ([*example.values, *["normal"] * 9])[i]
        values = rng.integers(0, kind, shape) if isinstance(kind, int) else rng.uniform(0.1, 0.9, shape)
        net.blobs[f"x{i}"].data[...] = np.round(values) if kind == "binary" else values
    net.forward()
    layer = net.layer_dict["l"]
    results = {name: net.blobs[name].data.copy() for name in net.top_names["l"]}
    if layer.differentiable and example.bottoms and not layer.is_data:
        for name in net.top_names["l"] if not layer.is_loss else ():
            net.blobs[name].diff[...] = rng.normal(size=net.blobs[name].shape)
        net.backward()
        results.update({name: blob.diff.copy() for name, blob in net.blobs.items() if name.startswith("x")})
    return results


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_layer_agrees_with_cpu(name, example):
    expected = _run(_layer(name, example), example)
    with other_device():
        net = _layer(name, example)
        assert net.device == DEVICE
        results = _run(net, example)
    for key, values in expected.items():
        assert np.allclose(results[key], values, atol=1e-5), key


@pytest.mark.parametrize("definition", [FACES, INCEPTION, RESIDUAL], ids=["faces", "inception", "residual"])
def test_net_agrees_with_cpu(definition):
    results = []
    for device in (None, other_device()):
        with device or pytest.MonkeyPatch.context():
            caffe.set_random_seed(5)
            net = net_of(definition)
            net.blobs["data"].data[...] = np.random.default_rng(3).normal(size=net.blobs["data"].shape)
            net.forward()
            net.backward()
            blobs = [*net.blobs.values(), *(blob for blobs in net.params.values() for blob in blobs)]
            results.append([array.copy() for blob in blobs for array in (blob.data, blob.diff)])
    for on_cpu, on_device in zip(*results):
        assert np.allclose(on_cpu, on_device, rtol=1e-4, atol=1e-5)


def _solver(folder, solver_type, dropout):
    """A solver that trains on the database in `folder`'s parent and writes to `folder`."""
    folder.mkdir(exist_ok=True)
    net = dropout_net(folder.parent / "db")
    if not dropout:  # dropout masks differ between devices
        net = net.replace('type: "Dropout"', 'type: "Dropout" dropout_param { dropout_ratio: 0 }')
    (folder / "net.prototxt").write_text(net)
    (folder / "solver.prototxt").write_text(solver_text(folder, type=solver_type))
    return caffe.get_solver(str(folder / "solver.prototxt"))


def _weights(solver):
    return [blob.data.copy() for blobs in solver.net.params.values() for blob in blobs]


@pytest.mark.parametrize("solver_type", ["SGD", "Adam"])
def test_training_agrees_with_cpu(tmp_path, solver_type):
    database(tmp_path / "db", 23)
    on_cpu = _solver(tmp_path / "cpu", solver_type, dropout=False)
    on_cpu.step(6)
    with other_device():
        on_device = _solver(tmp_path / "device", solver_type, dropout=False)
        on_device.step(6)
        pairs = zip(_weights(on_cpu), _weights(on_device))
    for expected, result in pairs:
        assert np.allclose(expected, result, rtol=1e-3, atol=1e-4)


def test_resumed_training_is_bit_identical(tmp_path):
    database(tmp_path / "db", 23)
    with other_device():
        uninterrupted = _solver(tmp_path / "run", "SGD", dropout=True)
        uninterrupted.step(3)
        uninterrupted.snapshot()
        resumed = _solver(tmp_path / "run", "SGD", dropout=True)
        resumed.restore(str(tmp_path / "run" / "s_iter_3.solverstate"))
        for solver in (uninterrupted, resumed):
            solver.step(3)
        for result, expected in zip(_weights(resumed), _weights(uninterrupted)):
            assert np.array_equal(result, expected)


INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }'


@pytest.mark.parametrize(
    "text", ['type: "Dropout"', 'type: "Pooling" pooling_param { pool: STOCHASTIC kernel_size: 2 stride: 2 }']
)
def test_random_numbers_are_drawn_on_the_device_and_follow_the_seed(text):
    with other_device():
        runs = []
        for seed in (1, 1, 2):
            caffe.set_random_seed(seed)
            net = net_of(INPUT + f'layer {{ name: "y" bottom: "x" top: "y" {text} }}')
            net.blobs["x"].data[...] = np.arange(1, 385).reshape(2, 3, 8, 8)
            net.forward()
            runs.append(net.blobs["y"].data.copy())
            net.forward()
            assert not np.array_equal(net.blobs["y"].data, runs[-1])
    assert np.array_equal(runs[0], runs[1]) and not np.array_equal(runs[0], runs[2])


def test_test_device_rejects_mixed_devices():
    with other_device():
        tensor = torch.zeros(3, device=DEVICE)
        with pytest.raises(RuntimeError, match="two devices"):
            tensor + torch.zeros(3)
        with pytest.raises(RuntimeError, match="generator is the CPU's"):
            tensor.bernoulli_(0.5, generator=torch.Generator())
        assert float(tensor.cpu().sum()) == 0


def test_gpu_mode_keeps_float32_and_determinism(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    previous = cudnn.allow_tf32, matmul.allow_tf32, cudnn.deterministic
    try:
        caffe.set_mode_gpu()
        assert config.device() == torch.device("cuda", 0)
        assert (cudnn.allow_tf32, matmul.allow_tf32, cudnn.deterministic) == (False, False, True)
        config.set_tf32(True)
        assert cudnn.allow_tf32 and matmul.allow_tf32
    finally:
        caffe.set_mode_cpu()
        cudnn.allow_tf32, matmul.allow_tf32, cudnn.deterministic = previous
