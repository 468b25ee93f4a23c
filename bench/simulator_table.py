"""The table of docs/guides/simulator.md: every net's blobs in the simulator, beside its float32 and its FP16 emulation.

    PYTHONPATH=src python bench/simulator_table.py [NET ...]

Weights are seeded and scaled layer by layer so that every layer's values have a spread of 1 (of a net of the zoo whose
weights are in this checkout, those are taken): the answers then depend on all of the net, and FP16 holds them all.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time

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


def seeded(prototxt: str, seed: int = 1) -> tuple[Net, np.ndarray]:
    """(Net, image): weights drawn, then each layer's scaled by what it makes of the image."""
    net = Net(prototxt, caffe_pb2.TEST)
    random = np.random.RandomState(seed)
    drawn = random.standard_normal(1 << 20).astype(np.float32)
    image = random.uniform(-1, 1, net.blobs[net.inputs[0]].shape).astype(np.float32)
    net.blobs[net.inputs[0]].data[...] = image
    last = [name for name in net.params if net.layer_dict[name].type == "InnerProduct"] or list(net.params)
    for number, node in enumerate(net._nodes):
        layer = node.layer
        if layer.type == "Input":
            continue
        if layer.blobs:
            _fill(layer, drawn)
        net.forward_range(number, number, record=False)
        if layer.type in ("Convolution", "InnerProduct"):
            spread = float(np.std(net.blobs[node.tops[0]].data)) or 1.0
            for blob in layer.blobs:
                blob.data[...] *= (3.0 if layer.name == last[-1] else 1.0) / spread
            net.forward_range(number, number, record=False)
    return net, image


def _fill(layer, drawn: np.ndarray) -> None:
    if layer.type == "BatchNorm":
        for blob, (scale, offset) in zip(layer.blobs, ((0.1, 0), (0.1, 1), (0, 1))):
            blob.data[...] = np.resize(drawn, blob.shape) * scale + offset
        return
    weights = layer.blobs[0]
    spread = 0.05 if layer.type == "Scale" else np.sqrt(2 / max(1, np.prod(weights.shape[1:])))
    weights.data[...] = np.resize(drawn, weights.shape) * spread + (layer.type in ("Scale", "PReLU"))
    for blob in layer.blobs[1:]:
        blob.data[...] = np.resize(drawn[7:], blob.shape) * 0.05


def net_of(name: str) -> tuple[Net, np.ndarray]:
    """The net with weights and one image: those of this checkout for `compact`, else seeded ones."""
    prototxt = os.path.join(ROOT, "prototxt", NETS[name])
    weights = os.path.join(ROOT, "src", "agegender", "zoo", "weights", "compact.caffemodel")
    if name not in ("compact-age", "compact-gender"):
        return seeded(prototxt)
    net = Net(prototxt, weights, caffe_pb2.TEST)
    return net, np.random.RandomState(1).uniform(-120, 130, net.blobs[net.inputs[0]].shape).astype(np.float32)


def rows_of(name: str, folder: str):
    """Yield one row of the table a case: name, chip, cores, stages, errors, seconds."""
    net, image = net_of(name)
    path = os.path.join(folder, name + ".onnx")
    export_net(net, path)
    cases = CASES if name != "VGG-16" else CASES[2:3] + CASES[4:]  # 0.3 GB a blob
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
        error, other = np.abs(result - expected), np.abs(result - emulated)
        yield (
            f"| {name} | {chip} | {cores or simulator.program.shaves} | {len(simulator.program.stages)} "
            f"| {np.abs(expected).max():.3f} | {error.max():.2g} | {error.mean():.2g} "
            f"| {np.abs(emulated - expected).max():.2g} "
            f"| {other.max():.2g} | {seconds:.2f} | {'; '.join(simulator.findings()) or '-'} |"
        )
        os.unlink(blob)


def main() -> None:
    """Print the table."""
    print("| net | chip | SHAVE cores | stages | greatest value | max error | mean error | max error of the emulation "
          "| simulated - emulated | seconds | findings |\n|" + " --- |" * 11)  # fmt: skip
    for name in sys.argv[1:] or NETS:
        with tempfile.TemporaryDirectory(prefix="simulator-") as folder:
            for row in rows_of(name, folder):
                print(row, flush=True)


if __name__ == "__main__":
    main()
