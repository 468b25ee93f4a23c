"""Every layer type keeps its word on its own examples: shapes, export, derivatives, documentation,
witness.
"""

from pathlib import Path

import numpy as np
import pytest
from support.reference import one_layer_net

from caffe import layers
from caffe.layers import base

layers.load()
EXAMPLES = [
    pytest.param(name, example, id="%s-%d" % (name, number))
    for name, layer in sorted(base.registry.items())
    for number, example in enumerate(layer.examples)
]
NEED_MORE_THAN_TEXT = ("HDF5Output", "Python")  # a file, a class


def values(kind, shape, rng):
    """Contents of a bottom, as Example.values says."""
    makers = {
        "normal": lambda: rng.standard_normal(shape),
        "positive": lambda: rng.uniform(0.1, 2, shape),
        "unit": lambda: rng.uniform(0, 1, shape),
        "binary": lambda: rng.integers(0, 2, shape),
    }
    array = makers[kind]() if kind in makers else rng.integers(0, kind, shape)
    return np.asarray(array, np.float32)


def fed(name, example, force=False):
    """A net of the one layer with its bottoms filled, and its BatchNorm sums as after some training."""
    net = one_layer_net(name, example.text, example.bottoms, example.tops, example.phase, force)
    rng = np.random.default_rng(len(name))
    kinds = list(example.values) + ["normal"] * len(example.bottoms)
    for i, shape in enumerate(example.bottoms):
        net.blobs["x%d" % i].data[...] = values(kinds[i], shape, rng)
    if name == "BatchNorm":
        for blob in net.params["l"]:
            blob.data[...] = rng.uniform(0.5, 2, blob.data.shape)
    return net, rng


def numbers(net):
    return {name: net.blobs[name].data.copy() for name in net.top_names["l"]}


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_declared_shapes_are_executed_shapes(name, example):
    net, _ = fed(name, example)
    layer = net.layer_dict["l"]
    declared = {top: net.blobs[top].data.shape for top in net.top_names["l"]}
    net.forward()
    executed = {top: net.blobs[top].data.shape for top in net.top_names["l"]}
    if layer.rows_vary:
        axis = 2 if name.endswith("DetectionOutput") else 0
        declared, executed = (
            {k: v[:axis] + v[axis + 1 :] for k, v in shapes.items()} for shapes in (declared, executed)
        )
    assert executed == declared
    assert len(declared) == len(layer.param.top)


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_exported_is_executed_in_both_runtimes(name, example):
    if base.registry[name].no_onnx or not example.bottoms or not example.tops:
        pytest.skip(base.registry[name].no_onnx or "it has no node")
    if example.phase != base.TEST:
        pytest.skip("the example is one of training")
    net, _ = fed(name, example)
    from caffe.convert import onnx_export

    model = onnx_export.model_bytes(net)
    inputs = {"x%d" % i: net.blobs["x%d" % i].data.copy() for i in range(len(example.bottoms))}
    net.forward()
    expected = numbers(net)
    for runtime, run in (("ONNX Runtime", onnxruntime_runs), ("OpenVINO", openvino_runs)):
        received = run(model, inputs)
        for top, array in expected.items():
            assert received[top].shape == array.shape, f"{runtime}: {top}"
            error = np.abs(received[top] - array).max(initial=0) / max(1.0, np.abs(array).max(initial=0))
            assert error < 1e-4, f"{runtime}: {top} is off by {error:.2g}"


def onnxruntime_runs(model, inputs):
    """Outputs by name."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    taken = {given.name for given in session.get_inputs()}
    return dict(zip(names, session.run(names, {k: v for k, v in inputs.items() if k in taken})))


def openvino_runs(model, inputs, _cores=[]):  # noqa: B006  one Core for all tests
    """Outputs by name."""
    import openvino

    if not _cores:
        _cores.append(openvino.Core())
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = _cores[0].compile_model(_cores[0].read_model(model, b""), "CPU", settings)
    taken = {name for given in compiled.inputs for name in given.names}
    found = compiled({k: v for k, v in inputs.items() if k in taken})
    return {name: found[output] for output in compiled.outputs for name in output.names}


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_derivatives_reach_every_bottom_and_weight(name, example):
    layer_type = base.registry[name]
    if not layer_type.differentiable or layer_type.is_data or not example.bottoms:
        pytest.skip(f"{name} has no derivative")
    net, rng = fed(name, example, force=True)
    net.forward()
    layer = net.layer_dict["l"]
    for top in net.top_names["l"]:
        if not layer.is_loss:
            net.blobs[top].diff[...] = rng.standard_normal(net.blobs[top].data.shape)
    net.backward()
    for i in range(len(example.bottoms)):
        diff = net.blobs["x%d" % i].diff
        assert np.isfinite(diff).all()
        if layer.allow_force_backward(i) and not diff.any():
            assert not depends(net, "x%d" % i, rng), "bottom %d has no derivative" % i
    specs = list(layer.param.param) + [None] * len(layer.blobs)
    for number, (blob, spec) in enumerate(zip(layer.blobs, specs)):
        if spec is None or spec.lr_mult:
            assert blob.diff.any() and np.isfinite(blob.diff).all(), "weights %d have no derivative" % number


def depends(net, bottom, rng):
    """Whether the tops change with the bottom at all."""
    before = numbers(net)
    net.blobs[bottom].data[...] = rng.standard_normal(net.blobs[bottom].data.shape)
    net.forward()
    return any((before[top] != array).any() for top, array in numbers(net).items())


@pytest.mark.parametrize("name", sorted(base.registry))
def test_every_type_is_documented_and_has_a_witness(name):
    layer = base.registry[name]
    own = vars(layer)
    assert own.get("__doc__"), "the docstring is the type's page"
    assert own.get("examples") or layer.is_data or name in NEED_MORE_THAN_TEXT, "an example"
    module = layer.__module__.rsplit(".", 1)[-1]
    assert (Path(__file__).parent / (f"test_{module}.py")).is_file(), "a witness"


def test_a_type_stands_in_a_file_of_its_name():
    class Wrong(base.Layer):
        """Stands in a test."""

    with pytest.raises(base.CaffeError, match=r"stands in test_conformance\.py; its file must be named as the type"):
        base.register(Wrong)
    assert "Wrong" not in base.registry
