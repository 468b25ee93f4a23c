"""Formats a blob: a summary, a table of its stages, and the differences between two blobs."""

from __future__ import annotations

import difflib

from ncs.myriad.blob import Blob, Stage, Tensor


def summary(blob: Blob) -> str:
    """Format platform, inputs, outputs, stages by unit and kind, cores and memory."""
    rows = [f"{blob.platform}, blob version {blob.version}, {_bytes(blob.file_size)}"]
    rows += ["input:   " + tensor_text(tensor) for tensor in blob.inputs]
    rows += ["output:  " + tensor_text(tensor) for tensor in blob.outputs]
    units = ", ".join(f"{count} {unit}" for unit, count in blob.unit_counts().items())
    kinds = ", ".join(f"{count} {kind}" for kind, count in blob.counts().items())
    rows.append(f"stages:  {len(blob.stages)} ({units}): {kinds}")
    rows.append(f"uses:    {blob.shaves} SHAVE cores, {blob.cmx_slices} CMX slices, batch {blob.batch_size}")
    sizes = (blob.constants_size, blob.bss_size, blob.inputs_size, blob.outputs_size)
    rows.append("memory:  {} constants, {} working memory, {} inputs, {} outputs".format(*map(_bytes, sizes)))
    return "\n".join(rows)


def stage_table(blob: Blob) -> str:
    """Format one line per stage: number, unit, kind, cores and tensors."""
    rows = ["   #  unit   kind               shaves  tensors"]
    for number, stage in enumerate(blob.stages):
        rows.append(f"{number:4d}  {stage.unit:<5}  {stage.kind:<18} {stage.shaves or '-':>5}  {_tensors(stage)}")
    return "\n".join(rows)


def tensor_text(tensor: Tensor) -> str:
    """Format a tensor: data  FP32 NCHW 1x3x227x227, strides 618348 206116 908 4 bytes."""
    strides = " ".join(map(str, tensor.strides))
    return f"{tensor.name}  {tensor.dtype} {tensor.order} {tensor.shape_text}, strides {strides} bytes"


def differences(first: Blob, second: Blob) -> list[str]:
    """Return one line per difference between `first` and `second`, except in the values of constants."""
    rows = []
    for key in (
        "version",
        "platform",
        "batch_size",
        "shaves",
        "cmx_slices",
        "bss_size",
        "constants_size",
        "inputs_size",
        "outputs_size",
    ):
        if getattr(first, key) != getattr(second, key):
            rows.append(f"{key}: {getattr(first, key)} -> {getattr(second, key)}")
    for name in ("inputs", "outputs"):
        rows += _diff(
            name[:-1],
            [tensor_text(tensor) for tensor in getattr(first, name)],
            [tensor_text(tensor) for tensor in getattr(second, name)],
        )
    return rows + _diff("stage", _stage_texts(first), _stage_texts(second))


def _stage_texts(blob: Blob) -> list[str]:
    return [f"{stage.unit} {stage.kind} on {stage.shaves} shaves: {_tensors(stage, False)}" for stage in blob.stages]


def _diff(label: str, first: list[str], second: list[str]) -> list[str]:
    rows = []
    matcher = difflib.SequenceMatcher(None, first, second, autojunk=False)
    for kind, begin, end, new_begin, new_end in matcher.get_opcodes():
        if kind != "equal":
            rows += [f"- {label} {number}: {first[number]}" for number in range(begin, end)]
            rows += [f"+ {label} {number}: {second[number]}" for number in range(new_begin, new_end)]
    return rows


def _tensors(stage: Stage, offsets: bool = True) -> str:
    texts = []
    for tensor in stage.tensors:
        location = f"{tensor.location}@{tensor.offset}" if offsets else tensor.location
        texts.append(f"{tensor.dtype} {tensor.shape_text} {location}")
    return ", ".join(texts)


def _bytes(count: int) -> str:
    if count >= 1 << 20:
        return f"{count / (1 << 20):.1f} MB ({count} bytes)"
    return f"{count / 1024:.1f} kB" if count >= 1024 else f"{count} bytes"
