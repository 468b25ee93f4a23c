"""Tell age and gender of the faces in pictures.

Pictures are aligned faces; files, folders and globs are taken. The nets, their mean and their channel order come from the
manifests in graph/ (./compile2Movidius.sh makes them). Exit status: 0 told, 2 wrong options, 3 no such file, 4 not a picture,
5 no face-sized content, 6 no model, 7 no such device.
"""

from __future__ import annotations

import os
import sys
import time


def add_arguments(parser):
    parser.add_argument(
        "--image_path", nargs="+", required=True, metavar="P", help="pictures, folders or globs"
    )
    parser.add_argument(
        "--mean_file", metavar="F", help="a mean (.npy, C x H x W) instead of the one in the manifest"
    )
    parser.add_argument(
        "--graph", metavar="DIR", default="graph", help="folder of the compiled nets (default: graph)"
    )
    parser.add_argument(
        "--net", action="append", metavar="NAME", help="only this net (default: AgeNet and GenderNet)"
    )
    parser.add_argument(
        "--model", metavar="NAME", help="a net of the zoo (`agegender zoo list`); compiled into --graph at its first use"
    )
    parser.add_argument(
        "--device",
        metavar="D",
        default="",
        help="CPU, GPU, NPU, AUTO, MYRIAD, ONNXRUNTIME or CAFFE (default: a stick if one is there, else CPU)",
    )
    parser.add_argument("--batch", type=int, default=16, help="pictures at a time for folders (default 16)")
    parser.add_argument(
        "--compat", action="store_true", help="feed the net what the original's script did, mistakes and all "
        "(AgeNet, GenderNet: RGB, and the mean of each channel only; of --model see docs/zoo.md)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a picture instead")
    parser.add_argument("--csv", metavar="FILE", help="write a table as well")
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="write the picture with the answers drawn in (a folder for several pictures)",
    )
    parser.add_argument("--verbose", action="store_true", help="times by stage")


def run(args):
    from agegender import predict

    began = time.perf_counter()
    paths = predict.find_pictures(args.image_path)
    predict.read_picture(paths[0])  # a wrong path is told before a net is loaded
    heads = open_heads(args, min(len(paths), max(1, args.batch)))
    loaded = time.perf_counter()
    if args.verbose:
        print("Load time: %.1f ms" % (1e3 * (loaded - began)))
    told = []
    try:
        for prediction in predict.predict_pictures(paths, heads, max(1, args.batch)):
            told.append(prediction)
            show(prediction, args, many=len(paths) > 1)
    finally:
        for head in heads:
            head.runner.close()
        if args.csv and told:
            write_csv(args.csv, told, heads)
    if args.output:
        draw(args.output, told)


def open_heads(args, batch):
    """The nets of args.graph, ready on args.device; errors tell whether the model or the device is missing."""
    from agegender import predict
    from agegender.errors import AgeGenderError
    from agegender.nets import NETS
    from ncs import runners
    from ncs.errors import NcsError, NoDeviceError
    from ncs.manifest import Manifest

    device, why = (args.device.upper(), "") if args.device else runners.default_device()
    print("Running on %s%s" % (device, " (%s)" % why if why else ""), file=sys.stderr)
    heads = []
    for name in _zoo(args) if args.model else args.net or list(NETS):
        path = os.path.join(args.graph, name + ".json")
        if not os.path.isfile(path):
            raise predict.failure(
                predict.NO_MODEL, "%s: there is no such model; ./compile2Movidius.sh makes it" % path
            )
        try:
            manifest = Manifest.read(path)
            runner = runners.open_runner(device, manifest, batch=batch)
        except NoDeviceError as error:
            raise predict.failure(predict.NO_DEVICE, str(error)) from None
        except NcsError as error:
            raise predict.failure(predict.NO_MODEL, str(error)) from None
        if args.mean_file:
            manifest.transform = with_mean(manifest.transform, args.mean_file, AgeGenderError)
        if args.compat:
            manifest.transform = _as_original(args, name, manifest.transform)
        heads.append(predict.Head(manifest, runner))
    return heads


def _as_original(args, name, transform):
    """What the original's own script made of a picture for this net."""
    from agegender import predict, zoo

    if not args.model:
        return predict.as_original(transform)
    change = zoo.nets()[name].compat
    if change is None:
        print("%s: --compat changes nothing, its original fed the same" % name, file=sys.stderr)
        return transform
    return change(transform)


def _zoo(args):
    """Names of the zoo nets that --model means; those that are not in args.graph yet are compiled."""
    from agegender import zoo
    from agegender.zoo import compiled
    from ncs.compile import Options

    nets = zoo.named(args.model)
    absent = [net for net in nets if not os.path.isfile(compiled.stem_of(net, args.graph) + ".json")]
    if absent:
        print("Compiling %s into %s" % (", ".join(net.name for net in absent), args.graph), file=sys.stderr)
        compiled.make(absent, args.graph, Options(blob=False))
    return [net.name for net in nets]


def with_mean(transform, path, error):
    """`transform` with the mean of an .npy or .binaryproto file."""
    if not os.path.isfile(path):
        raise error(
            "--mean_file %s: there is no such file; ./create_mean.sh makes age_gender_mean.npy" % path
        )
    from caffe.data.mean import read_mean

    return transform.replace(mean=read_mean(path))


def show(prediction, args, many):
    """Print one prediction as the original did, or as JSON."""
    import json

    from agegender.nets import NETS

    if args.json:
        print(
            json.dumps(
                {
                    "image": prediction.path,
                    "answers": {
                        a.net: {
                            "label": a.text,
                            "probability": a.probability,
                            "probabilities": a.probabilities,
                        }
                        for a in prediction.answers.values()
                    },
                    "seconds": prediction.seconds,
                }
            ),
            flush=True,
        )
        return
    if many:
        print(prediction.path)
    if args.model and show_box(prediction):
        return
    if args.verbose:
        for stage, seconds in prediction.seconds.items():
            print("Execution time (%s): %.2f ms" % (stage, 1e3 * seconds))
    for name, answer in prediction.answers.items():
        what = NETS[name].answer if name in NETS else "%s predicted" % (_task(name) or name)
        print("%s: %s, %.2f%%" % (what, answer.text, 100 * answer.probability), flush=True)


def show_box(prediction):
    """Print `Box 0 --> Female, 31.4` where both nets are of the ONNX zoo, whose scripts do; whether that was so."""
    from agegender import faces, zoo

    told = {zoo.nets()[name].task: answer.text for name, answer in prediction.answers.items() if zoo.nets()[name].boxes}
    if set(told) != {"age", "gender"}:
        return False
    print(faces.line(0, told["gender"], told["age"]), flush=True)
    return True


def _task(name):
    """Age or Gender, by the last word of a zoo net's name."""
    last = name.rpartition("-")[2]
    return last.capitalize() if last in ("age", "gender") else ""


def write_csv(path, predictions, heads):
    """One row a picture: its path, and label and probability of each net."""
    import csv

    from caffe.files import whole_file

    with whole_file(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            ["image", *(name for head in heads for name in (head.name, head.name + " probability"))]
        )
        for prediction in predictions:
            cells = [cell for a in prediction.answers.values() for cell in (a.text, "%.6f" % a.probability)]
            writer.writerow([prediction.path, *cells])


def draw(target, predictions):
    """Write pictures with their answers below the face; `target` is a file, or a folder where there are several."""
    import cv2

    from agegender.errors import AgeGenderError
    from caffe.files import whole_file

    for prediction in predictions:
        path = target if len(predictions) == 1 else os.path.join(target, os.path.basename(prediction.path))
        suffix = os.path.splitext(path)[1].lower()
        if not cv2.haveImageWriter(path) or not suffix:
            raise AgeGenderError("--output %s: give a name that ends in .png or .jpg" % path)
        with whole_file(path) as temporary, open(temporary, "wb") as stream:
            stream.write(cv2.imencode(suffix, annotated(prediction))[1].tobytes())


def annotated(prediction):
    """The picture, at least 240 pixels wide, over a strip with a line an answer."""
    import cv2
    import numpy as np

    from agegender.predict import read_picture

    picture = read_picture(prediction.path)
    scale = max(1.0, 240 / picture.shape[1])
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    strip = np.full((14 + 22 * len(prediction.answers), picture.shape[1], 3), 32, np.uint8)
    for row, answer in enumerate(prediction.answers.values()):
        text = "%s  %.1f%%" % (answer.text, 100 * answer.probability)
        cv2.putText(
            strip, text, (10, 22 + 22 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (255, 255, 255), 1, cv2.LINE_AA
        )
    return np.vstack([picture, strip])
