"""Predict age and gender of the faces in images.

Images are aligned faces or, with --detect, photographs; files, directories and globs are accepted. The nets, their mean
and channel order come from the manifests in graph/ (./compile2Movidius.sh writes them). Exit status: 0 success, 2 wrong
options, 3 no such file, 4 not an image, 5 no face (with --detect: in none of the images), 6 no model, 7 no such device.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from agegender.workspace import MODEL_DIR

if TYPE_CHECKING:
    from agegender.inference.faces.detect import Detector
    from agegender.inference.net_predictor import NetPredictor
    from agegender.inference.results import ImageResult, Prediction


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--image_path", nargs="+", default=[], metavar="P", help="images, directories, globs, or with -o addresses"
    )
    add_net_arguments(parser)
    parser.add_argument("--batch", type=int, default=16, help="images per batch for directories (default: 16)")
    parser.add_argument("--json", action="store_true", help="print one JSON object per image instead")
    parser.add_argument("--csv", metavar="FILE", help="write a table as well")
    parser.add_argument(
        "--output", metavar="FILE", help="write the image with the predictions drawn (a directory for several images)"
    )
    parser.add_argument("--verbose", action="store_true", help="print the time of each step")
    parser.add_argument(
        "--no-framing-check", action="store_true", help="do not warn about images that are no aligned face"
    )
    add_bulk_arguments(parser.add_argument_group("many images"))
    photographs = parser.add_argument_group("photographs")
    photographs.add_argument("--detect", action="store_true", help="detect the faces: the images are photographs")
    add_face_arguments(photographs)


def add_bulk_arguments(group: Any) -> None:
    """Add the options of predictions in shards."""
    group.add_argument(
        "--list", metavar="FILE", help="a file with one image per line: a path, or an address (s3://...)"
    )
    group.add_argument(
        "-o", dest="shards", metavar="DIR", help="write the predictions as shards into DIR; existing ones are skipped"
    )
    group.add_argument("--shard", type=int, default=10000, metavar="N", help="images per shard (default: 10000)")
    group.add_argument("--workers", type=int, metavar="N", help="processes, or actors with --ray (default: 1)")
    group.add_argument(
        "--ray", metavar="ADDRESS", help="run on a Ray cluster: its address, auto, or local for one on this machine"
    )
    group.add_argument("--dry-run", action="store_true", help="print the shards and estimate time and size")


def add_net_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of nets and devices."""
    parser.add_argument("--mean_file", metavar="F", help="a mean (.npy, C x H x W) instead of the manifest's")
    parser.add_argument(
        "--model-dir", metavar="DIR", default=MODEL_DIR, help=f"directory of the compiled nets (default: {MODEL_DIR})"
    )
    parser.add_argument("--net", action="append", metavar="NAME", help="only this net (default: AgeNet and GenderNet)")
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help="a zoo net (`agegender zoo list`); may be repeated; compiled into --model-dir at its first use; or the "
        "manifest (.json) of a net for detection or segmentation",
    )
    parser.add_argument(
        "--ensemble", action="store_true", help="nets of the same task predict together: their mean probabilities"
    )
    parser.add_argument(
        "--min-confidence",
        type=confidence,
        default=0.0,
        metavar="P",
        help="give a label whose probability is below P (0 to 1) as 'unsure'",
    )
    parser.add_argument(
        "--age-interval",
        action="store_true",
        help="give ages as `34 ± 7 years`, an interval that holds 68 %% of the probability (nets of single years)",
    )
    parser.add_argument("--flip", action="store_true", help="predict the mean over the image and its mirror image")
    parser.add_argument(
        "--device",
        metavar="D",
        default="",
        help="CPU, GPU, NPU, AUTO, MYRIAD, ONNXRUNTIME, CAFFE or SIMULATOR (default: a stick if plugged in, else CPU)",
    )
    parser.add_argument(
        "--compat",
        action="store_true",
        help="feed the net what the original's script fed it, mistakes included "
        "(AgeNet, GenderNet: RGB, and only the mean of each channel; for --model see docs/zoo.md)",
    )
    parser.add_argument(
        "--margin",
        type=float,
        metavar="M",
        help="show this fraction of a face on each side of it, instead of the net's own margin",
    )


def confidence(text: str) -> float:
    """Return a probability from 0 to 1; the error of argparse for anything else."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a probability from 0 to 1, received '{text}'")
    return value


def add_face_arguments(group: Any) -> None:
    """Add the options of face detection and cropping; the defaults are those of agegender.inference.faces.detect."""
    group.add_argument(
        "--min-face",
        type=float,
        metavar="N",
        help="width in pixels of the smallest faces (default: a 60th of the longer side, at least 20)",
    )
    group.add_argument("--threshold", type=float, metavar="T", help="minimum score of a face, 0 to 1 (default: 0.8)")
    group.add_argument(
        "--crop",
        choices=("aligned", "box"),
        default="aligned",
        help="crop faces upright by their landmarks (default), or by their squared box as the ONNX zoo's scripts do",
    )


def run(args: argparse.Namespace) -> int:
    from agegender.inference import image_files, predict
    from agegender.inference.faces import framing

    if args.shards or args.list:
        return _run_shards(args)
    if args.model and any(name.endswith(".json") for name in args.model):
        return _run_objects(args)
    if not args.image_path:
        raise image_files.failure(image_files.WRONG_OPTIONS, "expected --image_path, or --list with -o")
    began = time.perf_counter()
    paths = image_files.find_images(args.image_path)
    image_files.read_image(paths[0])  # report a wrong path before a net is loaded
    for output in filter(None, (args.csv, args.output)):
        image_files.refuse_input(output, paths)
    detector = make_detector(args) if args.detect else None
    batch = 4 if detector else min(len(paths), max(1, args.batch))
    nets = open_nets(args, 1 if detector else batch)
    if args.verbose:
        print(f"Load time: {1e3 * (time.perf_counter() - began):.1f} ms")
    check = None if detector or args.no_framing_check else framing.default_check()
    find = detector.find if detector else None
    with predict.FacePredictor(nets, find, args.crop, batch, check) as predictor:
        faces = _report(args, paths, predictor)
    if not faces:
        raise image_files.failure(image_files.NO_FACE, no_face(paths))
    return 0


def _run_objects(args: argparse.Namespace) -> int:
    """Print and draw what a net for detection or segmentation, given by its manifest, finds in each image."""
    import json

    from agegender.inference import image_files, objects
    from ncs.runtime.manifest import Manifest

    if len(args.model) != 1 or not args.image_path:
        raise image_files.failure(image_files.WRONG_OPTIONS, "expected one --model MANIFEST.json and --image_path")
    manifest = Manifest.read(args.model[0])
    if not objects.is_object_manifest(manifest):
        text = f"{args.model[0]}: not a net for detection or segmentation; use --model-dir and --net for the others"
        raise image_files.failure(image_files.WRONG_OPTIONS, text)
    paths = image_files.find_images(args.image_path)
    least = objects.THRESHOLD if args.threshold is None else args.threshold
    with objects.ObjectPredictor(manifest, args.device, least) as predictor:
        for name, path in zip(image_files.short_names(paths), paths):
            result = predictor.predict_array(image_files.read_image(path), path)
            if args.json:
                print(json.dumps(result.to_dict()))
            else:
                _print_objects(result)
            if args.output:
                result.save(args.output if len(paths) == 1 else os.path.join(args.output, name))
    return 0


def _print_objects(result: Any) -> None:
    if result.mask is not None:
        parts = ", ".join(f"{name} {100 * share:.1f}%" for name, share in result.to_dict()["classes"].items())
        print(f"{result.path}: {parts}")
    elif not result.objects:
        print(f"{result.path}: no objects")
    for found in result.objects:
        print(f"{result.path}: {found.label}, {100 * found.score:.2f}%, box {found.box}")


def _run_shards(args: argparse.Namespace) -> int:
    """Write the predictions of any number of images as shards."""
    from agegender.bulk import run
    from agegender.inference import image_files

    if not args.shards or bool(args.list) == bool(args.image_path):
        raise image_files.failure(
            image_files.WRONG_OPTIONS, "shards need -o DIR and either --list FILE or --image_path"
        )
    if args.model:  # now, because the names of the shards depend on the compiled nets
        _compile_zoo_nets(args)
    settings = {name: value for name, value in vars(args).items() if name not in NO_SETTINGS}
    settings["model_dir"] = os.path.abspath(args.model_dir)
    run.predict_all(args, settings, open_predictor)
    return 0


# the options that do not determine a prediction
NO_SETTINGS = (
    *("image_path", "list", "shards", "shard", "workers", "ray", "dry_run", "json", "csv", "output", "verbose"),
    *("verbosity", "no_framing_check"),
)


def open_predictor(settings: dict[str, Any]) -> Any:
    """Return the FacePredictor for the options that determine a prediction."""
    from agegender.inference import predict

    args = argparse.Namespace(**settings)
    find = make_detector(args).find if args.detect else None
    batch = 4 if find else max(1, args.batch)
    return predict.FacePredictor(open_nets(args, 1 if find else batch), find, args.crop, batch)


def _report(args: argparse.Namespace, paths: list[str], predictor: Any) -> int:
    """Print, draw and tabulate every result as it comes; return the number of faces."""
    from agegender.inference import annotate, image_files, output_formats

    faces, table = 0, []
    names = image_files.short_names(paths)
    try:
        for name, result in zip(names, predictor.predict(paths)):
            faces += len(result.predictions)
            for warning in result.warnings:
                print(f"{result.path}: warning: {warning}", file=sys.stderr)
            show(result, args, many=len(paths) > 1)
            if args.csv:
                table.append((result.path, result.predictions))
            if args.output and result.predictions:
                target = args.output if len(paths) == 1 else os.path.join(args.output, name)
                annotate.write(target, annotate.draw_result(result, args.detect), result.path)
    finally:
        if table and any(predictions for _, predictions in table):
            write = output_formats.write_faces if args.detect else output_formats.write_images
            write(args.csv, table, predictor.output_names)
    return faces


def make_detector(args: argparse.Namespace, min_face: float | None = None) -> Detector:
    """Return the Detector that the options describe; `min_face` replaces a missing --min-face."""
    from agegender.inference.faces import detect

    threshold = detect.THRESHOLD if args.threshold is None else args.threshold
    return detect.Detector(threshold, min_face if args.min_face is None else args.min_face)


def no_face(paths: list[str]) -> str:
    """Return the error for images without any face."""
    subject = paths[0] if len(paths) == 1 else f"{len(paths)} images"
    return (
        f"{subject}: no face was found; a lower --threshold finds doubtful faces, --min-face smaller ones (an image "
        "that is an aligned face needs no --detect)"
    )


def _compile_zoo_nets(args: argparse.Namespace) -> list[str]:
    """Compile the nets of --model that --model-dir lacks; return the manifests' names."""
    from agegender.zoo.compile import ensure_compiled

    return ensure_compiled(args.model, args.model_dir, lambda text: print(text, file=sys.stderr))


def open_nets(args: argparse.Namespace, batch: int) -> list[NetPredictor]:
    """Open the nets that the options name on the device that they name."""
    from agegender.inference.open_nets import open_nets
    from agegender.inference.results import Style
    from agegender.workspace import NET_NAMES, PEOPLE_NET, why_not_people
    from ncs import runtime

    names = args.net or list(NET_NAMES)
    chosen = args.model or args.net or args.compat or args.mean_file
    if not chosen and getattr(args, "detect", True) and (reason := why_not_people(args.model_dir)):
        print(f"{reason}: photographs are predicted by --model {PEOPLE_NET}", file=sys.stderr)
        args.model = [PEOPLE_NET]
    if args.model:
        names = _compile_zoo_nets(args)
    device, reason = (args.device.upper(), "") if args.device else runtime.default_device()
    if device == "SIMULATOR":
        reason = "simulated: the blob is executed on this machine, not on a stick"
    print("Running on {}{}".format(device, f" ({reason})" if reason else ""), file=sys.stderr)
    return open_nets(
        names,
        args.model_dir,
        device,
        batch=batch,
        flip=args.flip,
        ensemble=args.ensemble,
        change=lambda name, transform: _changed(args, name, transform),
        style=Style(args.min_confidence, args.age_interval),
    )


def _changed(args: argparse.Namespace, name: str, transform: Any) -> Any:
    """Return the Transform under --mean_file, --compat and --margin."""
    if args.mean_file:
        transform = transform.replace(mean=_mean(args.mean_file))
    if args.compat:
        transform = _as_original(args, name, transform)
    from agegender.inference.faces import face_settings

    return transform if args.margin is None else face_settings.replace(transform, margin=args.margin)


def _mean(path: str) -> Any:
    from agegender.errors import AgeGenderError
    from caffe.data.mean import read_mean

    if not os.path.isfile(path):
        raise AgeGenderError(f"--mean_file {path}: no such file; ./create_mean.sh writes age_gender_mean.npy")
    return read_mean(path)


def _as_original(args: argparse.Namespace, name: str, transform: Any) -> Any:
    """Return the Transform that the original's script applied for this net."""
    from agegender import zoo
    from agegender.inference import net_predictor

    if not args.model:
        return net_predictor.as_original(transform)
    change = zoo.resolve(name)[0].compat  # nets of the same weights have the same preprocessing
    if change is None:
        print(f"{name}: --compat changes nothing, its original script fed the same", file=sys.stderr)
        return transform
    return change(transform)


def show(result: ImageResult, args: argparse.Namespace, many: bool) -> None:
    """Print a result: one line per face as the ONNX zoo's scripts do, the original's lines, or JSON."""
    from agegender.inference import output_formats

    if args.json:
        to_json = output_formats.photograph_json if args.detect else output_formats.image_json
        print(to_json(result), flush=True)
        return
    if many:
        print(result.path)
    if args.detect and not result.predictions:
        print(f"{result.path}: no face was found", file=sys.stderr)
    for index, prediction in enumerate(result.predictions):
        if args.verbose:
            show_seconds(prediction)
        if args.detect or (args.model and has_box(prediction)):
            print(output_formats.line(index, prediction), flush=True)
        else:
            show_original(prediction)


def show_original(prediction: Prediction) -> None:
    """Print the lines of the original's script."""
    for name, output in prediction.answers.items():
        print(
            f"{output.task.capitalize() or name} predicted: {output.text}, {100 * output.probability:.2f}%", flush=True
        )


def has_box(prediction: Prediction) -> bool:
    """Return whether both nets are the ONNX zoo's, whose scripts print boxes."""
    from agegender import zoo

    nets = [zoo.nets().get(name) for name in prediction.answers]
    return {net.task for net in nets if net is not None and net.boxes} == {"age", "gender"}


def show_seconds(prediction: Prediction) -> None:
    """Print the time of each step of a prediction."""
    for step, seconds in prediction.seconds.items():
        print(f"Execution time ({step}): {1e3 * seconds:.2f} ms")
