"""Compare a device's output with Caffe's, as mvNCCheck did; without a stick, simulate its blob.

Prints mvNCCheck's report. The exit status is 0 when all values are within the limits, else 1. The simulator executes
the compiled blob from its own bytes. Next to it the report shows an emulation of FP16 arithmetic layer by layer, and a
scaling of the weights that reduces the error. Both are labelled as such: neither runs on a stick.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from caffe.device.transform import Transform
    from caffe.net.net import Net
    from ncs.precision import compare
    from ncs.precision.fp16_emulation import Layer
    from ncs.runtime.base import Runner

    Weights = dict[str, list[np.ndarray]]
    Scales = dict[str, tuple[float, float]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    from ncs.cli import _net

    parser.add_argument("network", help="network.prototxt (train_val or deploy)")
    _net.add_arguments(parser)
    parser.add_argument("-s", dest="shaves", type=_net.positive_int, help="SHAVE cores of the blob (on a stick)")
    parser.add_argument("-i", dest="image", help="image, or .npy with the net's input (default: seeded noise)")
    parser.add_argument("-id", dest="expected_id", type=int, metavar="CLASS", help="expected top class")
    parser.add_argument(
        "-S", dest="divisor", type=float, default=1.0, help="divisor applied after the mean (255 -> 0..1)"
    )
    parser.add_argument("-M", dest="mean", help="mean: a number, B,G,R, .npy or .binaryproto")
    parser.add_argument(
        "-cs", dest="channels", default="2,1,0", choices=("2,1,0", "0,1,2"), help="2,1,0 BGR (default), 0,1,2 RGB"
    )
    parser.add_argument(
        "-d",
        "--device",
        default="",
        help="SIMULATOR, FP16 (the emulation), MYRIAD, CPU … (default: a stick if there is one, else SIMULATOR)",
    )
    parser.add_argument(
        "--blob", metavar="FILE", help="check this blob instead of compiling one (SIMULATOR and MYRIAD)"
    )
    parser.add_argument(
        "--lmdb", metavar="FOLDER", help="evaluate a database: change in accuracy, images whose class changes"
    )
    parser.add_argument("--count", type=int, default=0, metavar="N", help="use only the first N records")
    parser.add_argument(
        "--layers", action="store_true", help="print every layer (default: only if a limit is exceeded)"
    )
    parser.add_argument(
        "--write-scaled", metavar="FILE", help="write the weights with the suggested scaling (.caffemodel)"
    )
    parser.add_argument("--json", metavar="FILE", help="write the full report to FILE")
    for name, (value, text) in LIMITS.items():
        parser.add_argument(
            "--" + name, type=float, default=value, metavar="PERCENT", help=f"{text} (default {value:g})"
        )


DUMP = "MYRIAD_DUMP_INTERNAL_GRAPH_FILE_NAME"
LIMITS = {
    "k": (5.0, "difference above which a value counts as wrong"),
    "max-difference": (2.0, "limit for Min Pixel Accuracy"),
    "max-average": (1.0, "limit for Average Pixel Accuracy"),
    "max-wrong": (0.0, "limit for the percentage of wrong values"),
    "max-l2": (1.0, "limit for Pixel-wise L2 error; the divergence starts at the first layer above it"),
}


def run(args: argparse.Namespace) -> int:
    """Run the command and return the exit status."""
    from ncs.cli import _net
    from ncs.errors import NcsError
    from ncs.precision import compare

    device, net = select_device(args.device), _net.load_net(args)
    if args.blob and device.split(".")[0] not in ("SIMULATOR", "MYRIAD"):
        raise NcsError(f"--blob: expected -d SIMULATOR or MYRIAD, received {device}")
    transform = build_transform(args, net)
    batch = load_batch(args, net, transform)
    limits = compare.Limits(args.k, args.max_difference, args.max_average, args.max_wrong, args.max_l2)
    comparison, sound = None, True
    layers: list = []
    scales: dict = {}
    if args.lmdb:
        comparison = evaluate_database(args, net, transform, device)
    if device == "FP16":
        print("NOT A STICK: the result is an emulation of FP16 (weights and activations rounded layer by layer)")
        expected, result, layers, scales = run_emulation(args, net, batch)
    elif device == "SIMULATOR":
        expected, result, layers, scales, sound = run_simulation(args, net, batch)
    else:
        expected, result = run_on_device(args, net, batch, device)
    print(compare.format_top("Result", result[0]))
    print(compare.format_top("Expected", expected[0]))
    metrics = compare.compute_metrics(expected[0], result[0], limits.k)
    print(compare.format_metrics(metrics, limits))
    passed = compare.passes(metrics, limits) and check_class(args.expected_id, result[0]) and sound
    if comparison is not None:
        print(compare.format_dataset(comparison))
    if args.json:
        write_json(args.json, device, metrics, limits, layers, scales, comparison)
    return 0 if passed else 1


def check_class(expected: int | None, result: np.ndarray) -> bool:
    """Return whether the top class of `result` (K,) is the expected one; print a message if not."""
    if expected is None or int(result.argmax()) == expected:
        return True
    print(f"expected top class {expected} (-id), received {result.argmax()}")
    return False


def select_device(name: str) -> str:
    """Return the requested device, else a stick, else the simulator, or FP16 where no blob can be compiled."""
    import sys

    from ncs.errors import NcsError
    from ncs.myriad.toolchain import toolchain
    from ncs.runtime import default_device

    if name:
        return name.upper()
    try:
        device, _ = default_device()
        if device in ("MYRIAD", "MVNC"):
            return device
        toolchain()
    except NcsError as error:
        print(f"note: no simulator, the FP16 emulation instead: {str(error).splitlines()[0]}", file=sys.stderr)
        return "FP16"
    return "SIMULATOR"


def build_transform(args: argparse.Namespace, net: Net) -> Transform:
    """Return the Transform from an image to the net's input: (pixel - mean) / S."""
    from caffe.device.transform import Transform
    from ncs.cli._net import parse_mean
    from ncs.errors import NcsError

    if not args.divisor:
        raise NcsError("-S is a divisor and must not be 0")
    shape, mean = net.blobs[net.inputs[0]].shape, parse_mean(args.mean)
    size, crop = shape[2:] if len(shape) == 4 else None, None
    if mean is not None and not isinstance(mean, list) and mean.shape[1:] != size:
        size, crop = mean.shape[1:], shape[3]
    order = "BGR" if args.channels == "2,1,0" else "RGB"
    return Transform(order=order, size=size, crop=crop, mean=mean, scale=1 / args.divisor, gray=shape[1] == 1)


def load_batch(args: argparse.Namespace, net: Net, transform: Transform) -> np.ndarray:
    """Return one float32 input (1, C, H, W) from the image, the .npy, or seeded noise."""
    import numpy as np

    from caffe.device.image_file import ImageError, read_image
    from ncs.cli._images import read_numbers
    from ncs.errors import NcsError

    shape = net.blobs[net.inputs[0]].shape
    if args.image is None:
        random = np.random.default_rng(0)
        if len(shape) != 4 or shape[1] not in (1, 3):
            return random.standard_normal((1, *shape[1:]), np.float32)
        height, width = transform.size or shape[2:]
        return transform.image(random.integers(0, 256, (height, width, 3), np.uint8))[None]
    if args.image.endswith(".npy"):
        array = read_numbers(args.image)
        if array.size != np.prod(shape[1:]):
            raise NcsError(f"{args.image} has shape {array.shape}; the net's input is {tuple(shape)}")
        return array.reshape(1, *shape[1:])
    try:
        image = read_image(args.image)
    except ImageError as error:
        raise NcsError(f"[Error 12] {error}") from None
    return transform.image(image)[None]


def run_emulation(
    args: argparse.Namespace, net: Net, batch: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[Layer], Scales]:
    """Return (expected, result, layers, scales) of the FP16 emulation; print the layers and the suggested scaling."""
    from ncs.precision import compare, fp16_emulation, fp16_scaling

    weights = copy_weights(net)
    expected, result, layers = fp16_emulation.analyze(net, batch)
    start = compare.first_divergence(layers, args.max_l2)
    if args.layers or start is not None:
        print(compare.layer_table(layers))
    restore_weights(net, weights)
    if start is None:
        return expected, result, layers, {}
    overflow = start.overflow + start.weights_overflow
    details = f": {overflow} values overflow" if overflow else ""
    print(f"The divergence starts at layer '{start.name}' ({start.type}){details}")
    scales, stuck = fp16_scaling.plan(net, {layer.name: layer.largest for layer in layers if layer.formed})
    if stuck:
        print(f"No scaling of weights helps layer(s) {', '.join(stuck)}: the layers after them need unscaled values")
    if scales:
        suggest_scaling(args, net, batch, scales, expected)
        restore_weights(net, weights)
    return expected, result, layers, scales


def run_simulation(args: argparse.Namespace, net: Net, batch: np.ndarray) -> tuple:
    """Return (expected, result, layers, scales, whether the simulator found no fault); the blob is executed."""
    from ncs.precision import compare

    print("SIMULATED, NOT A STICK: the blob was executed from its own bytes on this machine")
    if args.blob:
        print(f"Blob: {args.blob}")
    with compile_and_open(args, net, "SIMULATOR") as runner:
        result = runner.run(batch)
        findings = runner.findings()  # type: ignore[attr-defined]
    expected, emulation, layers, scales = run_emulation(args, net, batch)
    print(compare.format_simulation(expected[0], result[0], emulation[0]))
    for line in findings:
        print("simulated: " + line)
    return expected, result, layers, scales, not findings


def suggest_scaling(
    args: argparse.Namespace, net: Net, batch: np.ndarray, scales: Scales, expected: np.ndarray
) -> None:
    """Print the scaling and the emulated error after it; write the scaled weights for --write-scaled."""
    import numpy as np

    from ncs.precision import compare, fp16_emulation, fp16_scaling

    rows = fp16_scaling.describe(scales, net)
    fp16_scaling.apply(net, scales)
    if args.write_scaled:
        net.save(args.write_scaled)
    fp16_emulation.round_weights(net)
    metrics = compare.compute_metrics(expected[0], fp16_emulation.predict(net, batch, True)[0], args.k)
    error = "is not finite even then" if np.isnan(metrics.l2) else f"becomes {metrics.l2:.4g}%"
    print(f"Scaling that does not change the outputs (the emulation's L2 error {error}):")
    print("\n".join("  " + row for row in rows))


def copy_weights(net: Net) -> Weights:
    """Copy all weights of the net, per layer."""
    return {name: [blob.data.copy() for blob in blobs] for name, blobs in net.params.items()}


def restore_weights(net: Net, weights: Weights) -> None:
    """Write copied weights back into the net."""
    for name, values in weights.items():
        for blob, value in zip(net.params[name], values):
            blob.data[...] = value


def run_on_device(args: argparse.Namespace, net: Net, batch: np.ndarray, device: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (Caffe's output, the device's output), both (1, K)."""
    from ncs.precision import fp16_emulation

    with compile_and_open(args, net, device) as runner:
        print("Device: " + device)
        return fp16_emulation.predict(net, batch), runner.run(batch)


def compile_and_open(args: argparse.Namespace, net: Net, device: str) -> Runner:
    """Compile the net for `device` in a temporary folder and load it there."""
    import os
    import tempfile

    from caffe.convert.onnx_export import export_net
    from ncs.myriad.compiler import compile_blob
    from ncs.runtime import open_runner

    if getattr(args, "blob", None):
        return open_runner(device, args.blob)
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        path = os.path.join(scratch, "net.onnx")
        export_net(net, path)
        options: dict[str, Any] = {}
        if device.split(".")[0] in ("MYRIAD", "SIMULATOR"):
            dump = os.path.join(scratch, "stages.dot")
            compile_blob(path, path[:-5] + ".blob", shaves=args.shaves, config={DUMP: dump})
            path = path[:-5] + ".blob"
            options = {"names": stage_names(dump)} if device == "SIMULATOR" else {}
        elif device.split(".")[0] == "MVNC":
            from ncs.compiler.ncsdk import compile_graph

            path = path[:-5] + ".graph"
            compile_graph(net, path, args.shaves)
        return open_runner(device, path, **options)


def stage_names(dump: str) -> list[str]:
    """Return the layer of each stage of a blob, by stage number, from the compiler's own graph."""
    from ncs.myriad.stages import read_dump

    stages = {stage.index: stage.layer.rsplit("@", 1)[-1] for stage in reversed(read_dump(dump)) if stage.index >= 0}
    return [stages.get(number, "") for number in range(max(stages, default=-1) + 1)]


def evaluate_database(
    args: argparse.Namespace, net: Net, transform: Transform, device: str
) -> compare.DatasetComparison:
    """Compare Caffe's and the device's outputs on the database of --lmdb."""
    import numpy as np

    from ncs.precision import compare, fp16_emulation
    from ncs.precision.lmdb_batches import batches

    keys, labels = [], []
    weights = copy_weights(net)

    def predict(batch: np.ndarray, batch_keys: list[str], batch_labels: list[int]) -> np.ndarray:
        keys.extend(batch_keys)
        labels.extend(batch_labels)
        return fp16_emulation.predict(net, batch)

    def inputs() -> Iterator[np.ndarray]:
        return (batch for batch, _, _ in batches(args.lmdb, transform, args.count))

    expected = np.concatenate([predict(*batch) for batch in batches(args.lmdb, transform, args.count)])
    if device == "FP16":
        fp16_emulation.round_weights(net)
        result = np.concatenate([fp16_emulation.predict(net, batch, True) for batch in inputs()])
        restore_weights(net, weights)
    else:
        with compile_and_open(args, net, device) as runner:
            result = np.concatenate(list(runner.run_many(inputs())))
    return compare.compare_dataset(keys, labels, expected, result)


def write_json(
    path: str,
    device: str,
    metrics: compare.Metrics,
    limits: compare.Limits,
    layers: list[Layer],
    scales: Scales,
    comparison: compare.DatasetComparison | None,
) -> None:
    """Write the report as JSON."""
    import dataclasses
    import json

    from caffe.utils.atomic_io import write_bytes

    report = {
        "device": device,
        "emulation": device == "FP16",
        "simulated": device == "SIMULATOR",
        "metrics": dataclasses.asdict(metrics),
        "limits": dataclasses.asdict(limits),
        "layers": [dataclasses.asdict(layer) for layer in layers],
        "scaling": {name: {"bottom": pair[0], "top": pair[1]} for name, pair in scales.items()},
        "dataset": None if comparison is None else dataclasses.asdict(comparison),
    }
    write_bytes(path, json.dumps(report, indent=1) + "\n")
