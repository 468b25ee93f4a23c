"""Print the tensors that a stage of a blob reads and writes in the simulator, or the output of every stage.

All values are simulated: no chip computed them.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from ncs.simulator import Simulator
    from ncs.simulator.memory import Memory
    from ncs.simulator.program import StageRecord


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    from ncs.cli import _images

    parser.add_argument("blob", help="a .blob file, or the manifest (.json) of a compiled net")
    parser.add_argument("image", nargs="?", help="image or .npy file (default: seeded noise)")
    parser.add_argument(
        "--stage", type=int, metavar="N", help="number of the stage, as in `ncs inspect --stages` (default: all)"
    )
    _images.add_arguments(parser)
    parser.add_argument(
        "--values", type=int, default=8, metavar="N", help="number of elements to print per tensor (default 8)"
    )
    parser.add_argument("--save", metavar="FILE.npz", help="write all tensors of the stage to this file")


def run(args: argparse.Namespace) -> int:
    """Run the command and return the exit status."""
    from ncs.cli import _images

    simulator, manifest = _images.open_simulator(args)
    inputs = _images.load_inputs(args, simulator, manifest, args.image)
    print("simulated: no chip computed these values")
    if args.stage is None:
        return print_all_stages(simulator, inputs)
    return print_stage(args, simulator, inputs)


def print_all_stages(simulator: Simulator, inputs: dict[str, np.ndarray]) -> int:
    """Print one line per stage."""
    from ncs.simulator.trace import all_tensors, summary

    def print_output(record: StageRecord | None, memory: Memory) -> None:
        if record is None:
            return
        written = [tensor for tensor in all_tensors(record) if tensor.location not in ("blob", "input")]
        output = written[-1] if record.kind == "MyriadXHwOp" else written[min(1, len(written) - 1)]
        print(f"{record.number:4d} {record.kind:18s} {output}: {summary(memory.view(output))}")

    simulator.run(inputs, print_output)
    return 0


def print_stage(args: argparse.Namespace, simulator: Simulator, inputs: dict[str, np.ndarray]) -> int:
    """Print the tensors of one stage."""
    import io

    import numpy as np

    from caffe.utils.atomic_io import write_bytes
    from ncs.simulator.operations import read_operations
    from ncs.simulator.trace import summary, trace

    rows = trace(simulator, inputs, args.stage)
    record = simulator.program.stages[args.stage]
    print(f"{simulator.label(record)}, {record.shaves} SHAVE cores, {len(record.params)} bytes of parameters")
    if record.kind == "MyriadXHwOp":
        for operation in read_operations(record.params, record.number):
            print(f"  operation: {operation}")
    for number, row in enumerate(rows):
        access = "written" if row.changed else "read"
        print(f"  tensor {number} ({access}): {row.tensor}, strides {row.tensor.strides}")
        print(f"    {summary(row.after)}; {np.array2string(row.after.reshape(-1)[: args.values], precision=5)}")
    if args.save:
        stream = io.BytesIO()
        np.savez(stream, **{f"tensor{number}": row.after for number, row in enumerate(rows)})  # type: ignore[arg-type]
        write_bytes(args.save, stream.getvalue())
    return 0
