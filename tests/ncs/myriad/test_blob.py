"""The blob reader on real, synthetic and damaged blobs."""

import json
import random
import struct

import pytest
from support import onnx_nets

from ncs.errors import NcsError
from ncs.myriad.blob import Blob, parse_blob, read_blob
from ncs.myriad.compiler import Job, compile_blobs
from ncs.myriad.report import differences, stage_table, summary


def synthetic_blob(**changes):
    """Build a blob from the format's description: one Copy stage, input and output of 1x2x3."""
    constants = struct.pack("<3I3I", 3, 2, 1, 2, 6, 12)  # axes, then strides, innermost first; CHW in FP16
    descriptor = struct.pack("<7I", 0, 0x321, 3, 3, 0, 3, 12)
    tensor = struct.pack("<3I16s", 0, 0, 16, b"data") + descriptor
    stage = (
        struct.pack("<3I", 12 + 44 + 36 + 8, 19, 2)
        + descriptor
        + struct.pack("<4I", 1, 0, 12, 0)
        + descriptor
        + struct.pack("<2I", 4, 64)
        + struct.pack("<2I", 19, 0x7F83FF19)
    )
    sections = [tensor, tensor.replace(b"data", b"prob"), stage, constants]
    offsets, position = [], 192
    for section in sections:
        offsets.append(position)
        position += (len(section) + 63) // 64 * 64
    header = dict(
        magic=0x25ED,
        size=position,
        major=6,
        minor=0,
        inputs=1,
        outputs=1,
        stages=1,
        in_size=12,
        out_size=12,
        batch=1,
        bss=128,
        slices=9,
        shaves=7,
        hw=0,
        shave=0,
        dma=1,
        in_at=offsets[0],
        out_at=offsets[1],
        st_at=offsets[2],
        co_at=offsets[3],
    )
    header.update(changes)
    elf = bytearray(52)
    elf[:4] = b"\x7felf"
    content = bytearray(position)
    content[:52] = elf
    content[52:132] = struct.pack("<20I", *header.values())
    for offset, section in zip(offsets, sections):
        content[offset : offset + len(section)] = section
    return bytes(content)


def test_synthetic_blob():
    blob = parse_blob(synthetic_blob())
    assert isinstance(blob, Blob)
    assert (blob.shaves, blob.cmx_slices, blob.bss_size, blob.units) == (7, 9, 128, ("DMA",))
    (data,) = blob.inputs
    assert (data.name, data.dtype, data.order) == ("data", "FP16", "CHW")
    assert (data.dims, data.strides) == ((1, 2, 3), (12, 6, 2))
    (stage,) = blob.stages
    assert (stage.kind, stage.unit, stage.shaves) == ("Copy", "DMA", 2)
    tensors = [(t.dims, t.location, t.offset) for t in stage.tensors]
    assert tensors == [((1, 2, 3), "input", 0), ((1, 2, 3), "BSS", 64)]


def test_prefix_of_a_cached_blob_is_kept():
    line = '<?xml version="1.0"?><compiled_blob ie_version="2021.4" file_info="1"/>'
    blob = parse_blob(line.encode() + b"\n" + synthetic_blob())
    assert blob.prefix == line
    assert blob.inputs == parse_blob(synthetic_blob()).inputs


@pytest.mark.parametrize(
    "content, text",
    [
        (b"", "Blob is empty"),
        (b"\x7fELF" + bytes(300), "not a MYRIAD blob"),
        (synthetic_blob(magic=1), "magic number 0x1 doesn't match graph_transformer"),
        (synthetic_blob(major=5), "The version of imported blob doesn't match graph_transformer: 5.0"),
        (synthetic_blob()[:-1], "according to its header"),
        (synthetic_blob() + b"x", "according to its header"),
        (synthetic_blob(st_at=1 << 31), "section of the stages is outside"),
        (synthetic_blob(inputs=1 << 30), "do not fit into a file"),
        (synthetic_blob(stages=2), "stage 1"),
    ],
)
def test_invalid_blobs_are_rejected(content, text):
    with pytest.raises(NcsError, match=text):
        parse_blob(content)


def test_damaged_blobs_do_not_crash():
    """A damaged blob gives an NcsError or a Blob, never another exception."""
    rng, original = random.Random(7), synthetic_blob()
    for _ in range(3000):
        content = bytearray(original)
        for _ in range(rng.randint(1, 6)):
            position = rng.randrange(4, len(content) - 4) // 4 * 4
            struct.pack_into("<I", content, position, rng.choice([0, 1, 3, 255, 1 << 20, 1 << 31, 2**32 - 1]))
        try:
            blob = parse_blob(bytes(content))
        except NcsError:
            continue
        summary(blob), stage_table(blob), json.dumps(blob.to_json())


def test_missing_file_is_reported(tmp_path):
    with pytest.raises(NcsError, match="none.blob: No such file"):
        read_blob(tmp_path / "none.blob")


def test_real_blobs_summary_and_differences(compiler, tmp_path):
    model = onnx_nets.tiny(tmp_path / "tiny.onnx")
    names = [str(tmp_path / name) for name in ("a.blob", "b.blob")]
    compile_blobs([Job(model, names[0]), Job(model, names[1], shaves=4)])
    first, second = map(read_blob, names)
    text = summary(first)
    assert "input:   data  FP32 NCHW 1x3x8x8, strides 768 256 32 4 bytes" in text
    assert "output:  prob  FP32 NC 1x5" in text
    assert "7 SHAVE cores, 9 CMX slices" in text
    assert len(stage_table(first).splitlines()) == 1 + len(first.stages)
    assert differences(first, first) == []
    rows = differences(first, second)
    assert "shaves: 7 -> 4" in rows and "cmx_slices: 9 -> 4" in rows
    assert all(stage.tensors for stage in first.stages)
