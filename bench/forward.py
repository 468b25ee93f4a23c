#!/usr/bin/env python3
"""Milliseconds of `caffe.Net.forward` in phase TEST, with the layers alone, and of bare OpenVINO on the same net."""

import os
import sys
import tempfile
import time

import _harness
import numpy as np

import caffe
from caffe.proto import caffe_pb2
from caffe.utils.telemetry import import_openvino

ROOT = _harness.HERE.parent
sys.path.insert(0, str(ROOT / "tests"))
NETS = {
    "AgeNet": "AgeNet_deploy.prototxt",
    "GoogLeNet": "googlenet/deploy.prototxt",
    "ResNet-50": "resnet50/deploy.prototxt",
    "SqueezeNet": "squeezenet/deploy.prototxt",
    "AlexNet": "alexnet/deploy.prototxt",
    "MobileNet-SSD": "",  # generated
}
BATCHES = (1, 32)


def main():
    parser = _harness.arguments(__doc__, rounds=9)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    caffe_pb2.NetParameter()  # loads the schema before torch
    import torch

    torch.set_num_threads(args.threads)
    cases = [
        measure(name, batch, args.rounds, args.threads)
        for name in NETS
        for batch in BATCHES
        if args.only in f"{name}, batch {batch}"
    ]
    _harness.save("forward", threads=args.threads, cases=cases)


def measure(name, batch, rounds, threads):
    """Measure one net at one batch size, the three programs in turn, in a different order each round."""
    print(f"{name}, batch {batch}", file=sys.stderr)
    net, layers = load(name), load(name)
    layers.leave_openvino()
    data = fill(net, layers, batch)
    request = compiled(net, threads)
    outputs = {}

    def bare():
        request.infer({0: data})
        outputs["OpenVINO"] = request.get_output_tensor(0).data.copy()

    programs = {"forward": run(net, data, outputs, "forward"), "layers": run(layers, data, outputs, "layers")}
    programs["OpenVINO"] = bare
    for program in programs.values():  # the second pass of `forward` compiles the net
        program()
        program()
    laps = []
    for number in range(rounds):
        names = list(programs)[number % 3 :] + list(programs)[: number % 3]
        laps.append({key: {"wall": timed(programs[key])} for key in names})
    size = max(1.0, float(np.abs(outputs["layers"]).max()))
    return {
        "net": name,
        "batch": batch,
        "milliseconds": {key: 1e3 * _harness.median(laps, key) for key in programs},
        "forward to OpenVINO": _harness.ratio(laps, "forward", "OpenVINO"),
        "layers to forward": _harness.ratio(laps, "layers", "forward"),
        "error": float(np.abs(outputs["forward"] - outputs["layers"]).max()) / size,
        "rounds": laps,
    }


def load(name):
    """Return the net `name` in phase TEST."""
    if NETS[name]:
        return caffe.Net(str(ROOT / "prototxt" / NETS[name]), caffe.TEST)
    from support import mobilenet_ssd

    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(mobilenet_ssd.prototxt()[0])
        file.flush()
        return caffe.Net(file.name, caffe.TEST)


def fill(net, layers, batch):
    """Give both nets the same random weights and the batch size; return the input."""
    rng = np.random.default_rng(0)
    for name, blobs in net.params.items():
        for mine, other in zip(layers.params[name], blobs):
            scale = (2 / max(1, int(np.prod(other.shape[1:])))) ** 0.5
            other.data[...] = (
                np.abs(rng.normal(0, scale, other.shape))
                if len(other.shape) == 1
                else (rng.normal(0, scale, other.shape))
            )
            mine.data[...] = other.data
    source = net.inputs[0]
    for one in (net, layers):
        one.blobs[source].reshape(batch, *one.blobs[source].shape[1:])
        one.reshape()
    return rng.normal(0, 50, net.blobs[source].shape).astype(np.float32)


def compiled(net, threads):
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
    }
    from ncs.compiler import native_ops  # for DetectionOutput, which ONNX does not have as one operation

    core = import_openvino().Core()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "net.xml")
        native_ops.write_ir(net, path, fp16=False)
        return core.compile_model(path, "CPU", settings).create_infer_request()


def run(net, data, outputs, key):
    def program():
        net.blobs[net.inputs[0]].data[...] = data
        outputs[key] = net.forward()[net.outputs[0]].copy()

    return program


def timed(program):
    begin = time.perf_counter()
    program()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
