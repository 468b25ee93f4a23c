"""Evaluate a snapshot of any classification net on an LMDB and write a report, as `agegender test` does for AgeNet."""

from __future__ import annotations

import argparse
import types
from typing import Any

from agegender.errors import AgeGenderError
from agegender.evaluate import confusion, predictions, report
from agegender.inference.labels import AGE_TRINGN, Labels
from caffe.utils.cli.progress import Progress


def main(argv: list[str]) -> None:
    """Evaluate and write the report."""
    parser = argparse.ArgumentParser()
    for name in ("net", "weights", "database", "out"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--labels", default="", help="text file with one class name per line")
    parser.add_argument("--title", default="")
    parser.add_argument("--task", default="")
    args = parser.parse_args(argv)
    net, transform = open_net(args.net, args.weights)
    predict = predictions.net_predictor(net)
    total = predictions.length(args.database)
    with Progress("Evaluating", total, "images", every=2) as bar:
        batches = predictions.database_batches(args.database, transform)
        found = predictions.predict_batches(
            lambda blob: {"prob": predict(blob)}, batches, lambda keys, *_: bar.step(len(keys))
        )["prob"]
    labels = read_labels(args.labels, found.probabilities.shape[1])
    described = types.SimpleNamespace(name=args.title or args.net, task=args.task or labels.name, labels=labels)
    matrix = confusion.count(found.truth, found.predicted, len(labels))
    text = confusion.format_matrix(matrix, list(labels.names))
    print(text, end="")
    report.write(args.out, described, found, text, weights=args.weights, database=args.database)


def open_net(prototxt: str, weights: str) -> tuple[Any, Any]:
    """Return the deploy net of a prototxt with weights, and the Transform of its TEST data."""
    from caffe.data.mean import transform_of
    from caffe.device.transform import Transform
    from caffe.proto import caffe_pb2
    from caffe.proto.read import read_net
    from ncs.compiler.compile import deploy_net

    layers = [layer for layer in read_net(prototxt).param.layer if layer.type in ("Data", "ImageData")]
    test = [layer for layer in layers if not layer.include or caffe_pb2.TEST in {rule.phase for rule in layer.include}]
    transform = transform_of((test or layers)[0].transform_param) if layers else Transform()
    return deploy_net(prototxt, weights), transform


def read_labels(path: str, count: int) -> Labels:
    """Return the labels in a file; those of AgeNet keep their bounds, for the 1-off accuracy."""
    names: tuple[str, ...] = ()
    if path:
        with open(path, encoding="utf-8") as stream:
            names = tuple(line.strip() for line in stream if line.strip())
    if names == AGE_TRINGN.names:
        return AGE_TRINGN
    if len(names) > count:
        raise AgeGenderError(
            f"{path}: expected at most {count} class names, as the net has outputs, received {len(names)}"
        )
    names += tuple(str(number) for number in range(len(names), count))
    return Labels("classes", names)
