"""What a blob holds, told to people: a summary, the table of its stages, and how two blobs differ."""

from __future__ import annotations

import difflib

from ncs.myriad.blob import Blob, Stage, Tensor


def summary(blob: Blob) -> str:
    """Some lines: platform, inputs and outputs, stages by unit and kind, cores, memory."""
    rows = [f"{blob.platform}, blob version {blob.version}, {_bytes(blob.file_size)}"]
    rows += ["input:   " + array_text(array) for array in blob.inputs]
    rows += ["output:  " + array_text(array) for array in blob.outputs]
    units = ", ".join("%d %s" % (count, unit) for unit, count in blob.unit_counts().items())
    kinds = ", ".join("%d %s" % (count, kind) for kind, count in blob.counts().items())
    rows.append("stages:  %d (%s): %s" % (len(blob.stages), units, kinds))
    cores = (blob.shaves, blob.cmx_slices, blob.batch_size)
    rows.append("uses:    %d SHAVE cores, %d CMX slices, batch %d" % cores)
    sizes = (blob.constants_size, blob.bss_size, blob.inputs_size, blob.outputs_size)
    rows.append("memory:  {} of constants, {} to work in, {} in, {} out".format(*tuple(map(_bytes, sizes))))
    return "\n".join(rows)


def stage_table(blob: Blob) -> str:
    """One line a stage: number, unit, kind, cores, and its arrays."""
    rows = ["   #  unit   kind               shaves  arrays"]
    for number, stage in enumerate(blob.stages):
        rows.append("%4d  %-5s  %-18s %5s  %s" % (number, stage.unit, stage.kind, stage.shaves or "-", _arrays(stage)))
    return "\n".join(rows)


def array_text(array: Tensor) -> str:
    """data  FP32 NCHW 1x3x227x227, strides 618348 206116 908 4 bytes."""
    strides = " ".join(map(str, array.strides))
    facts = (array.name, array.dtype, array.order, array.shape_text, strides)
    return "{}  {} {} {}, strides {} bytes".format(*facts)


def differences(first: Blob, second: Blob) -> list[str]:
    """Lines that tell how `second` differs from `first` (empty: they hold the same, constants aside)."""
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
    for what in ("inputs", "outputs"):
        rows += _changed(
            what[:-1],
            [array_text(array) for array in getattr(first, what)],
            [array_text(array) for array in getattr(second, what)],
        )
    return rows + _changed("stage", _stage_texts(first), _stage_texts(second))


def _stage_texts(blob: Blob) -> list[str]:
    return [f"{stage.unit} {stage.kind} on {stage.shaves} shaves: {_arrays(stage, False)}" for stage in blob.stages]


def _changed(what: str, first: list[str], second: list[str]) -> list[str]:
    rows = []
    matcher = difflib.SequenceMatcher(None, first, second, autojunk=False)
    for kind, begin, end, new_begin, new_end in matcher.get_opcodes():
        if kind != "equal":
            rows += ["- %s %d: %s" % (what, number, first[number]) for number in range(begin, end)]
            rows += ["+ %s %d: %s" % (what, number, second[number]) for number in range(new_begin, new_end)]
    return rows


def _arrays(stage: Stage, offsets: bool = True) -> str:
    texts = []
    for array in stage.tensors:
        place = "%s@%d" % (array.location, array.offset) if offsets else array.location
        texts.append(f"{array.dtype} {array.shape_text} {place}")
    return ", ".join(texts)


def _bytes(count: int) -> str:
    if count >= 1 << 20:
        return "%.1f MB (%d bytes)" % (count / (1 << 20), count)
    return "%.1f kB" % (count / 1024) if count >= 1024 else "%d bytes" % count
