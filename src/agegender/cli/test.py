"""Evaluate a trained net on its test images: accuracy, confusion matrix, and with --report everything else.

Every image of the test LMDB is evaluated exactly once, by the latest snapshot unless --weights names another caffemodel
(real Caffe's work as well). Rows are true classes, columns predictions.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from agegender.workspace import MEAN_FILE, NET_NAMES

if TYPE_CHECKING:
    from agegender.evaluate.predictions import Predictions
    from agegender.zoo.model import Net


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = " or ".join(NET_NAMES)
    parser.add_argument("net_name", nargs="?", choices=NET_NAMES, metavar="NET", help=f"which net: {names}")
    parser.add_argument("--net", choices=NET_NAMES, help="the same, spelled as the original's tool spells it")
    parser.add_argument("--proto", help="another prototxt than the net's own (deploy or train_val)")
    parser.add_argument("--weights", "--model", dest="weights", help="caffemodel (default: the latest snapshot)")
    parser.add_argument("--mean", default=MEAN_FILE, help=f"mean file (default: {MEAN_FILE})")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--lmdb", help="another test LMDB than the net's own")
    source.add_argument("--leveldb", help="a LevelDB to evaluate on")
    parser.add_argument(
        "--report", metavar="DIR", help="write report.json, CSV files, the matrix and the worst mistakes as images"
    )
    parser.add_argument("--errors", action="store_true", help="list every mistake by its LMDB key")
    parser.add_argument("--gpu", default="", help="CUDA device id")


def run(args: argparse.Namespace) -> None:
    from agegender import workspace, zoo
    from agegender.errors import AgeGenderError
    from agegender.evaluate import confusion, report
    from caffe.utils import folders

    if not (args.net or args.net_name):
        raise AgeGenderError(f"expected a net, one of {', '.join(NET_NAMES)}")
    net = zoo.script_net(args.net or args.net_name)
    if args.report:
        folders.refuse_foreign(args.report, report.MADE_BY)  # before the evaluation, not after it
    weights = args.weights or workspace.latest_weights(net)
    source, backend = _source(args, net)
    predictions = _predict(args, net, weights, source, backend)
    names = list(net.labels.names)
    matrix = confusion.count(predictions.truth, predictions.predicted, len(names))
    if args.errors:
        for key, truth, predicted in zip(predictions.keys, predictions.truth, predictions.predicted):
            if truth != predicted:
                print(f"Error: i={key!r}, expected {truth:d} but predicted {predicted:d}")
    text = confusion.format_matrix(matrix, names)
    print(text, end="", flush=True)
    if args.report:
        report.write(args.report, net, predictions, text, weights=weights, database=source, backend=backend)
    if len(set(predictions.predicted.tolist())) == 1 and len(set(predictions.truth.tolist())) > 1:
        only = names[predictions.predicted[0]]
        print(
            f"warning: the net predicts {only} for every image; it has not learned anything. Train longer, lower "
            "base_lr, or check the mean and the labels",
            file=sys.stderr,
        )
    else:
        print("Next: ./compile2Movidius.sh", file=sys.stderr)


def _source(args: argparse.Namespace, net: Net) -> tuple[str, str]:
    from agegender import workspace

    if args.leveldb:
        return args.leveldb, "leveldb"
    return args.lmdb or workspace.lmdb(net.task, "test"), "lmdb"


def _predict(args: argparse.Namespace, net: Net, weights: str, source: str, backend: str) -> Predictions:
    """Run the net on every image of the test database."""
    from agegender import workspace
    from agegender.evaluate import predictions
    from caffe.core import config
    from caffe.data.mean import read_mean
    from caffe.device.transform import Transform
    from caffe.utils.cli.progress import Progress
    from ncs.compiler.compile import deploy_net

    if args.gpu:
        config.use_gpu(args.gpu)
    print(f"{weights} on {source}", file=sys.stderr)
    predict = predictions.net_predictor(deploy_net(args.proto or workspace.prototxt_file(net.deploy_file), weights))
    batches = predictions.database_batches(source, Transform(mean=read_mean(args.mean)), backend)
    correct = total = 0
    with Progress("Evaluating", predictions.length(source, backend), "images") as bar:

        def show(keys: list, truth: Any, outputs: dict) -> None:
            nonlocal correct, total
            correct += int((outputs["prob"].argmax(1) == truth).sum())
            total += len(keys)
            bar.step(len(keys), f"Accuracy: {100 * correct / total:.1f}%")

        return predictions.predict_batches(lambda blob: {"prob": predict(blob)}, batches, show)["prob"]
