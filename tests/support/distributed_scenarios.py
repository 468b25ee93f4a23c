"""What two processes do together in tests/caffe/solver/distributed: `python distributed_scenarios.py FOLDER`.

One start of both processes runs every scenario, because importing torch takes seconds. Each writes
FOLDER/<scenario>.<rank>.npz; the tests read these files.
"""

import os
import sys
from pathlib import Path

import numpy as np

from caffe.core import config
from caffe.errors import CaffeError


def make(folder, name, batch="each"):
    from caffe.solver import distributed, get_solver

    if distributed.current() is not None:
        distributed.current().batch = batch
    return get_solver(str(folder / f"{name}.prototxt"))


def weights(solver):
    return {f"{w.layer}_{w.index}": w.blob.data.copy() for w in solver.net.learnable_weights}


def steps(folder, name, count, batch="each"):
    """Train `count` iterations; the weights after 1 and after all, the losses, and the labels of the last batch."""
    solver = make(folder, name, batch)
    solver.step(1)
    out = {"first_" + key: value for key, value in weights(solver).items()}
    solver.step(count - 1)
    out.update({"last_" + key: value for key, value in weights(solver).items()})
    return {**out, "loss": solver.smoothed_loss, "label": solver.net.blobs["label"].data.copy()}


def stream(folder, name):
    """The labels, which number the records, of four batches of a net with data only."""
    solver = make(folder, name)
    labels = []
    for _ in range(4):
        solver.net.forward()
        labels.append(solver.net.blobs["label"].data.copy())
    return {"labels": np.array(labels)}


def tests_(folder, name):
    """The outputs of two tests of 5 batches, with a step between them."""
    solver = make(folder, name)
    first = solver.test(0)
    solver.step(1)
    second = solver.test(0)
    return {f"{i}_{key}": value for i, part in enumerate((first, second)) for key, value in part.items()}


def detections(folder, name):
    """A test whose output has another length in every batch, as DetectionEvaluate's."""
    solver = make(folder, name)
    net = solver.test_nets[0]
    forward, seen = net.forward_range, []

    def of_length(*args, **kwargs):
        loss = forward(*args, **kwargs)
        number = int(net.blobs["label"].data.sum())  # differs between batches
        net.blobs["accuracy"].reshape(1 + number)
        net.blobs["accuracy"].data[...] = np.arange(1 + number)
        return loss

    net.forward_range = of_length
    for _, values in solver._test_batches(0):
        seen.append(values["accuracy"].copy())
    return {"lengths": np.array([len(part) for part in seen]), "values": np.concatenate(seen)}


def ssd(folder, name):
    """The rows of DetectionEvaluate of two tests of 5 batches and their mean average precisions."""
    solver = make(folder, name)
    batches = [values["eval"] for _ in range(2) for _, values in solver._test_batches(0)]
    solver = make(folder, name)
    precisions = [solver.test(0)["eval"] for _ in range(2)]
    return {
        "lengths": np.array([len(part) for part in batches]),
        "rows": np.concatenate(batches).reshape(-1, 5),
        "precisions": np.array(precisions),
    }


def resumed(folder, name, resume=None, batch="each", count=3):
    """Two iterations, a snapshot and `count` more; or `count` after restoring that snapshot."""
    solver = make(folder, name, batch)
    if resume is None:
        solver.step(2)
        solver.snapshot()
    else:
        solver.restore(str(folder / resume))
    solver.step(count)
    return {**weights(solver), "label": solver.net.blobs["label"].data.copy(), "iter": solver.iter}


def not_a_number(folder, name):
    """Process 1 has a weight that is not a number: all must end in the same iteration."""
    from caffe.solver import distributed

    solver = make(folder, name)
    solver.step(2)
    if distributed.current().rank:
        solver.net.params["ip"][0].data[0, 0] = np.nan
    return _failure(solver)


def broken_layer(folder, name):
    """Process 1 fails in its forward."""
    from caffe.solver import distributed

    solver = make(folder, name)
    solver.step(2)
    if distributed.current().rank:
        solver.net.nodes[1].layer.forward_blobs = _raise
    return _failure(solver)


def _raise(*_):
    raise CaffeError("record 7 is damaged")


def _failure(solver):
    try:
        solver.solve()
    except CaffeError as error:
        return {"iter": solver.iter, "message": str(error)}
    return {"iter": solver.iter, "message": ""}


def stop(folder, name, request):
    """Process 1 alone is asked to stop, or for a snapshot."""
    from caffe.solver import distributed

    solver = make(folder, name)
    solver.step(2)
    if distributed.current().rank:
        setattr(solver, request, True)
    written = []
    solver.snapshot = lambda: written.append(solver.iter)
    solver.step(3)
    return {"iter": solver.iter, "snapshots": np.array(written)}


def overlap(folder, name):
    """Diffs of three iterations, with buckets sent during backward and after it; shared weights, small buckets."""
    from caffe.solver.distributed import buckets

    out = {}
    limit, send = buckets.BUCKET_BYTES, buckets.GradientBuckets.layer_done
    for label, size, observe in (("early", 64, send), ("late", limit, lambda self, index: None)):
        buckets.GradientBuckets.__init__.__defaults__ = (size,)
        buckets.GradientBuckets.layer_done = observe
        solver = make(folder, name)
        solver.step(3)
        out.update({f"{label}_{key}": value for key, value in weights(solver).items()})
        out[f"{label}_buckets"] = len(solver.synchronizer.buckets.buckets)
        out[f"{label}_passes"] = sum(node.fast is not None for node in solver.net.nodes)
    buckets.GradientBuckets.__init__.__defaults__ = (limit,)
    buckets.GradientBuckets.layer_done = send
    return out


def statistics(folder, name):
    """BatchNorm's statistics: local, during a test, and after it."""
    solver = make(folder, name)
    solver.step(3)
    blobs = solver.net.params["norm"]
    out = {"local": blobs[0].data.copy()}
    net = solver.test_nets[0]
    forward = net.forward_range

    def spy(*args, **kwargs):
        out["in_test"] = blobs[0].data.copy()
        return forward(*args, **kwargs)

    net.forward_range = spy
    solver.test(0)
    return {**out, "after": blobs[0].data.copy()}


def divided(folder, name):
    try:
        return {"shape": make(folder, name, "shared").net.blobs["data"].data.shape, "message": ""}
    except CaffeError as error:
        return {"message": str(error)}


SCENARIOS = {
    "two": lambda f: steps(f, "two", 10),
    "again": lambda f: steps(f, "two", 10),
    "shared": lambda f: steps(f, "one", 10, "shared"),
    "passes": lambda f: steps(f, "passes", 3),
    "unseeded": lambda f: steps(f, "unseeded", 3),
    "stream": lambda f: stream(f, "stream"),
    "shuffled": lambda f: stream(f, "shuffled"),
    "tests": lambda f: tests_(f, "two"),
    "detections": lambda f: detections(f, "two"),
    "ssd": lambda f: ssd(f, "ssd"),
    "ssd_sizes": lambda f: ssd(f, "ssd_sizes"),
    "undisturbed": lambda f: resumed(f, "dropout"),
    "resumed": lambda f: resumed(f, "dropout", "dropout_iter_2.solverstate"),
    "from_one": lambda f: resumed(f, "one", "alone_iter_2.solverstate", "shared"),
    "not_a_number": lambda f: not_a_number(f, "two"),
    "broken_layer": lambda f: broken_layer(f, "two"),
    "stop": lambda f: stop(f, "two", "stop_requested"),
    "snapshot": lambda f: stop(f, "two", "snapshot_requested"),
    "overlap": lambda f: overlap(f, "shared_weights"),
    "statistics": lambda f: statistics(f, "norm"),
    "divided": lambda f: divided(f, "one"),
    "indivisible": lambda f: divided(f, "odd"),
}


def main(folder):
    from caffe.solver import distributed

    with distributed.joined() as group:
        for name, scenario in SCENARIOS.items():
            np.savez(folder / f"{name}.{group.rank}.npz", **scenario(folder))


if __name__ == "__main__":
    os.environ["GLOG_minloglevel"] = "2"  # noqa: SIM112  glog's own spelling
    config.set_mode_cpu()
    main(Path(sys.argv[1]))
