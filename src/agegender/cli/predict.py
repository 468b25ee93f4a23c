"""Tell age and gender of the faces in pictures.

Pictures are aligned faces or, with --detect, photographs; files, folders and globs are taken. The nets, their mean and their
channel order come from the manifests in graph/ (./compile2Movidius.sh makes them). Exit status: 0 told, 2 wrong options, 3 no
such file, 4 not a picture, 5 no face (with --detect: in none of the pictures), 6 no model, 7 no such device.
"""

from __future__ import annotations

import json
import os
import sys
import time
from functools import partial


def add_arguments(parser):
    parser.add_argument("--image_path", nargs="+", required=True, metavar="P", help="pictures, folders or globs")
    add_net_arguments(parser)
    parser.add_argument("--batch", type=int, default=16, help="pictures at a time for folders (default 16)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a picture instead")
    parser.add_argument("--csv", metavar="FILE", help="write a table as well")
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="write the picture with the answers drawn in (a folder for several pictures)",
    )
    parser.add_argument("--verbose", action="store_true", help="times by stage")
    photographs = parser.add_argument_group("photographs")
    photographs.add_argument("--detect", action="store_true", help="find the faces: pictures are photographs")
    add_face_arguments(photographs)


def add_net_arguments(parser):
    """The options of nets and devices."""
    parser.add_argument("--mean_file", metavar="F", help="a mean (.npy, C x H x W) instead of the one in the manifest")
    parser.add_argument(
        "--model-dir", metavar="DIR", default="graph", help="folder of the compiled nets (default: graph)"
    )
    parser.add_argument("--net", action="append", metavar="NAME", help="only this net (default: AgeNet and GenderNet)")
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help="a net of the zoo (`agegender zoo list`), or several; compiled into --model-dir at its first use",
    )
    parser.add_argument(
        "--ensemble", action="store_true", help="nets of the same question answer as one: the mean of what they say"
    )
    parser.add_argument(
        "--flip", action="store_true", help="ask about the mirror image too; the answer is the mean of both"
    )
    parser.add_argument(
        "--device",
        metavar="D",
        default="",
        help="CPU, GPU, NPU, AUTO, MYRIAD, ONNXRUNTIME or CAFFE (default: a stick if one is there, else CPU)",
    )
    parser.add_argument(
        "--compat",
        action="store_true",
        help="feed the net what the original's script did, mistakes and all "
        "(AgeNet, GenderNet: RGB, and the mean of each channel only; of --model see docs/zoo.md)",
    )
    parser.add_argument(
        "--margin",
        type=float,
        metavar="M",
        help="show this share of a face on each side of it, instead of what the net asks for",
    )


def add_face_arguments(group):
    """The options of finding faces and cutting them out. The defaults in the texts are those of agegender.inference.detect."""
    group.add_argument(
        "--min-face",
        type=float,
        metavar="N",
        help="width in pixels from which on faces are looked for (default: a 60th of the longer side, at least 20)",
    )
    group.add_argument("--threshold", type=float, metavar="T", help="least score of a face, 0 to 1 (default 0.8)")
    group.add_argument(
        "--crop",
        choices=("aligned", "box"),
        default="aligned",
        help="cut faces out upright by their landmarks (default), or by their squared box as the ONNX zoo's scripts do",
    )


def run(args):
    from agegender.inference import annotate, predict

    began = time.perf_counter()
    paths = predict.find_images(args.image_path)
    predict.read_image(paths[0])  # a wrong path is told before a net is loaded
    detector = detector_for(args) if args.detect else None
    heads = open_heads(args, 1 if detector else min(len(paths), max(1, args.batch)))
    if args.verbose:
        print("Load time: %.1f ms" % (1e3 * (time.perf_counter() - began)))
    if detector:
        return photographs(args, paths, heads, detector)
    told = []
    try:
        for prediction in predict.predict_pictures(paths, heads, max(1, args.batch)):
            told.append(prediction)
            show(prediction, args, many=len(paths) > 1)
    finally:
        for head in heads:
            head.runner.close()
        if args.csv and told:
            write_csv(args.csv, told, columns(heads))
    if args.output:
        annotate.write_all(
            args.output, [(prediction.path, partial(annotate.annotated, prediction)) for prediction in told]
        )


def detector_for(args, least=None):
    """The Detector that the options ask for; `least` stands where --min-face does not."""
    from agegender.inference import detect

    threshold = detect.THRESHOLD if args.threshold is None else args.threshold
    return detect.Detector(threshold, least if args.min_face is None else args.min_face)


def photographs(args, paths, heads, detector):
    """Tell of every face in every picture; NO_FACE when there is none at all."""
    from agegender.inference import annotate, output_formats, predict

    told = []
    try:
        answered = predict.predict_photographs(paths, heads, detector.find, args.crop)
        for path, found in zip(paths, answered):
            told.append((path, found))
            show_photograph(path, found, args, many=len(paths) > 1)
    finally:
        for head in heads:
            head.runner.close()
        if args.csv and told:
            output_formats.write_faces(args.csv, told, columns(heads))
    if not any(found for _, found in told):
        raise predict.failure(predict.NO_FACE, no_face(paths))
    if args.output:
        annotate.write_all(args.output, [(path, partial(annotate.of_photograph, path, found)) for path, found in told])
    return 0


def no_face(paths):
    """What is said when nothing was found."""
    where = paths[0] if len(paths) == 1 else "%d pictures" % len(paths)
    return (
        f"{where}: no face was found; a lower --threshold finds doubtful ones, --min-face smaller ones (a picture that is "
        "nothing but an aligned face needs no --detect)"
    )


def show_photograph(path, told, args, many):
    """Print the faces of a photograph, a line each as the ONNX zoo's scripts do, or one JSON object."""
    from agegender.inference import output_formats

    if args.json:
        print(output_formats.photograph_json(path, told), flush=True)
        return
    if many:
        print(path)
        if not told:
            print(f"{path}: no face was found", file=sys.stderr)
    for index, prediction in enumerate(told):
        if args.verbose:
            show_seconds(prediction)
        print(output_formats.line(index, prediction), flush=True)


def open_heads(args, batch):
    """The nets of args.graph, ready on args.device; errors tell whether the model or the device is missing."""
    from agegender.errors import AgeGenderError
    from agegender.inference import predict
    from agegender.nets import NETS
    from ncs import runtime
    from ncs.errors import NcsError, NoDeviceError
    from ncs.runtime.manifest import Manifest

    device, why = (args.device.upper(), "") if args.device else runtime.default_device()
    print("Running on {}{}".format(device, f" ({why})" if why else ""), file=sys.stderr)
    heads = []
    for name in _zoo(args) if args.model else args.net or list(NETS):
        path = os.path.join(args.model_dir, name + ".json")
        if not os.path.isfile(path):
            raise predict.failure(predict.NO_MODEL, f"{path}: there is no such model; ./compile2Movidius.sh makes it")
        try:
            manifest = Manifest.read(path)
            runner = runtime.open_runner(device, manifest, batch=batch)
        except NoDeviceError as error:
            raise predict.failure(predict.NO_DEVICE, str(error)) from None
        except NcsError as error:
            raise predict.failure(predict.NO_MODEL, str(error)) from None
        if args.mean_file:
            manifest.transform = with_mean(manifest.transform, args.mean_file, AgeGenderError)
        if args.compat:
            manifest.transform = _as_original(args, name, manifest.transform)
        if args.margin is not None:
            manifest.transform = manifest.transform.replace(margin=args.margin)
        heads.append(predict.NetPredictor(manifest, runner, args.flip))
    if args.ensemble:
        predict.together(heads)
    return heads


def columns(heads):
    """The names under which the heads answer."""
    return list(dict.fromkeys(head.answers_as for head in heads))


def _as_original(args, name, transform):
    """What the original's own script made of a picture for this net."""
    from agegender import zoo
    from agegender.inference import predict

    if not args.model:
        return predict.as_original(transform)
    change = zoo.nets()[name].compat
    if change is None:
        print(f"{name}: --compat changes nothing, its original fed the same", file=sys.stderr)
        return transform
    return change(transform)


def _zoo(args):
    """Names of the zoo nets that --model means; those that are not in args.graph yet are compiled."""
    from agegender import zoo
    from agegender.zoo import compile
    from ncs.compiler.compile import Options

    nets = [net for name in dict.fromkeys(args.model) for net in zoo.resolve(name)]
    absent = [net for net in nets if not os.path.isfile(compile.stem_of(net, args.model_dir) + ".json")]
    if absent:
        print("Compiling {} into {}".format(", ".join(net.name for net in absent), args.model_dir), file=sys.stderr)
        compile.make(absent, args.model_dir, Options(blob=False))
    return [net.name for net in nets]


def with_mean(transform, path, error):
    """`transform` with the mean of an .npy or .binaryproto file."""
    if not os.path.isfile(path):
        raise error(f"--mean_file {path}: there is no such file; ./create_mean.sh makes age_gender_mean.npy")
    from caffe.data.mean import read_mean

    return transform.replace(mean=read_mean(path))


def show(prediction, args, many):
    """Print one prediction as the original did, or as JSON."""
    from agegender.inference import output_formats
    from agegender.nets import NETS

    if args.json:
        told = {"image": prediction.path, "answers": output_formats.answers(prediction), "seconds": prediction.seconds}
        print(json.dumps(told), flush=True)
        return
    if many:
        print(prediction.path)
    if args.model and has_box(prediction):
        print(output_formats.line(0, prediction), flush=True)
        return
    if args.verbose:
        show_seconds(prediction)
    for name, answer in prediction.answers.items():
        what = NETS[name].answer if name in NETS else "%s predicted" % (answer.task.capitalize() or name)
        print(f"{what}: {answer.text}, {100 * answer.probability:.2f}%", flush=True)


def has_box(prediction):
    """Whether both nets are of the ONNX zoo, whose scripts print boxes."""
    from agegender import zoo

    nets = [zoo.nets().get(name) for name in prediction.answers]
    return {net.task for net in nets if net is not None and net.boxes} == {"age", "gender"}


def show_seconds(prediction):
    """Print what each stage of a prediction took."""
    for stage, seconds in prediction.seconds.items():
        print(f"Execution time ({stage}): {1e3 * seconds:.2f} ms")


def write_csv(path, predictions, names):
    """One row a picture: its path, and label and probability of each of `names`, which answered."""
    import csv

    from caffe.safe_text import cell
    from caffe.utils.atomic_io import atomic_write

    with atomic_write(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", *(cell(each) for name in names for each in (name, name + " probability"))])
        for prediction in predictions:
            cells = [each for a in prediction.answers.values() for each in (cell(a.text), f"{a.probability:.6f}")]
            writer.writerow([cell(prediction.path), *cells])
