"""Where a net's time goes, layer by layer: measured on a device, or estimated for a stick from its blob's stages."""

from __future__ import annotations

import dataclasses
import math
import os
import tempfile

from caffe.convert.flops import work
from ncs.myriad.stage_kinds import DMA, HW

_BYTES = {"FP16": 2, "U8": 1, "S32": 4, "FP32": 4, "I8": 1}
_SUFFIX = "/WithoutBiases"  # what OpenVINO calls a convolution whose bias it took apart
_MEMORY = ("input", "output", "blob", "BSS")  # what lies in DDR; CMX is on the chip


@dataclasses.dataclass(frozen=True)
class Row:
    """One layer: operations in millions, megabytes moved, milliseconds (None: part of another layer there)."""

    name: str
    type: str
    mflops: float
    megabytes: float
    milliseconds: float | None

    @property
    def bandwidth(self):
        """MB/s, 0 where no time was spent."""
        return self.megabytes / self.milliseconds * 1e3 if self.milliseconds else 0.0


@dataclasses.dataclass(frozen=True)
class Chip:
    """What a chip could do at best: assumptions of the estimate, not measurements.

    `hw` operations a second of the convolution engines, `shave` of one core, `memory` bytes a second of the DDR.
    """

    hw: float
    shave: float
    memory: float


# The maker's headline for the Neural Compute Engine; eight half-precision multiply-adds a cycle and core at 700 and 600 MHz;
# a 32-bit LPDDR memory at 1600 and 933 million transfers a second.
CHIPS = {"MA2480": Chip(1e12, 8 * 2 * 700e6, 4 * 1600e6), "MA2450": Chip(0.0, 8 * 2 * 600e6, 4 * 933e6)}


def measured(net, counters, node_layers, bytes_each=4):
    """Rows of a run: `counters` are (node, kind, milliseconds), `node_layers` names the Caffe layer of a node.

    Time of nodes that belong to no layer is a row of its own, "(other)".
    """
    times, other = {}, 0.0
    for name, _, milliseconds in counters:
        layer = layer_of(name, node_layers)
        if layer is None:
            other += milliseconds
        else:
            times[layer] = times.get(layer, 0.0) + milliseconds
    rows = [_row(piece, bytes_each, times.get(piece.name) or None) for piece in work(net)]
    return rows + ([Row("(other)", "", 0.0, 0.0, other)] if other else [])


def _row(piece, bytes_each, milliseconds):
    return Row(piece.name, piece.type, piece.operations / 1e6, piece.numbers * bytes_each / 1e6, milliseconds)


def layer_of(name, node_layers):
    """The Caffe layer of a runtime's node: by its own name, without what a runtime appends, or as the end of its name.

    Reorders are called SOURCE_from_to_NODE, or NODE_from_to_TARGET: they belong to the layer that needs them.
    """
    plain = name[: -len(_SUFFIX)] if name.endswith(_SUFFIX) else name
    if plain in node_layers:
        return node_layers[plain]
    ends = [node for node in node_layers if plain.endswith("_" + node)]
    starts = [node for node in node_layers if name.startswith((node + "/", node + ":", node + "_"))]
    found = max(ends, key=len, default=None) or max(starts, key=len, default=None)
    return node_layers[found] if found else None


def estimate(net, blob, stages, chip, node_layers):
    """Rows for a stick that was never asked: every stage takes the longer of computing and moving, one after the other.

    `blob` (ncs.myriad.blob.Blob) says what each stage moves, `stages` (ncs.myriad.stages) which layer it belongs to. It is a
    lower bound under the assumptions in `chip`: a real stick needs longer.
    """
    pieces = {piece.name: piece for piece in work(net)}
    owners = _owners(blob, stages, node_layers)
    weights = [_share(stage) for stage in blob.stages]
    totals = {}
    for owner, weight in zip(owners, weights):
        totals[owner] = totals.get(owner, 0.0) + weight
    times, moved = {}, {}
    for owner, weight, stage in zip(owners, weights, blob.stages):
        size = _moved(stage)
        operations = pieces[owner].operations * weight / totals[owner] if owner in pieces and totals[owner] else 0.0
        rate = chip.hw if stage.unit == HW else chip.shave * max(1, stage.shaves)
        seconds = max(operations / rate if rate else 0.0, size / chip.memory)
        times[owner] = times.get(owner, 0.0) + seconds * 1e3
        moved[owner] = moved.get(owner, 0) + size / 1e6
    rows = [
        Row(name, piece.type, piece.operations / 1e6, moved.get(name, 0.0), times.get(name))
        for name, piece in pieces.items()
    ]
    if times.get(None):
        rows.append(Row("(other)", "conversions and copies", 0.0, moved[None], times[None]))
    return rows


def _owners(blob, stages, node_layers):
    names = {}
    for stage in stages:
        if stage.index >= 0:
            names.setdefault(stage.index, layer_of(stage.layer or stage.name, node_layers) if stage.layer else None)
    return [names.get(number) for number in range(len(blob.stages))]


def _share(stage):
    """How a layer's operations are shared among its stages: by what the computing ones write; copies have none."""
    if stage.unit == DMA or stage.kind in ("Convert", "Permute", "Copy"):
        return 0.0
    return float(math.prod(stage.tensors[-1].dims)) if stage.tensors else 0.0


def _moved(stage):
    return sum(math.prod(t.dims) * _BYTES.get(t.dtype, 4) for t in stage.tensors if t.location in _MEMORY)


def compile_and_read(onnx, platform, shaves):
    """Compile an ONNX file in a scratch folder: (Blob, the compiler's own stages)."""
    from ncs.myriad.blob import read_blob
    from ncs.myriad.compiler import compile_blob
    from ncs.myriad.stages import read_dump

    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        made, dump = os.path.join(scratch, "net.blob"), os.path.join(scratch, "stages.dot")
        compile_blob(onnx, made, platform, shaves, config={"MYRIAD_DUMP_INTERNAL_GRAPH_FILE_NAME": dump})
        return read_blob(made), read_dump(dump)


def table(rows):
    """mvNCProfile's table."""
    out = [
        "Detailed Per Layer Profile",
        "%-10s %-30s %12s %18s %15s" % ("Layer", "Name", "MFLOPs", "Bandwidth MB/s", "time(ms)"),
        "=" * 88,
    ]
    for number, row in enumerate(rows):
        took = "-" if row.milliseconds is None else f"{row.milliseconds:.3f}"
        out.append("%-10d %-30s %12.3f %18.2f %15s" % (number, row.name, row.mflops, row.bandwidth, took))
    line = "-" * 88
    return "\n".join([*out, line, "%11s%-50s %25.2f" % ("", "Total inference time", total(rows)), line])


def total(rows):
    """Milliseconds of all layers."""
    return sum(row.milliseconds or 0.0 for row in rows)
