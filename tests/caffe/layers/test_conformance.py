"""Conformance of all layer types on their examples: shapes, ONNX export, gradients, documentation, tests."""

from pathlib import Path

import numpy as np
import pytest
from support.reference import one_layer_net

from caffe import layers
from caffe.layers import base

layers.load()
EXAMPLES = [
    pytest.param(name, example, id=f"{name}-{number}")
    for name, layer in sorted(base.registry.items())
    for number, example in enumerate(layer.examples)
]
NEED_MORE_THAN_TEXT = ("HDF5Output", "Python")  # they need a file and a class


def values(content, shape, rng):
    """Return random contents of a bottom, as defined by Example.values."""
    makers = {
        "normal": lambda: rng.standard_normal(shape),
        "positive": lambda: rng.uniform(0.1, 2, shape),
        "unit": lambda: rng.uniform(0, 1, shape),
        "binary": lambda: rng.integers(0, 2, shape),
    }
    array = makers[content]() if content in makers else rng.integers(0, content, shape)
    return np.asarray(array, np.float32)


def build_net(name, example, force=False):
    """Build a net of one layer with random bottoms; BatchNorm has accumulated statistics as after some training."""
    net = one_layer_net(name, example.text, example.bottoms, example.tops, example.phase, force)
    rng = np.random.default_rng(len(name))
    contents = list(example.values) + ["normal"] * len(example.bottoms)
    for i, shape in enumerate(example.bottoms):
        net.blobs[f"x{i}"].data[...] = values(contents[i], shape, rng)
    if name == "BatchNorm":
        for blob in net.params["l"]:
            blob.data[...] = rng.uniform(0.5, 2, blob.data.shape)
    return net, rng


def top_arrays(net):
    return {name: net.blobs[name].data.copy() for name in net.top_names["l"]}


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_declared_shapes_match_executed_shapes(name, example):
    net, _ = build_net(name, example)
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
def test_exported_model_matches_in_both_runtimes(name, example):
    if base.registry[name].no_onnx or not example.bottoms or not example.tops:
        pytest.skip(base.registry[name].no_onnx or "it has no ONNX node")
    if example.phase != base.TEST:
        pytest.skip("the example is for training")
    net, _ = build_net(name, example)
    from caffe.convert import onnx_export

    model = onnx_export.model_bytes(net)
    inputs = {f"x{i}": net.blobs[f"x{i}"].data.copy() for i in range(len(example.bottoms))}
    net.forward()
    expected = top_arrays(net)
    for runtime, run in (("ONNX Runtime", run_onnxruntime), ("OpenVINO", run_openvino)):
        received = run(model, inputs)
        for top, array in expected.items():
            assert received[top].shape == array.shape, f"{runtime}: {top}"
            error = np.abs(received[top] - array).max(initial=0) / max(1.0, np.abs(array).max(initial=0))
            assert error < 1e-4, f"{runtime}: {top} is off by {error:.2g}"


def run_onnxruntime(model, inputs):
    """Run `model` and return its outputs by name."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    input_names = {node.name for node in session.get_inputs()}
    return dict(zip(names, session.run(names, {k: v for k, v in inputs.items() if k in input_names})))


def run_openvino(model, inputs, _cores=[]):  # noqa: B006  one Core for all tests
    """Run `model` and return its outputs by name."""
    import openvino

    if not _cores:
        _cores.append(openvino.Core())
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = _cores[0].compile_model(_cores[0].read_model(model, b""), "CPU", settings)
    input_names = {name for node in compiled.inputs for name in node.names}
    outputs = compiled({k: v for k, v in inputs.items() if k in input_names})
    return {name: outputs[output] for output in compiled.outputs for name in output.names}


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_gradients_reach_every_bottom_and_weight(name, example):
    layer_type = base.registry[name]
    if not layer_type.differentiable or layer_type.is_data or not example.bottoms:
        pytest.skip(f"{name} has no gradient")
    net, rng = build_net(name, example, force=True)
    net.forward()
    layer = net.layer_dict["l"]
    for top in net.top_names["l"]:
        if not layer.is_loss:
            net.blobs[top].diff[...] = rng.standard_normal(net.blobs[top].data.shape)
    net.backward()
    for i in range(len(example.bottoms)):
        diff = net.blobs[f"x{i}"].diff
        assert np.isfinite(diff).all()
        if layer.allow_force_backward(i) and not diff.any():
            assert not depends(net, f"x{i}", rng), f"bottom {i} has no gradient"
    specs = list(layer.param.param) + [None] * len(layer.blobs)
    for number, (blob, spec) in enumerate(zip(layer.blobs, specs)):
        if spec is None or spec.lr_mult:
            assert blob.diff.any() and np.isfinite(blob.diff).all(), f"weight blob {number} has no gradient"


def depends(net, bottom, rng):
    """Return whether the tops depend on the bottom."""
    before = top_arrays(net)
    net.blobs[bottom].data[...] = rng.standard_normal(net.blobs[bottom].data.shape)
    net.forward()
    return any((before[top] != array).any() for top, array in top_arrays(net).items())


@pytest.mark.parametrize("name", sorted(base.registry))
def test_every_type_has_docstring_examples_and_tests(name):
    layer = base.registry[name]
    own = vars(layer)
    assert own.get("__doc__"), f"{name} has no docstring"
    assert own.get("examples") or layer.is_data or name in NEED_MORE_THAN_TEXT, f"{name} has no example"
    module = layer.__module__.rsplit(".", 1)[-1]
    assert (Path(__file__).parent / f"test_{module}.py").is_file(), f"{name} has no test file"


def test_type_must_be_in_a_file_of_its_name():
    class Wrong(base.Layer):
        """A layer type in a test file."""

    with pytest.raises(base.CaffeError, match=r"is in test_conformance\.py; its file must be named after the type"):
        base.register(Wrong)
    assert "Wrong" not in base.registry
