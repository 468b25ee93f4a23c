"""Profiles a net layer by layer: measured on a device, or estimated for a stick from the stages of its blob."""

from __future__ import annotations

import dataclasses
import math
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from caffe.convert.flops import work
from ncs.myriad.stage_kinds import DMA, HW

if TYPE_CHECKING:
    from caffe.net.net import Net
    from ncs.myriad.blob import Blob
    from ncs.myriad.stages import DumpedStage
    from ncs.simulator.call import StageCount

_BYTES = {"FP16": 2, "U8": 1, "S32": 4, "FP32": 4, "I8": 1}
_SUFFIX = "/WithoutBiases"  # OpenVINO appends this to a convolution whose bias it separates
_MEMORY = ("input", "output", "blob", "BSS")  # locations in DDR; CMX is on the chip


@dataclasses.dataclass(frozen=True)
class Row:
    """One layer: millions of operations, megabytes moved, milliseconds (None: fused into another layer)."""

    name: str
    type: str
    mflops: float
    megabytes: float
    milliseconds: float | None

    @property
    def bandwidth(self) -> float:
        """Memory bandwidth in MB/s; 0 without a time."""
        return self.megabytes / self.milliseconds * 1e3 if self.milliseconds else 0.0


@dataclasses.dataclass(frozen=True)
class Chip:
    """Peak performance of a chip: assumptions of the estimate, not measurements.

    `hw` is operations per second of the convolution engines, `shave` of one SHAVE core, `memory` bytes per second of
    DDR.
    """

    hw: float
    shave: float
    memory: float


# Intel's peak figure for the Neural Compute Engine; eight half-precision multiply-adds per cycle and core at 700 and
# 600 MHz; 32-bit LPDDR memory at 1600 and 933 million transfers per second.
CHIPS = {"MA2480": Chip(1e12, 8 * 2 * 700e6, 4 * 1600e6), "MA2450": Chip(0.0, 8 * 2 * 600e6, 4 * 933e6)}


def measured(
    net: Net, counters: Iterable[tuple[str, str, float]], node_layers: Mapping[str, str], item_size: int = 4
) -> list[Row]:
    """Return the rows of a measurement.

    `counters` are (node, type, milliseconds), `node_layers` maps nodes to Caffe layers. The time of nodes that belong
    to no layer is in a row "(other)".
    """
    times: dict[str, float] = {}
    other = 0.0
    for name, _, milliseconds in counters:
        layer = layer_of(name, node_layers)
        if layer is None:
            other += milliseconds
        else:
            times[layer] = times.get(layer, 0.0) + milliseconds
    rows = [_row(layer, item_size, times.get(layer.name) or None) for layer in work(net)]
    return rows + ([Row("(other)", "", 0.0, 0.0, other)] if other else [])


def _row(layer, item_size, milliseconds):
    return Row(layer.name, layer.type, layer.operations / 1e6, layer.numbers * item_size / 1e6, milliseconds)


def layer_of(name: str, node_layers: Mapping[str, str]) -> str | None:
    """Return the Caffe layer of a runtime node, or None; ignores the suffixes and prefixes that runtimes add.

    Reorders are called SOURCE_from_to_NODE or NODE_from_to_TARGET; they belong to the layer that needs them.
    """
    plain = name[: -len(_SUFFIX)] if name.endswith(_SUFFIX) else name
    if plain in node_layers:
        return node_layers[plain]
    ends = [node for node in node_layers if plain.endswith("_" + node)]
    starts = [node for node in node_layers if name.startswith((node + "/", node + ":", node + "_"))]
    match = max(ends, key=len, default=None) or max(starts, key=len, default=None)
    return node_layers[match] if match else None


def estimate(
    net: Net,
    blob: Blob,
    stages: Sequence[DumpedStage],
    chip: Chip,
    node_layers: Mapping[str, str],
    counts: Sequence[StageCount] = (),
) -> list[Row]:
    """Estimate the time of each layer on a stick, a lower bound under the assumptions in `chip`.

    Stages run one after another; each takes the longer of its computation and its memory traffic. `blob` has the
    tensors of each stage, `stages` the layer it belongs to. `counts` are the simulator's: multiply-accumulates as
    executed, with the compiler's padding, and bytes; without them both follow from the layers and the tensors' sizes.
    """
    executed, traffic = _by_stage(counts)
    layers = {layer.name: layer for layer in work(net)}
    owners = _stage_layers(blob, stages, node_layers)
    weights = [_weight(stage) for stage in blob.stages]
    totals: dict[str | None, float] = {}
    for owner, weight in zip(owners, weights):
        totals[owner] = totals.get(owner, 0.0) + weight
    times: dict[str | None, float] = {}
    moved: dict[str | None, float] = {}
    for number, (owner, weight, stage) in enumerate(zip(owners, weights, blob.stages)):
        size = traffic.get(number, 0) if counts else _bytes_moved(stage)
        operations = layers[owner].operations * weight / totals[owner] if owner in layers and totals[owner] else 0.0
        operations = 2.0 * executed.get(number, 0) or operations
        rate = chip.hw if stage.unit == HW else chip.shave * max(1, stage.shaves)
        seconds = max(operations / rate if rate else 0.0, size / chip.memory)
        times[owner] = times.get(owner, 0.0) + seconds * 1e3
        moved[owner] = moved.get(owner, 0) + size / 1e6
    rows = [
        Row(name, layer.type, layer.operations / 1e6, moved.get(name, 0.0), times.get(name))
        for name, layer in layers.items()
    ]
    if times.get(None):
        rows.append(Row("(other)", "conversions and copies", 0.0, moved[None], times[None]))
    return rows


def _by_stage(counts: Sequence[StageCount]) -> tuple[dict[int, int], dict[int, int]]:
    """Return ({stage: multiply-accumulates}, {stage: bytes from and to DDR})."""
    macs: dict[int, int] = {}
    moved: dict[int, int] = {}
    for count in counts:  # a stage has several if one was injected into it, or if the batch is larger than 1
        macs[count.number] = macs.get(count.number, 0) + count.macs
        moved[count.number] = moved.get(count.number, 0) + count.memory_bytes
    return macs, moved


def counts_of(content: bytes) -> tuple[list[StageCount], str]:
    """Return (the simulator's counts of one inference, "") of a blob, or ([], why there are none)."""
    import numpy as np

    from ncs.errors import NcsError
    from ncs.simulator import Simulator

    try:
        simulator = Simulator(content)
        random = np.random.default_rng(0)
        ports = simulator.program.inputs
        simulator.run({port.name: random.uniform(0, 255, simulator.shape(port)) for port in ports})
    except NcsError as error:
        return [], str(error)
    return simulator.report.counts, ""


def stage_table(counts: Sequence[StageCount]) -> str:
    """Format the counts of every stage and their sums."""
    titles = [f"{count.number:5d}  {count.kind:<18}" for count in counts] + ["total"]
    numbers = [(count.macs, count.bytes_read(), count.bytes_written(), count.memory_bytes) for count in counts]
    numbers.append(tuple(sum(column) for column in zip(*numbers)))
    lines = ["Stage  Kind                      MMACs       read kB    written kB        DDR kB"]
    for title, (macs, *sizes) in zip(titles, numbers):
        lines.append(f"{title:<25} {macs / 1e6:10.3f}" + "".join(f"{size / 1e3:14.1f}" for size in sizes))
    return "\n".join(lines)


def _stage_layers(blob, stages, node_layers):
    """Return the Caffe layer of each stage of the blob, or None."""
    names: dict[int, str | None] = {}
    for stage in stages:
        if stage.index >= 0:
            names.setdefault(stage.index, layer_of(stage.layer or stage.name, node_layers) if stage.layer else None)
    return [names.get(number) for number in range(len(blob.stages))]


def _weight(stage):
    """Return the weight for splitting a layer's operations among its stages: the size of the output; 0 for copies."""
    if stage.unit == DMA or stage.kind in ("Convert", "Permute", "Copy"):
        return 0.0
    return float(math.prod(stage.tensors[-1].dims)) if stage.tensors else 0.0


def _bytes_moved(stage):
    return sum(math.prod(t.dims) * _BYTES.get(t.dtype, 4) for t in stage.tensors if t.location in _MEMORY)


def compile_and_read(onnx: str, platform: str, shaves: int | None) -> tuple[bytes, Blob, list[DumpedStage]]:
    """Compile an ONNX file in a temporary folder; return the blob's bytes, the blob, and its stages with layers."""
    from ncs.myriad.blob import parse_blob
    from ncs.myriad.compiler import compile_blob
    from ncs.myriad.stages import read_dump

    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        output, dump = os.path.join(scratch, "net.blob"), os.path.join(scratch, "stages.dot")
        compile_blob(onnx, output, platform, shaves, config={"MYRIAD_DUMP_INTERNAL_GRAPH_FILE_NAME": dump})
        with open(output, "rb") as stream:
            content = stream.read()
        return content, parse_blob(content), read_dump(dump)


def table(rows: Sequence[Row]) -> str:
    """Format the table that mvNCProfile prints."""
    lines = [
        "Detailed Per Layer Profile",
        "Layer      Name                                 MFLOPs     Bandwidth MB/s        time(ms)",
        "=" * 88,
    ]
    for number, row in enumerate(rows):
        time = "-" if row.milliseconds is None else f"{row.milliseconds:.3f}"
        lines.append(f"{number:<10d} {row.name:<30} {row.mflops:12.3f} {row.bandwidth:18.2f} {time:>15}")
    rule = "-" * 88
    return "\n".join([*lines, rule, " " * 11 + f"{'Total inference time':<50} {total(rows):25.2f}", rule])


def total(rows: Iterable[Row]) -> float:
    """Return the time of all layers in milliseconds."""
    return sum(row.milliseconds or 0.0 for row in rows)
