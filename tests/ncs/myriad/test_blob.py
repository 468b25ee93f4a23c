"""The blob reader: on real blobs, on blobs made by hand, and on damaged ones."""

import json
import random
import struct

import pytest
from support import onnx_nets

from ncs.errors import NcsError
from ncs.myriad.blob import Blob, parse_blob, read_blob
from ncs.myriad.compiler import Job, compile_blobs
from ncs.myriad.report import differences, stage_table, summary


def by_hand(**changes):
    """A blob written word by word from the format's description: one Copy stage, 1x2x3 input and output."""
    constants = struct.pack("<3I3I", 3, 2, 1, 2, 6, 12)  # axes, then strides, innermost first; CHW in FP16
    build_only = struct.pack("<7I", 0, 0x321, 3, 3, 0, 3, 12)
    array = struct.pack("<3I16s", 0, 0, 16, b"data") + build_only
    stage = (
        struct.pack("<3I", 12 + 44 + 36 + 8, 19, 2)
        + build_only
        + struct.pack("<4I", 1, 0, 12, 0)
        + build_only
        + struct.pack("<2I", 4, 64)
        + struct.pack("<2I", 19, 0x7F83FF19)
    )
    sections = [array, array.replace(b"data", b"prob"), stage, constants]
    offsets, place = [], 192
    for section in sections:
        offsets.append(place)
        place += (len(section) + 63) // 64 * 64
    header = dict(
        magic=0x25ED,
        size=place,
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
    content = bytearray(place)
    content[:52] = elf
    content[52:132] = struct.pack("<20I", *header.values())
    for offset, section in zip(offsets, sections):
        content[offset : offset + len(section)] = section
    return bytes(content)


def test_a_blob_made_by_hand():
    blob = parse_blob(by_hand())
    assert isinstance(blob, Blob)
    assert (blob.shaves, blob.cmx_slices, blob.bss_size, blob.units) == (7, 9, 128, ("DMA",))
    (data,) = blob.inputs
    assert (data.name, data.dtype, data.order) == ("data", "FP16", "CHW")
    assert (data.dims, data.strides) == ((1, 2, 3), (12, 6, 2))
    (stage,) = blob.stages
    assert (stage.kind, stage.unit, stage.shaves) == ("Copy", "DMA", 2)
    places = [(t.dims, t.location, t.offset) for t in stage.tensors]
    assert places == [((1, 2, 3), "input", 0), ((1, 2, 3), "BSS", 64)]


def test_the_prefix_of_a_cached_blob_is_kept():
    line = '<?xml version="1.0"?><compiled_blob ie_version="2021.4" file_info="1"/>'
    blob = parse_blob(line.encode() + b"\n" + by_hand())
    assert blob.prefix == line
    assert blob.inputs == parse_blob(by_hand()).inputs


@pytest.mark.parametrize(
    "content, text",
    [
        (b"", "Blob is empty"),
        (b"\x7fELF" + bytes(300), "not a MYRIAD blob"),
        (by_hand(magic=1), "magic number 0x1 doesn't match graph_transformer"),
        (by_hand(major=5), "The version of imported blob doesn't match graph_transformer: 5.0"),
        (by_hand()[:-1], "header says"),
        (by_hand() + b"x", "header says"),
        (by_hand(st_at=1 << 31), "section of the stages lies outside"),
        (by_hand(inputs=1 << 30), "cannot be in a file"),
        (by_hand(stages=2), "stage 1"),
    ],
)
def test_faults_are_told(content, text):
    with pytest.raises(NcsError, match=text):
        parse_blob(content)


def test_no_damage_makes_it_crash():
    """Every kind of damage is an NcsError or a blob, never another exception, and never slow."""
    rng, whole = random.Random(7), by_hand()
    for _ in range(3000):
        content = bytearray(whole)
        for _ in range(rng.randint(1, 6)):
            place = rng.randrange(4, len(content) - 4) // 4 * 4
            struct.pack_into("<I", content, place, rng.choice([0, 1, 3, 255, 1 << 20, 1 << 31, 2**32 - 1]))
        try:
            blob = parse_blob(bytes(content))
        except NcsError:
            continue
        summary(blob), stage_table(blob), json.dumps(blob.to_json())


def test_a_missing_file_is_named(tmp_path):
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
