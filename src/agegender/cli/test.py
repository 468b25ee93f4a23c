"""Judge a trained net on its test pictures: accuracy, confusion matrix, and with --report everything else.

Every picture of the test LMDB is judged exactly once, by the newest snapshot unless --weights names another (one of real
Caffe does as well). Rows are the true class, columns the prediction.
"""

from __future__ import annotations

import sys

from agegender.nets import MEAN_FILE, NETS


def add_arguments(parser):
    parser.add_argument(
        "net_name", nargs="?", choices=list(NETS), metavar="NET", help="which net: " + " or ".join(NETS)
    )
    parser.add_argument("--net", choices=list(NETS), help="the same, as the original's tool had it")
    parser.add_argument("--proto", help="another prototxt than the net's own (deploy or train_val)")
    parser.add_argument("--weights", "--model", dest="weights", help="caffemodel (default: the newest snapshot)")
    parser.add_argument("--mean", default=MEAN_FILE, help=f"mean file (default: {MEAN_FILE})")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--lmdb", help="another test LMDB than the net's own")
    source.add_argument("--leveldb", help="a LevelDB to judge on")
    parser.add_argument(
        "--report",
        metavar="DIR",
        help="write report.json, CSVs, the matrix and the worst mistakes as pictures here",
    )
    parser.add_argument("--errors", action="store_true", help="list every wrong picture by its LMDB key")
    parser.add_argument("--gpu", default="", help="CUDA device id")


def run(args):
    from agegender.errors import AgeGenderError
    from agegender.evaluate import confusion
    from agegender.evaluate.report import MADE_BY
    from caffe.utils import folders

    if not (args.net or args.net_name):
        raise AgeGenderError("which net? one of {}".format(", ".join(NETS)))
    net = NETS[args.net or args.net_name]
    if args.report:
        folders.refuse_foreign(args.report, MADE_BY)  # now, not after the judging
    scores = evaluate(net, args)
    names = list(net.labels.names)
    matrix = confusion.count(scores.truth, scores.predicted, len(names))
    if args.errors:
        for key, truth, predicted in zip(scores.keys, scores.truth, scores.predicted):
            if truth != predicted:
                print("Error: i=%r, expected %i but predicted %i" % (key, truth, predicted))
    text = confusion.format_matrix(matrix, names)
    print(text, end="", flush=True)
    if args.report:
        _report(net, args, scores, text)
    print("Next: ./compile2Movidius.sh", file=sys.stderr)


def evaluate(net, args):
    """Scores of the net's weights on its test database."""
    from agegender.evaluate import run_inference
    from agegender.nets import newest_weights
    from caffe.core import config
    from caffe.data.mean import read_mean
    from caffe.device.transform import Transform
    from caffe.utils.progress import Progress
    from ncs.compiler.compile import deploy_net

    if args.gpu:
        config.use_gpu(args.gpu)
    weights = args.weights or newest_weights(net)
    print("{} on {}".format(weights, args.lmdb or args.leveldb or net.lmdb("test")), file=sys.stderr)
    predict = run_inference.net_predictor(deploy_net(args.proto or net.deploy, weights))
    source, backend = (args.leveldb, "leveldb") if args.leveldb else (args.lmdb or net.lmdb("test"), "lmdb")
    right = [0, 0]
    with Progress("Judging", run_inference.length(source, backend), "pictures") as bar:

        def show(keys, truth, probabilities):
            right[0] += int((probabilities.argmax(1) == truth).sum())
            right[1] += len(keys)
            bar.step(len(keys), "Accuracy: %.1f%%" % (100.0 * right[0] / right[1]))

        return run_inference.score(predict, source, Transform(mean=read_mean(args.mean)), backend, show=show)


def _report(net, args, scores, text):
    from agegender.evaluate import report
    from agegender.nets import newest_weights

    source, backend = (args.leveldb, "leveldb") if args.leveldb else (args.lmdb or net.lmdb("test"), "lmdb")
    weights = args.weights or newest_weights(net)
    report.write(args.report, net, scores, text, weights=weights, database=source, backend=backend)
