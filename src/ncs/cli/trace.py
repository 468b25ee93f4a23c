"""Print what a stage of a blob reads and writes while the simulator runs it; without --stage, every stage's output.

Every line is simulated: no chip computed it.
"""

from __future__ import annotations


def add_arguments(parser):
    from ncs.cli import _images

    parser.add_argument("blob", help="a .blob file, or the manifest (.json) of a compiled net")
    parser.add_argument("image", nargs="?", help="image or .npy (default: seeded noise)")
    parser.add_argument("--stage", type=int, metavar="N", help="the stage, as `ncs inspect --stages` numbers them")
    _images.add_arguments(parser)
    parser.add_argument(
        "--values", type=int, default=8, metavar="N", help="elements printed of each tensor (default 8)"
    )
    parser.add_argument("--save", metavar="FILE.npz", help="write all tensors of the stage there")


def run(args):
    from ncs.cli import _images

    simulator, manifest = _images.opened(args)
    inputs = _images.inputs(args, simulator, manifest, args.image)
    print("simulated: no chip computed these values")
    if args.stage is None:
        return all_stages(simulator, inputs)
    return one_stage(args, simulator, inputs)


def all_stages(simulator, inputs):
    """A line a stage."""
    from ncs.simulator.trace import all_tensors, summary

    def watch(record, memory):
        if record is None:
            return
        written = [tensor for tensor in all_tensors(record) if tensor.location not in ("blob", "input")]
        output = written[-1] if record.kind == "MyriadXHwOp" else written[min(1, len(written) - 1)]
        print(f"{record.number:4d} {record.kind:18s} {output}: {summary(memory.view(output))}")

    simulator.run(inputs, watch)
    return 0


def one_stage(args, simulator, inputs):
    """The stage's tensors, one after the other."""
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
        word = "written" if row.changed else "read"
        print(f"  tensor {number} ({word}): {row.tensor}, strides {row.tensor.strides}")
        print(f"    {summary(row.after)}; {np.array2string(row.after.reshape(-1)[: args.values], precision=5)}")
    if args.save:
        stream = io.BytesIO()
        np.savez(stream, **{f"tensor{number}": row.after for number, row in enumerate(rows)})  # type: ignore[arg-type]
        write_bytes(args.save, stream.getvalue())
    return 0
