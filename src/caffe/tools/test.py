"""Score a net: run its TEST phase and print every output, batch by batch, and the means."""

from __future__ import annotations

from caffe.errors import CaffeError


def add_arguments(parser):
    parser.add_argument("--model", required=True, help="net prototxt")
    parser.add_argument("--weights", required=True, help="caffemodel or h5; a comma list: one after the other")
    parser.add_argument("--iterations", type=int, default=50, help="batches (default 50)")
    parser.add_argument("--gpu", default="", help="CUDA device id")
    parser.add_argument("--level", type=int, default=0, help="network level")
    parser.add_argument("--stage", default="", help="network stages, a comma list")
    parser.add_argument("--phase", default="TEST", help="accepted; scoring runs TEST")


def run(args):
    from caffe.core import config, glog
    from caffe.net.net import Net
    from caffe.proto import caffe_pb2

    if args.iterations < 1:
        raise CaffeError("--iterations must be positive, received %d" % args.iterations)
    if args.gpu:
        config.use_gpu(args.gpu)
    net = Net(
        args.model,
        caffe_pb2.TEST,
        level=args.level,
        stages=[s for s in args.stage.split(",") if s],
        weights=args.weights,
    )
    glog.info("Running for %d iterations." % args.iterations, "caffe.cpp:281")
    score(net, args.iterations)


def score(net, iterations):
    """Run `iterations` batches; log `Batch i, name = v`, `Loss: v` and the means; returns {name: list of means}."""
    from caffe.core import glog

    sums, loss, last = {}, 0.0, len(net.layers) - 1
    for i in range(iterations):
        loss += net.forward_range(0, last, record=False)
        for name in net.outputs:
            values = net.blobs[name].data.ravel().astype("float64")
            sums[name] = sums.get(name, 0) + values
            for value in values:
                glog.info("Batch %d, %s = %.6g" % (i, name, value), "caffe.cpp:304")
    glog.info("Loss: %.6g" % (loss / iterations), "caffe.cpp:309")
    weights = net.blob_loss_weights
    for name, total in sums.items():
        for value in total / iterations:
            weight = weights.get(name, 0.0)
            note = f" (* {weight:.6g} = {weight * value:.6g} loss)" if weight else ""
            glog.info(f"{name} = {value:.6g}{note}", "caffe.cpp:321")
    return {name: (total / iterations).tolist() for name, total in sums.items()}
