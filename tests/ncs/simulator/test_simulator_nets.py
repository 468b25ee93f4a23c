"""Compare blobs with our Net: random nets, the examples of every layer, AgeNet, SqueezeNet and damaged blobs."""

import dataclasses
import random

import damage
import numpy as np
import pytest
import random_nets
import test_conformance
from support import big_nets
from support.layer_nets import net_of

import caffe
from caffe.convert.onnx_export import export_net
from caffe.layers import base
from ncs.errors import NcsError
from ncs.myriad.compiler import Job, compile_blobs
from ncs.precision import fp16_emulation
from ncs.simulator import Simulator

CHIPS = (("MA2480", None), ("MA2480", 1), ("MA2450", None))
UNSUPPORTED = frozenset(
    [
        *("Filter-0", "Filter-1"),  # a top of dynamic shape
        *(
            "AbsVal-0",
            "Normalize-4",
            "Reduction-2",
            "InnerDistance-1",
            "Atan-0",
            "SeLu-0",
            "SeLu-1",
        ),  # no such function on the chip
        *("DenseBlock-0", "DenseBlock-1"),  # the variances of a new net are 0: results beyond half precision
        *("Deconvolution-3", "Pooling-1", "Axpy-1"),  # one spatial axis; indices of maxima; an open Reshape
        *(
            "CTCGreedyDecoder-0",
            "CTCGreedyDecoder-1",
            "CTCGreedyDecoder-2",
            "Lstm-0",
        ),  # no cumulative sum; only the LSTM of OpenVINO
        *("PriorBox-0", "PriorBox-1", "PriorBox-2", "PriorBox-3", "PriorBox-4", "PriorBox-5"),  # constants
        *("PriorBoxClustered-0", "Shape-0"),
        *("ROIWarping-0", "FlowWarp-0", "SpatialTransformer-0", "SpatialTransformer-1"),  # gathering by computed places
        *("BatchToSpaceND-0", "Upsample-1", "Upsample-2"),  # needs a batch; the simulator has no ScatterElementsUpdate
        # `ncs compile` writes them as native operations, see tests/ncs/compiler/test_native_ops.py; their ONNX form is
        # for other runtimes
        *(
            "DetectionOutput-0",
            "DetectionOutput-1",
            "DetectionOutput-2",
            "PSROIPooling-0",
            "Proposal-0",
            "ROIPooling-0",
        ),
        *("YoloDetectionOutput-0", "Yolov3DetectionOutput-0"),
        *("BoxGroupOutput-0", "BoxOutput-0", "ScaleRoute-0"),  # a number of rows that depends on values
        # no such function on the chip: Abs, Sign, HardSigmoid, ReduceProd, Sin
        *("ConvolutionRistretto-0", "DeconvolutionRistretto-0", "FcRistretto-0", "FixedNeuron-1", "HardSigmoid-0"),
        *("ROIAlign-0", "ROIAlign-1", "ReduceProd-0", "ReduceProd-1", "Sin-0", "Softsign-0"),
        *("DeformableConvolution-0", "DeformableConvolution-1"),  # gathering by computed places
        "Round-0",  # the simulator does not have this stage
        "ReduceMin-1",  # for MA2450 the compiler reorders the axes of its bottom; how the chip reads that is not known
    ]
)


def relative_error(result, expected):
    """Return the maximum difference divided by the maximum expected value."""
    return np.abs(result.reshape(-1) - expected.reshape(-1)).max() / max(0.3, np.abs(expected).max())


def test_random_nets(compiler, tmp_path):
    """bench/simulator_random_nets.py compares 1000 of these nets."""
    candidates = ((seed, random_nets.random_net(seed)) for seed in range(60))
    nets = [(seed, *net) for seed, net in candidates if net is not None][:16]
    jobs = []
    for seed, net, _, _, _ in nets:
        export_net(net, tmp_path / f"{seed}.onnx")
        jobs += [Job(str(tmp_path / f"{seed}.onnx"), str(tmp_path / f"{seed}_{c}_{s}.blob"), c, s) for c, s in CHIPS]
    compile_blobs(jobs)
    for seed, _, image, expected, text in nets:
        for chip, shaves in CHIPS:
            simulator = Simulator.from_file(tmp_path / f"{seed}_{chip}_{shaves}.blob")
            result = next(iter(simulator.run({"data": image}).values()))
            assert relative_error(result, expected) < 1e-2 and simulator.findings() == [], (chip, shaves, text)


def examples():
    """Yield (name, Net with inputs) of the examples of all layers with an ONNX form, for a batch of one image."""
    for parameter in test_conformance.EXAMPLES:
        name, example = parameter.values
        usable = example.bottoms and example.tops and example.phase == base.TEST
        if base.registry[name].no_onnx or not usable or name in test_conformance.NEED_MORE_THAN_TEXT:
            continue
        if parameter.id in UNSUPPORTED:
            continue
        shapes = [tuple(shape) for shape in example.bottoms]
        if len(shapes[0]) == 4:
            shapes = [(1, *shape[1:]) if shape[0] == shapes[0][0] else shape for shape in shapes]
        yield parameter.id, test_conformance.build_net(name, dataclasses.replace(example, bottoms=shapes))[0]


def forward(net):
    """Return (inputs, tops of the layer) by name of one run; a recurrent layer keeps its state."""
    inputs = {port: np.array(net.blobs[port].data) for port in net.inputs}
    net.forward()
    return inputs, {top: np.array(net.blobs[top].data) for top in net.top_names["l"]}


def test_examples_of_every_layer(compiler, tmp_path):
    nets = dict(examples())
    jobs = {}
    for number, (name, net) in enumerate(nets.items()):
        export_net(net, tmp_path / f"{name}.onnx")
        for chip in ("MA2480", "MA2450")[: 1 + number % 2]:
            jobs[name, chip] = Job(str(tmp_path / f"{name}.onnx"), str(tmp_path / f"{name}_{chip}.blob"), chip)
    compile_blobs(list(jobs.values()))
    expected_outputs = {name: forward(net) for name, net in nets.items()}
    for (name, _), job in jobs.items():
        inputs, tops = expected_outputs[name]
        simulator = Simulator.from_file(job.output)
        results = simulator.run({port.name: inputs[port.name] for port in simulator.program.inputs})
        for top, result in results.items():
            expected = tops[top] if top in tops else list(tops.values())[int(top.rsplit(".", 1)[1])]
            assert relative_error(result, expected) < 3e-3, (name, job.platform, top)
    assert len(jobs) > 140


@pytest.mark.parametrize("name, shaves", [("AgeNet", (1, 8)), ("SqueezeNet", (4, 16))])
def test_full_size_nets(compiler, tmp_path, name, shaves):
    """Each number of cores gives another tiling; all must equal our Net."""
    net = big_nets.export(name, tmp_path)
    cases = [*(("MA2480", count) for count in shaves), ("MA2450", None)]
    jobs = [Job(net.onnx, str(tmp_path / f"{chip}_{shaves}.blob"), chip, shaves) for chip, shaves in cases]
    compile_blobs(jobs)
    for job in jobs:
        simulator = Simulator.from_file(job.output)
        result = next(iter(simulator.run({"data": net.input}).values()))
        assert np.abs(result.reshape(1, -1) - net.output).max() < 6e-3 and result.argmax() == net.output.argmax()
        assert simulator.findings() == []


def test_batch_runs_the_stages_per_image(compiler, tmp_path):
    net = net_of(SMALL.replace("dim: 1 ", "dim: 3 "), caffe.TEST)
    image = np.random.RandomState(4).standard_normal((3, 3, 16, 16)).astype(np.float32)
    net.blobs["data"].data[...] = image
    net.forward()
    export_net(net, tmp_path / "net.onnx")
    compile_blobs([Job(str(tmp_path / "net.onnx"), str(tmp_path / "net.blob"))])
    simulator = Simulator.from_file(tmp_path / "net.blob")
    assert simulator.program.batch == 3
    assert relative_error(simulator.run({"data": image})["prob"], np.array(net.blobs["prob"].data)) < 3e-3
    with pytest.raises(NcsError, match="expected 3x3x16x16"):
        simulator.run({"data": image[:1]})


SMALL = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 16 dim: 16 } } }
layer { name: "c1" type: "Convolution" bottom: "data" top: "c1"
  convolution_param { num_output: 16 kernel_size: 3 pad: 1
    weight_filler { type: "msra" } bias_filler { type: "gaussian" std: 0.3 } } }
layer { name: "p1" type: "Pooling" bottom: "c1" top: "p1" pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "c2" type: "Convolution" bottom: "p1" top: "c2"
  convolution_param { num_output: 24 kernel_size: 5 pad: 2
    weight_filler { type: "msra" } bias_filler { type: "gaussian" std: 0.3 } } }
layer { name: "r2" type: "ReLU" bottom: "c2" top: "c2" }
layer { name: "fc" type: "InnerProduct" bottom: "c2" top: "fc"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } bias_filler { type: "gaussian" std: 0.3 } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


@pytest.fixture(scope="module")
def small(compiler, tmp_path_factory):
    """Return (blobs by chip, inputs, expected output) of a small net."""
    folder = tmp_path_factory.mktemp("small")
    caffe.set_random_seed(2)
    net = net_of(SMALL, caffe.TEST)
    image = np.random.RandomState(2).standard_normal((1, 3, 16, 16)).astype(np.float32)
    expected = fp16_emulation.predict(net, image).ravel()
    export_net(net, folder / "net.onnx")
    jobs = {chip: Job(str(folder / "net.onnx"), str(folder / f"{chip}.blob"), chip) for chip in ("MA2480", "MA2450")}
    compile_blobs(list(jobs.values()))
    contents = {}
    for chip, job in jobs.items():
        with open(job.output, "rb") as stream:
            contents[chip] = stream.read()
    return contents, {"data": image}, expected


def test_damaged_blobs_are_caught(small):
    """Only changes of low weight bits and unused memory may go undetected."""
    contents, inputs, expected = small
    caught = {kind: 0 for kind in damage.KINDS}
    for number in range(40):
        kind, chip = damage.KINDS[number % 4], ("MA2480", "MA2450")[number // 4 % 2]
        mutation = damage.damage_blob(contents[chip], kind, random.Random(number))
        caught[kind] += damage.is_caught(mutation.content, inputs, expected, 4e-3)[0]
    assert caught["offset"] >= 8 and caught["stride"] >= 8 and caught["tile"] >= 8 and caught["weight"] >= 1
    for content in contents.values():
        assert not damage.is_caught(content, inputs, expected, 4e-3)[0], "an undamaged blob"


def test_fp16_accumulation_is_a_bound(small):
    """Rounding after every product gives a larger error than rounding when a stage stores."""
    contents, inputs, expected = small
    errors = [
        np.abs(Simulator(contents["MA2480"], half=half_sums).run(inputs)["prob"].ravel() - expected).max()
        for half_sums in (False, True)
    ]
    assert errors[0] < 2e-3 and errors[0] < errors[1] < 0.1


@pytest.mark.parametrize("inputs, outputs", [("U8", "FP16"), ("FP16", "FP32"), ("FP32", "FP16")])
def test_port_types(compiler, tmp_path, inputs, outputs):
    """U8 inputs as from cameras, FP16 outputs as from compile_tool."""
    net = net_of(SMALL, caffe.TEST)
    image = np.random.RandomState(5).randint(0, 256, (1, 3, 16, 16)).astype(np.float32)
    for blob in net.params["c1"]:
        blob.data[...] /= 255
    net.blobs["data"].data[...] = image
    net.forward()
    export_net(net, tmp_path / "net.onnx")
    compile_blobs([Job(str(tmp_path / "net.onnx"), str(tmp_path / "net.blob"), inputs=inputs, outputs=outputs)])
    simulator = Simulator.from_file(tmp_path / "net.blob")
    ports = simulator.program.inputs[0].tensor.dtype, simulator.program.outputs[0].tensor.dtype
    assert ports == (inputs, outputs)
    assert relative_error(simulator.run({"data": image})["prob"], np.array(net.blobs["prob"].data)) < 4e-3


HEADS = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 20 dim: 20 } } }
layer { name: "aux" type: "Input" top: "aux" input_param { shape { dim: 1 dim: 4 } } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
  convolution_param { num_output: 8 kernel_size: 3 stride: 2 weight_filler { type: "msra" } } }
layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
layer { name: "f" type: "InnerProduct" bottom: "c" top: "f"
  inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
layer { name: "age" type: "Softmax" bottom: "f" top: "age" }
layer { name: "both" type: "Concat" bottom: "f" bottom: "aux" top: "both" }
layer { name: "g" type: "InnerProduct" bottom: "both" top: "g"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "map" type: "Convolution" bottom: "c" top: "map"
  convolution_param { num_output: 5 kernel_size: 1 weight_filler { type: "msra" } } }
"""


@pytest.mark.parametrize("chip", ["MA2480", "MA2450"])
def test_several_inputs_and_outputs(compiler, tmp_path, chip):
    caffe.set_random_seed(1)
    net, random = net_of(HEADS, caffe.TEST), np.random.RandomState(0)
    inputs = {name: random.standard_normal(net.blobs[name].shape).astype(np.float32) for name in net.inputs}
    for name, array in inputs.items():
        net.blobs[name].data[...] = array
    net.forward()
    export_net(net, tmp_path / "net.onnx")
    compile_blobs([Job(str(tmp_path / "net.onnx"), str(tmp_path / "net.blob"), chip)])
    results = Simulator.from_file(tmp_path / "net.blob").run(inputs)
    assert set(results) == {"age", "g", "map"}
    assert all(relative_error(result, np.array(net.blobs[name].data)) < 3e-3 for name, result in results.items())
