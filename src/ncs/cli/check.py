"""Compare what a device says with what Caffe says, as mvNCCheck did; without a stick its FP16 is emulated.

Prints mvNCCheck's report; the exit status is 0 when all limits are kept, 1 when not. An emulation is called one: nothing
of it ran on a stick. It tells of every layer what half precision does to it, and which scaling of the weights would help.
"""

from __future__ import annotations


def add_arguments(parser):
    from ncs.cli import _net

    parser.add_argument("network", help="network.prototxt (train_val or deploy)")
    _net.add_arguments(parser)
    parser.add_argument("-s", dest="shaves", type=_net.positive, help="SHAVE cores of the blob, for a stick")
    parser.add_argument("-i", dest="image", help="picture, or .npy of the net's input (default: seeded noise)")
    parser.add_argument("-id", dest="expected_id", type=int, metavar="CLASS", help="class that must come first")
    parser.add_argument("-S", dest="divisor", type=float, default=1.0, help="divisor after the mean (255 -> 0..1)")
    parser.add_argument("-M", dest="mean", help="mean: a number, B,G,R, .npy or .binaryproto")
    parser.add_argument(
        "-cs", dest="channels", default="2,1,0", choices=("2,1,0", "0,1,2"), help="2,1,0 BGR (default), 0,1,2 RGB"
    )
    parser.add_argument(
        "-d", "--device", default="", help="FP16 (the emulation), MYRIAD, CPU … (default: a stick, else FP16)"
    )
    parser.add_argument("--lmdb", metavar="FOLDER", help="a whole database: change in accuracy, pictures that flip")
    parser.add_argument("--count", type=int, default=0, metavar="N", help="only the first N records of it")
    parser.add_argument(
        "--layers", action="store_true", help="print every layer (default: only where something is wrong)"
    )
    parser.add_argument("--write-scaled", metavar="FILE", help="write the weights scaled as advised (.caffemodel)")
    parser.add_argument("--json", metavar="FILE", help="write all of it there")
    for name, (value, text) in LIMITS.items():
        parser.add_argument(
            "--" + name, type=float, default=value, metavar="PERCENT", help=f"{text} (default {value:g})"
        )


LIMITS = {
    "k": (5.0, "a value is wrong from this difference on"),
    "max-difference": (2.0, "allowed for Min Pixel Accuracy"),
    "max-average": (1.0, "allowed for Average Pixel Accuracy"),
    "max-wrong": (0.0, "allowed of wrong values"),
    "max-l2": (1.0, "allowed for Pixel-wise L2 error; the divergence starts where a layer exceeds it"),
}


def run(args):
    from ncs.cli import _net
    from ncs.precision import compare

    device, net = device_of(args.device), _net.net_of(args)
    transform = transform_of(args, net)
    batch = batch_of(args, net, transform)
    limits = compare.Limits(args.k, args.max_difference, args.max_average, args.max_wrong, args.max_l2)
    survey, layers, scales = None, [], {}
    if args.lmdb:
        survey = survey_of(args, net, transform, device)
    if device == "FP16":
        print("NOT A STICK: the result is an emulation of FP16 (weights and activations rounded layer by layer)")
        expected, result, layers, scales = emulated(args, net, batch)
    else:
        expected, result = measured(args, net, batch, device)
    print(compare.top("Result", result[0]))
    print(compare.top("Expected", expected[0]))
    found = compare.compute_metrics(expected[0], result[0], limits.k)
    print(compare.block(found, limits))
    good = compare.passes(found, limits) and right_class(args.expected_id, result[0])
    if survey is not None:
        print(compare.survey_text(survey))
    if args.json:
        write_json(args.json, device, found, limits, layers, scales, survey)
    return 0 if good else 1


def right_class(wanted, result):
    """Whether the greatest value is the wanted class's; says so when not."""
    if wanted is None or int(result.argmax()) == wanted:
        return True
    print("expected class %d first (-id), found %d" % (wanted, result.argmax()))
    return False


def device_of(name):
    """The device asked for; else a stick that is there, else the emulation."""
    from ncs.errors import NcsError
    from ncs.runtime import default_device

    if name:
        return name.upper()
    try:
        found, _ = default_device()
    except NcsError:
        return "FP16"
    return found if found in ("MYRIAD", "MVNC") else "FP16"


def transform_of(args, net):
    """Pictures become the net's input: (pixel - mean) / S."""
    from caffe.device.transform import Transform
    from ncs.cli._net import mean_of
    from ncs.errors import NcsError

    if not args.divisor:
        raise NcsError("-S divides; 0 cannot be")
    shape, mean = net.blobs[net.inputs[0]].shape, mean_of(args.mean)
    size, crop = shape[2:] if len(shape) == 4 else None, None
    if mean is not None and not isinstance(mean, list) and mean.shape[1:] != size:
        size, crop = mean.shape[1:], shape[3]
    order = "BGR" if args.channels == "2,1,0" else "RGB"
    return Transform(order=order, size=size, crop=crop, mean=mean, scale=1 / args.divisor, gray=shape[1] == 1)


def batch_of(args, net, transform):
    """float32 of the net's input shape: from the picture, the .npy, or noise (pixels through the Transform)."""
    import numpy as np

    from caffe.device.image_file import ImageError, read_image
    from ncs.errors import NcsError

    shape = net.blobs[net.inputs[0]].shape
    if args.image is None:
        random = np.random.default_rng(0)
        if len(shape) != 4 or shape[1] not in (1, 3):
            return random.standard_normal((1, *shape[1:]), np.float32)
        return transform.image(random.integers(0, 256, (*transform.size, 3), np.uint8))[None]
    if args.image.endswith(".npy"):
        try:
            array = np.load(args.image, allow_pickle=False).astype(np.float32)
        except (OSError, ValueError) as error:
            raise NcsError(f"{args.image}: {error}") from error
        if array.size != np.prod(shape[1:]):
            raise NcsError(f"{args.image} holds {array.shape}; the net's input is {tuple(shape)}")
        return array.reshape(1, *shape[1:])
    try:
        image = read_image(args.image)
    except ImageError as error:
        raise NcsError(f"[Error 12] {error}") from None
    return transform.image(image)[None]


def emulated(args, net, batch):
    """(expected, result, layers, scales); prints the layers and the advice."""
    from ncs.precision import compare, fp16_emulation, fp16_scaling

    keep = {name: [blob.data.copy() for blob in blobs] for name, blobs in net.params.items()}
    expected, result, layers = fp16_emulation.study(net, batch)
    start = compare.divergence(layers, args.max_l2)
    if args.layers or start is not None:
        print(compare.layer_table(layers))
    restore(net, keep)
    if start is None:
        return expected, result, layers, {}
    print(
        "The divergence starts at layer '{}' ({}){}".format(
            start.name,
            start.type,
            ": %d values overflow" % (start.overflow + start.weights_overflow)
            if start.overflow + start.weights_overflow
            else "",
        )
    )
    scales, stuck = fp16_scaling.plan(net, {layer.name: layer.largest for layer in layers if layer.formed})
    if stuck:
        print(
            "No scaling of weights helps layer(s) {}: what follows needs their values as they are".format(
                ", ".join(stuck)
            )
        )
    if scales:
        advise(args, net, batch, scales, expected)
        restore(net, keep)
    return expected, result, layers, scales


def advise(args, net, batch, scales, expected):
    """Print the scaling, and what the emulation says of the net so scaled; write its weights where asked to."""
    import numpy as np

    from ncs.precision import compare, fp16_emulation, fp16_scaling

    rows = fp16_scaling.advice(scales, net)
    fp16_scaling.apply(net, scales)
    if args.write_scaled:
        net.save(args.write_scaled)
    fp16_emulation.round_weights(net)
    found = compare.compute_metrics(expected[0], fp16_emulation.answer(net, batch, True)[0], args.k)
    becomes = "is no number even then" if np.isnan(found.l2) else f"becomes {found.l2:.4g}%"
    print(f"Scaling that leaves the answers as they are (the emulation's L2 error {becomes}):")
    print("\n".join("  " + row for row in rows))


def restore(net, arrays):
    """Give the net its weights back."""
    for name, values in arrays.items():
        for blob, value in zip(net.params[name], values):
            blob.data[...] = value


def measured(args, net, batch, device):
    """(expected, result) with the result from a device."""
    from ncs.precision import fp16_emulation

    with device_runner(args, net, device) as runner:
        print("Device: " + device)
        return fp16_emulation.answer(net, batch), runner.run(batch)


def device_runner(args, net, device):
    """The net compiled for `device` in a scratch folder, and loaded there."""
    import os
    import tempfile

    from caffe.convert.onnx_export import export_net
    from ncs.myriad.compiler import compile_blob
    from ncs.runtime import open_runner

    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        path = os.path.join(scratch, "net.onnx")
        export_net(net, path)
        if device.split(".")[0] == "MYRIAD":
            compile_blob(path, path[:-5] + ".blob", shaves=args.shaves)
            path = path[:-5] + ".blob"
        elif device.split(".")[0] == "MVNC":
            from ncs.compiler.ncsdk import compile_graph

            path = path[:-5] + ".graph"
            compile_graph(net, path, args.shaves)
        return open_runner(device, path)


def survey_of(args, net, transform, device):
    """A check.Survey of the database."""
    import numpy as np

    from ncs.precision import compare, fp16_emulation
    from ncs.precision.lmdb_batches import batches

    keys, labels = [], []
    keep = {name: [blob.data.copy() for blob in blobs] for name, blobs in net.params.items()}

    def expect(batch, found, numbers):
        keys.extend(found)
        labels.extend(numbers)
        return fp16_emulation.answer(net, batch)

    expected = np.concatenate([expect(*part) for part in batches(args.lmdb, transform, args.count)])
    parts = (batch for batch, _, _ in batches(args.lmdb, transform, args.count))
    if device == "FP16":
        fp16_emulation.round_weights(net)
        result = np.concatenate([fp16_emulation.answer(net, batch, True) for batch in parts])
        restore(net, keep)
    else:
        with device_runner(args, net, device) as runner:
            result = np.concatenate(list(runner.run_many(parts)))
    return compare.survey(keys, labels, expected, result)


def write_json(path, device, found, limits, layers, scales, survey):
    """Everything that was printed, for programs."""
    import dataclasses
    import json

    from caffe.utils.atomic_io import write_bytes

    facts = {
        "device": device,
        "emulation": device == "FP16",
        "figures": dataclasses.asdict(found),
        "limits": dataclasses.asdict(limits),
        "layers": [dataclasses.asdict(layer) for layer in layers],
        "scaling": {name: {"bottom": pair[0], "top": pair[1]} for name, pair in scales.items()},
        "survey": None if survey is None else dataclasses.asdict(survey),
    }
    write_bytes(path, json.dumps(facts, indent=1) + "\n")
