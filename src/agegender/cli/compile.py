"""Compile AgeNet and GenderNet for a Neural Compute Stick, and for OpenVINO's CPU, GPU and NPU.

The newest snapshot of each becomes graph/NAME.onnx, an FP16 IR (.xml, .bin), a Myriad blob, and the manifest NAME.json that
run_inference.py reads. No stick and no system package is needed; Intel's compiler is fetched once, by pip, and checked.
"""

from __future__ import annotations

import sys

from agegender.nets import MEAN_FILE, NETS


def add_arguments(parser):
    parser.add_argument("nets", nargs="*", metavar="NET", help="which nets (default: {})".format(" and ".join(NETS)))
    parser.add_argument("-w", dest="weights", help="caffemodel of the one net named (default: the newest snapshot)")
    parser.add_argument(
        "-s", dest="shaves", type=int, help="SHAVE cores (mvNCCompile's -s; default: the compiler chooses)"
    )
    parser.add_argument("--cmx-slices", type=int, help="CMX slices (default: as many as SHAVE cores)")
    parser.add_argument("-o", dest="folder", default="graph", help="folder of the results (default: graph)")
    parser.add_argument(
        "-ma2480",
        dest="platform",
        action="store_const",
        const="MA2480",
        default="MA2480",
        help="for Myriad X, Neural Compute Stick 2 (default)",
    )
    parser.add_argument(
        "-ma2450", dest="platform", action="store_const", const="MA2450", help="for Myriad 2, the first stick"
    )
    parser.add_argument(
        "-ec", action="store_true", help="accepted: concat optimisations are the compiler's own affair now"
    )
    parser.add_argument("--mean", help=f"mean file that was trained with (default: {MEAN_FILE})")
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="a net of the zoo instead (`agegender zoo list`); its mean is its own unless --mean",
    )
    parser.add_argument(
        "-ip", dest="inputs", choices=("FP32", "FP16", "U8"), default="FP32",
        help="what the blob is fed; U8: the picture's bytes, from which the graph itself takes the mean",
    )  # fmt: skip
    parser.add_argument(
        "-op", dest="outputs", choices=("FP32", "FP16"), default="FP32", help="what the blob answers with"
    )
    parser.add_argument("--no-blob", action="store_true", help="ONNX and IR only; nothing is fetched")


def run(args):
    from agegender.errors import AgeGenderError
    from agegender.nets import net_named, newest_weights
    from ncs.compiler.compile import Model, compile_models

    if args.model:
        return _zoo(args)
    nets = [net_named(name) for name in args.nets] or list(NETS.values())
    if args.weights and len(nets) != 1:
        raise AgeGenderError("-w gives the weights of one net: name it ({})".format(", ".join(NETS)))
    options = _options(args)
    jobs = [
        (model_of(net, args.weights or newest_weights(net), args.mean or MEAN_FILE, Model), net.graph(args.folder))
        for net in nets
    ]
    compile_models(jobs, options)
    for model, stem in jobs:
        show(model, stem, options)
    print("Next: ./run_inference.py --image_path P --mean_file age_gender_mean.npy", file=sys.stderr)


def _zoo(args):
    from agegender.zoo import compile
    from ncs.compiler.compile import compile_models

    options = _options(args)
    jobs = compile.jobs(args.model, args.folder, args.weights, args.mean)
    compile_models(jobs, options)
    for model, stem in jobs:
        show(model, stem, options)
    print(f"Next: ./run_inference.py --model {args.model} --image_path P", file=sys.stderr)


def _options(args):
    from ncs.compiler.compile import Options

    in_bytes = args.inputs == "U8"
    return Options(args.platform, args.shaves, args.cmx_slices, blob=not args.no_blob, bytes_in=in_bytes,
                   inputs="" if in_bytes else args.inputs, outputs=args.outputs)  # fmt: skip


def model_of(net, weights, mean_file, model):
    """What is compiled of a TaskNet: pictures are resized to the mean's size, blue first, as the LMDBs hold them.

    Where the mean face has its landmarks, faces of photographs will have theirs.
    """
    from agegender.inference import mean_landmarks
    from caffe.data.mean import read_mean
    from caffe.device.transform import Transform

    mean = read_mean(mean_file)
    return model(
        net.name,
        net.deploy,
        weights,
        Transform(order="BGR", size=mean.shape[1:], mean=mean, landmarks=mean_landmarks.landmarks(mean)),
        list(net.labels.names),
        net.labels.name,
        net.labels.decoder,
        {"mean": mean_file},
    )


def show(model, stem, options):
    """Print where a net went and what its blob holds."""
    print(
        "{}: {} -> {}.{{onnx,xml,bin{},json}}".format(model.name, model.weights, stem, ",blob" if options.blob else "")
    )
    if options.blob:
        from ncs.myriad.blob import read_blob
        from ncs.myriad.report import summary

        print(summary(read_blob(stem + ".blob")))
