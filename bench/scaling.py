"""Training on several hosts that are network namespaces with shaped links: how much of a step waits for the network.

python bench/scaling.py [--hosts 2 4] [--rates none 1gbit 100mbit] [--delay 1] [--batch 4] [--steps 4] [--net fc]
(Linux, as root)

Every host trains AgeNet (45.7 MB of diffs) on made-up data. A step is measured with buckets sent during backward
(overlap) and after it; of the steps the fastest counts, which other work disturbs least. The model on paper: a ring sends
2 (N - 1) / N of the diffs over each link, so a step without overlap takes the step of the same hosts without a limit
(rate none, measured first) and the time to send. The last column is the measured step as a share of it. `--net fc` has
inner products only, with as many parameters as AgeNet and next to no work: on a machine with fewer cores than hosts it
measures the network instead of the cores. `--delay` milliseconds pass between two hosts (bench/_delay.py); a ring waits
for them 2 (N - 1) times for each bucket.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "bench")]

from _delay import DelayedLinks  # noqa: E402

BRIDGE, SUBNET = "cafbr0", "10.99.0."
RATES = {"100mbit": 100e6, "1gbit": 1e9, "10gbit": 10e9}
DIFFS = 45.7e6  # bytes of AgeNet's diffs
NET = """name: "AgeNet" layer { name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: BATCH dim: 3 dim: 227 dim: 227 } shape { dim: BATCH }
    data_filler { type: "gaussian" std: 50 } data_filler { type: "constant" value: 3 } } }
"""
FC = """name: "fc" layer { name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: BATCH dim: 21770 } shape { dim: BATCH }
    data_filler { type: "constant" value: 1 } data_filler { type: "constant" value: 3 } } }
layer { name: "fc6" type: "InnerProduct" bottom: "data" top: "fc6" inner_product_param { num_output: 512 } }
layer { name: "fc7" type: "InnerProduct" bottom: "fc6" top: "fc7" inner_product_param { num_output: 512 } }
layer { name: "fc8" type: "InnerProduct" bottom: "fc7" top: "fc8" inner_product_param { num_output: 8 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc8" bottom: "label" top: "loss" }
"""
SOLVER = 'net: "%s" base_lr: 0.001 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.0005 max_iter: 100 random_seed: 1'


def net(name, batch):
    """The prototxt of AgeNet, or of `fc`, for training on made-up data."""
    if name == "fc":
        return FC.replace("BATCH", str(batch))
    from caffe.proto import caffe_pb2, text

    param = caffe_pb2.NetParameter()
    text.parse((ROOT / "prototxt/AgeNet_train_test.prototxt").read_text(), param, "AgeNet")
    kept = [layer for layer in param.layer if layer.type not in ("Data", "Accuracy")]
    return NET.replace("BATCH", str(batch)) + "".join(f"layer {{ {text.format(layer)} }}\n" for layer in kept)


def worker(folder, steps):
    """Train and print, as JSON, the seconds of a step and those spent waiting, with and without overlap."""
    import torch

    from caffe.solver import distributed, get_solver
    from caffe.solver.distributed import buckets

    torch.set_num_threads(1)
    waited = [0.0]
    finish, observe = distributed.Group.finish, buckets.GradientBuckets.layer_done

    def timed(work):
        began = time.perf_counter()
        finish(work)
        waited[0] += time.perf_counter() - began

    distributed.Group.finish = staticmethod(timed)
    rows = {}
    with distributed.joined() as group:
        for label, function in (("overlap", observe), ("no overlap", lambda self, index: None)):
            buckets.GradientBuckets.layer_done = function
            solver = get_solver(f"{folder}/solver.prototxt")
            solver.step(1)
            measured = []
            for _ in range(steps):
                waited[0], began = 0.0, time.perf_counter()
                solver.step(1)
                measured.append((time.perf_counter() - began, waited[0]))
            rows[label] = min(measured)
        if group is None or group.rank == 0:
            print(json.dumps(rows), flush=True)


def _sh(*command, check=True):
    return subprocess.run(command, check=check, capture_output=True, text=True)


def _links(count, delay):
    """Create the links of `count` hosts, pairs of devices; return what `close` ends, or None without a delay (seconds)."""
    pairs = [(f"cafo{i}", f"cafi{i}") for i in range(count)]
    if delay:
        links = DelayedLinks(pairs, delay / 2)  # a frame between two hosts passes two links
        for name in (name for pair in pairs for name in pair):
            _sh("ip", "link", "set", name, "mtu", "65000", "txqueuelen", "5000")
        return links
    for outer, inner in pairs:
        _sh("ip", "link", "add", outer, "type", "veth", "peer", "name", inner)
    return None


def _hosts(count, rate):
    """Create namespaces cafN with addresses in SUBNET, joined by a bridge, each link with `rate` in both directions."""
    _sh("ip", "link", "add", BRIDGE, "type", "bridge")
    _sh("ip", "link", "set", BRIDGE, "up")
    for i in range(count):
        name, outer, inner = f"caf{i}", f"cafo{i}", f"cafi{i}"
        _sh("ip", "netns", "add", name)
        _sh("ip", "link", "set", outer, "master", BRIDGE, "up")
        _sh("ip", "link", "set", inner, "netns", name)
        inside = ("ip", "netns", "exec", name)
        _sh(*inside, "ip", "addr", "add", f"{SUBNET}{i + 1}/24", "dev", inner)
        _sh(*inside, "ip", "link", "set", inner, "up")
        _sh(*inside, "ip", "link", "set", "lo", "up")
        if rate != "none":
            burst = max(256_000, int(RATES[rate] / 8 / 1000))  # bytes: what a link sends in a millisecond
            shape = ("root", "tbf", "rate", rate, "burst", str(burst), "latency", "50ms")
            _sh("tc", "qdisc", "add", "dev", outer, *shape)
            _sh(*inside, "tc", "qdisc", "add", "dev", inner, *shape)


def _remove(count):
    for i in range(count):
        _sh("ip", "netns", "del", f"caf{i}", check=False)
        _sh("ip", "link", "del", f"cafo{i}", check=False)
    _sh("ip", "link", "del", BRIDGE, check=False)


def measure(folder, hosts, rate, delay, steps):
    """Run one point and return what process 0 printed."""
    links = _links(hosts, delay)
    try:
        _hosts(hosts, rate)
        children = []
        for i in range(hosts):
            variables = {"RANK": i, "WORLD_SIZE": hosts, "MASTER_ADDR": SUBNET + "1", "MASTER_PORT": 29400}
            variables.update(OMP_NUM_THREADS=1, GLOO_SOCKET_IFNAME=f"cafi{i}", GLOG_minloglevel=2)
            environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
            command = ["ip", "netns", "exec", f"caf{i}", sys.executable, __file__, "--worker", folder, str(steps)]
            children.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
        outputs = [child.communicate()[0] for child in children]
        return json.loads(outputs[0])
    finally:
        _remove(hosts)
        if links:
            links.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--rates", nargs="+", default=["none", "1gbit", "100mbit"], choices=[*RATES, "none"])
    parser.add_argument("--delay", type=float, default=0, help="milliseconds from one host to another")
    parser.add_argument("--net", choices=["AgeNet", "fc"], default="AgeNet")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=4)
    args = parser.parse_args()
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "net.prototxt").write_text(net(args.net, args.batch))
        Path(folder, "solver.prototxt").write_text(SOLVER % f"{folder}/net.prototxt")
        print("                 sent after backward          sent during backward        on paper, after backward")
        print("hosts  rate      s/step  waiting              s/step  waiting              s to send  s/step  measured")
        for hosts in args.hosts:
            unlimited = None
            for rate in args.rates:
                rows = measure(folder, hosts, rate, args.delay / 1000, args.steps)
                (late, late_wait), (early, early_wait) = rows["no overlap"], rows["overlap"]
                unlimited = late if rate == "none" else unlimited
                sending = send_seconds(hosts, rate, args.delay / 1000 if rate != "none" else 0)
                paper = "" if unlimited is None else f"{unlimited + sending:8.2f} {late / (unlimited + sending):9.0%}"
                print(
                    f"{hosts:5d}  {rate:8s} {late:7.2f} {late_wait / late:8.0%}  {early:20.2f} "
                    f"{early_wait / early:8.0%} {sending:22.2f} {paper}",
                    flush=True,
                )
        on_paper = (f"{send_seconds(64, rate, args.delay / 1000):.2f} s to send at {rate}" for rate in RATES)
        print("64 hosts on paper: " + ", ".join(on_paper))


def send_seconds(hosts, rate, delay):
    """The seconds that a ring of hosts sends for one step; each hop of each bucket takes `delay` seconds more."""
    from caffe.solver.distributed.buckets import BUCKET_BYTES

    sending = DIFFS * 8 / RATES[rate] / hosts if rate in RATES else 0.0
    return 2 * (hosts - 1) * (sending + math.ceil(DIFFS / BUCKET_BYTES) * delay)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2], int(sys.argv[3]))
    else:
        main()
