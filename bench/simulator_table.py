"""Print the table of docs/guides/simulator.md: simulated blobs compared with float32 and the FP16 emulation.

    PYTHONPATH=src python bench/simulator_table.py [NET ...]

The weights are random and scaled so that the outputs of every layer have a standard deviation of 1: the result then
depends on all layers, and no value overflows FP16. Nets of the zoo with weights in this checkout use those.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from caffe.convert.onnx_export import export_net
from caffe.net.net import Net
from caffe.proto import caffe_pb2
from ncs.myriad.compiler import Job, compile_blobs
from ncs.precision import fp16_emulation
from ncs.simulator import Simulator

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NETS = {
    "AgeNet": "AgeNet_deploy.prototxt",
    "GenderNet": "GenderNet_deploy.prototxt",
    "compact-age": "compact/compact-age_deploy.prototxt",
    "compact-gender": "compact/compact-gender_deploy.prototxt",
    "compact-wide-age": "compact/compact-wide-age_deploy.prototxt",
    "face-resnet-age": "face_resnet/face-resnet-age_deploy.prototxt",
    "mobilenet-age": "mobilenet/mobilenet-age_deploy.prototxt",
    "SqueezeNet": "squeezenet/deploy.prototxt",
    "GoogLeNet": "googlenet/deploy.prototxt",
    "ResNet-50": "resnet50/deploy.prototxt",
    "WRN-16-8": "wideresnet/wideresnet-age_deploy.prototxt",
    "VGG-16": "vgg16/deploy.prototxt",
}
CASES = [("MA2480", 1), ("MA2480", 4), ("MA2480", 8), ("MA2480", 16), ("MA2450", None)]


def random_net(prototxt: str, seed: int = 1) -> tuple[Net, np.ndarray]:
    """Return (Net, image) with random weights, scaled layer by layer by the standard deviation of the output."""
    net = Net(prototxt, caffe_pb2.TEST)
    random = np.random.RandomState(seed)
    samples = random.standard_normal(1 << 20).astype(np.float32)
    image = random.uniform(-1, 1, net.blobs[net.inputs[0]].shape).astype(np.float32)
    net.blobs[net.inputs[0]].data[...] = image
    last = [name for name in net.params if net.layer_dict[name].type == "InnerProduct"] or list(net.params)
    for number, node in enumerate(net.nodes):
        layer = node.layer
        if layer.type == "Input":
            continue
        if layer.blobs:
            _fill(layer, samples)
        net.forward_range(number, number, record=False)
        if layer.type in ("Convolution", "InnerProduct"):
            std = float(np.std(net.blobs[node.tops[0]].data)) or 1.0
            for blob in layer.blobs:
                blob.data[...] *= (3.0 if layer.name == last[-1] else 1.0) / std
            net.forward_range(number, number, record=False)
    return net, image


def _fill(layer: Any, samples: np.ndarray) -> None:
    if layer.type == "BatchNorm":
        for blob, (scale, offset) in zip(layer.blobs, ((0.1, 0), (0.1, 1), (0, 1))):
            blob.data[...] = np.resize(samples, blob.shape) * scale + offset
        return
    weights = layer.blobs[0]
    std = 0.05 if layer.type == "Scale" else np.sqrt(2 / max(1, np.prod(weights.shape[1:])))
    weights.data[...] = np.resize(samples, weights.shape) * std + (layer.type in ("Scale", "PReLU"))
    for blob in layer.blobs[1:]:
        blob.data[...] = np.resize(samples[7:], blob.shape) * 0.05


def net_of(name: str) -> tuple[Net, np.ndarray]:
    """Return (Net, image), with the weights of this checkout for `compact` and random ones otherwise."""
    prototxt = os.path.join(ROOT, "prototxt", NETS[name])
    weights = os.path.join(ROOT, "src", "agegender", "zoo", "weights", "compact.caffemodel")
    if name not in ("compact-age", "compact-gender"):
        return random_net(prototxt)
    net = Net(prototxt, weights, caffe_pb2.TEST)
    return net, np.random.RandomState(1).uniform(-120, 130, net.blobs[net.inputs[0]].shape).astype(np.float32)


def table_rows(name: str, folder: str) -> Iterator[str]:
    """Yield one table row per case: name, chip, cores, stages, errors, seconds."""
    net, image = net_of(name)
    path = os.path.join(folder, name + ".onnx")
    export_net(net, path)
    cases = CASES if name != "VGG-16" else CASES[2:3] + CASES[4:]  # 0.3 GB per blob
    blobs = [os.path.join(folder, f"{name}_{chip}_{cores}.blob") for chip, cores in cases]
    compile_blobs([Job(path, blob, chip, cores) for blob, (chip, cores) in zip(blobs, cases)])
    expected = fp16_emulation.predict(net, image)
    fp16_emulation.round_weights(net)
    emulated = fp16_emulation.predict(net, image, True)
    del net
    for blob, (chip, cores) in zip(blobs, cases):
        simulator = Simulator.from_file(blob)
        inputs = {simulator.program.inputs[0].name: image}
        simulator.run(inputs)
        begin = time.perf_counter()
        outputs = list(simulator.run(inputs).values())
        seconds = time.perf_counter() - begin
        result = next(output for output in outputs if output.size == expected.size).reshape(1, -1)
        error, emulation_difference = np.abs(result - expected), np.abs(result - emulated)
        yield (
            f"| {name} | {chip} | {cores or simulator.program.shaves} | {len(simulator.program.stages)} "
            f"| {np.abs(expected).max():.3f} | {error.max():.2g} | {error.mean():.2g} "
            f"| {np.abs(emulated - expected).max():.2g} "
            f"| {emulation_difference.max():.2g} | {seconds:.2f} | {'; '.join(simulator.findings()) or '-'} |"
        )
        os.unlink(blob)


def main() -> None:
    """Print the table."""
    columns = ["net", "chip", "SHAVE cores", "stages", "largest value", "max error", "mean error"]
    columns += ["emulation's max error", "simulated - emulated", "seconds", "findings"]
    print(f"| {' | '.join(columns)} |\n|" + " --- |" * len(columns))
    for name in sys.argv[1:] or NETS:
        with tempfile.TemporaryDirectory(prefix="simulator-") as folder:
            for row in table_rows(name, folder):
                print(row, flush=True)


if __name__ == "__main__":
    main()
