"""Count how many damaged blobs the simulator detects: N blobs of AgeNet, each with one change.

    PYTHONPATH=src python bench/simulator_mutations.py [N]

A blob counts as caught if it causes an error, a finding, or an output that differs from the net's by more than three
times the error of the undamaged blob.
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
    """Print every change that was not caught, and the fraction caught per kind."""
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
    undamaged_errors, undamaged = [], []
    for content in contents:
        simulator = Simulator(content)
        result = next(iter(simulator.run({simulator.program.inputs[0].name: image}).values())).ravel()
        undamaged.append(result)
        undamaged_errors.append(float(np.abs(result - expected).max() / np.abs(expected).max()))
    name = simulator.program.inputs[0].name
    totals, caught, reasons = collections.Counter(), collections.Counter(), collections.Counter()
    for number in range(count):
        kind, which = damage.KINDS[number % len(damage.KINDS)], number // len(damage.KINDS) % 2
        mutation = damage.damage_blob(contents[which], kind, random.Random(number))
        is_caught, reason = damage.is_caught(
            mutation.content, {name: image}, expected, 3 * undamaged_errors[which], undamaged[which]
        )
        totals[kind] += 1
        caught[kind] += is_caught
        reasons[reason.split(":")[0]] += 1
        if not is_caught:
            print(f"not caught: {('MA2480', 'MA2450')[which]} {mutation.text}: {reason}", flush=True)
    for kind in damage.KINDS:
        print(f"{kind}: {caught[kind]} of {totals[kind]} caught")
    print(
        f"all: {sum(caught.values())} of {count} caught ({100 * sum(caught.values()) / count:.0f} %); {dict(reasons)}"
    )


if __name__ == "__main__":
    main()
