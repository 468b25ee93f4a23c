"""How many damaged blobs the simulator catches: N blobs of AgeNet's size, each damaged in one place.

    PYTHONPATH=src python bench/simulator_mutations.py [N]

Caught is an error, a finding, or an answer that differs from the undamaged net's by more than three times FP16's own
error.
"""

from __future__ import annotations

import collections
import os
import random
import sys
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "tests", "ncs", "simulator")]

import damage  # noqa: E402
from simulator_table import net_of  # noqa: E402

from caffe.convert.onnx_export import export_net  # noqa: E402
from ncs.myriad.compiler import Job, compile_blobs  # noqa: E402
from ncs.precision import fp16_emulation  # noqa: E402
from ncs.simulator import Simulator  # noqa: E402


def main() -> None:
    """Print every damage that was not caught, and the shares."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    net, image = net_of("AgeNet")
    expected = fp16_emulation.predict(net, image).ravel()
    with tempfile.TemporaryDirectory(prefix="simulator-") as folder:
        path = os.path.join(folder, "net.onnx")
        export_net(net, path)
        jobs = [
            Job(path, os.path.join(folder, f"{chip}.blob"), chip, shaves)
            for chip, shaves in (("MA2480", 4), ("MA2450", None))
        ]
        compile_blobs(jobs)
        contents = [open(job.output, "rb").read() for job in jobs]  # noqa: SIM115
    own, undamaged = [], []
    for content in contents:
        simulator = Simulator(content)
        result = next(iter(simulator.run({simulator.program.inputs[0].name: image}).values())).ravel()
        undamaged.append(result)
        own.append(float(np.abs(result - expected).max() / np.abs(expected).max()))
    name = simulator.program.inputs[0].name
    totals, caught, ways = collections.Counter(), collections.Counter(), collections.Counter()
    for number in range(count):
        kind, which = damage.KINDS[number % len(damage.KINDS)], number // len(damage.KINDS) % 2
        done = damage.damaged(contents[which], kind, random.Random(number))
        good, how = damage.verdict(done.content, {name: image}, expected, 3 * own[which], undamaged[which])
        totals[kind] += 1
        caught[kind] += good
        ways[how.split(":")[0].split(" off")[0].split(" of")[0] if good else how.split(" off")[0] + ": not caught"] += 1
        if not good:
            print(f"not caught: {('MA2480', 'MA2450')[which]} {done.text}: {how}", flush=True)
    for kind in damage.KINDS:
        print(f"{kind}: {caught[kind]} of {totals[kind]} caught")
    print(f"all: {sum(caught.values())} of {count} caught ({100 * sum(caught.values()) / count:.0f} %); {dict(ways)}")


if __name__ == "__main__":
    main()
