"""Patches and superblobs: what was put in comes out, here and in depthai 3."""

import bz2
import random
import struct

import numpy as np
import pytest

from ncs.errors import NcsError
from ncs.myriad import binary_patch, superblob


def variant(rng, old):
    """Return `old` with blocks moved, removed, inserted and changed, as blobs of one net differ."""
    new = bytearray(old)
    for _ in range(4):
        at = 16 * rng.randrange(len(new) // 16 + 1)
        action = rng.choice(["insert", "remove", "change"])
        size = 16 * rng.randrange(1, 40)
        if action == "insert":
            new[at:at] = rng.randbytes(size)
        elif action == "remove":
            del new[at : at + size]
        else:
            new[at : at + 4] = rng.randbytes(4)
    return bytes(new)


@pytest.mark.parametrize("seed", range(20))
def test_patch_and_apply(seed):
    rng = random.Random(seed)
    old = rng.randbytes(rng.choice([0, 10, 64, 5000, 40000]))
    new = variant(rng, old) if old and seed % 3 else rng.randbytes(777)
    patch = binary_patch.Differ(old).patch(new)
    assert binary_patch.apply(old, patch) == new
    if len(old) == 40000 and seed % 3:
        assert len(patch) < 6000


def test_repeated_blocks_are_one_match():
    """Zeros and repeated weights have equal blocks everywhere; the patch still follows the order of the file."""
    old = bytes(20000) + random.Random(1).randbytes(20000)
    patch = binary_patch.Differ(old).patch(old[:100] + b"x" * 16 + old[100:])
    assert len(patch) < 400 and binary_patch.apply(old, patch) == old[:100] + b"x" * 16 + old[100:]


def test_a_patch_written_by_hand():
    """The format, from its description: add three bytes with a difference of one, insert two, go back three."""

    def number(value):
        return struct.pack("<Q", abs(value) | (1 << 63 if value < 0 else 0))

    blocks = [
        bz2.compress(b"".join(map(number, (3, 2, -3, 2, 0, 0)))),
        bz2.compress(bytes([1, 1, 1, 0, 0])),
        bz2.compress(b"zz"),
    ]
    patch = b"BSDIFF40" + number(len(blocks[0])) + number(len(blocks[1])) + number(7) + b"".join(blocks)
    assert binary_patch.apply(b"abc", patch) == b"bcdzzab"


@pytest.mark.parametrize("damage", [b"", b"BSDIFF40", b"BSDIFF41" + bytes(24), b"BSDIFF40" + b"\xff" * 24])
def test_damaged_patches_are_errors(damage):
    with pytest.raises(NcsError, match="not a BSDIFF40 patch"):
        binary_patch.apply(b"abc", damage)
    patch = bytearray(binary_patch.Differ(bytes(999)).patch(b"y" * 500))
    patch[-10] ^= 255
    with pytest.raises(NcsError, match="not a BSDIFF40 patch"):
        binary_patch.apply(bytes(999), bytes(patch))


@pytest.fixture(scope="module")
def blobs():
    rng = random.Random(3)
    base = rng.randbytes(30000)
    return {count: variant(rng, base) for count in superblob.COUNTS}


def test_superblob(blobs, tmp_path):
    path = tmp_path / "net.superblob"
    superblob.write_superblob(path, blobs)
    for count, content in blobs.items():
        assert superblob.read_superblob(path, count) == content
    sizes = np.frombuffer(path.read_bytes()[:136], ">u8")
    assert sizes[0] == len(blobs[8]) and sizes[8] == 0 and sizes.sum() + 136 == path.stat().st_size
    assert path.stat().st_size < 16 * 30000 / 2
    with pytest.raises(NcsError, match="expected 1 to 16 SHAVE cores, received 17"):
        superblob.read_superblob(path, 17)


def test_faults_of_superblobs(blobs, tmp_path):
    path = tmp_path / "net.superblob"
    with pytest.raises(NcsError, match=r"\[1\] are missing"):
        superblob.write_superblob(path, {count: blobs[count] for count in range(2, 17)})
    superblob.write_superblob(path, blobs)
    content = path.read_bytes()
    for damaged, message in [(content[:-1], "truncated"), (b"", "not a superblob: it has 0 bytes")]:
        path.write_bytes(damaged)
        with pytest.raises(NcsError, match=message):
            superblob.read_superblob(path, 4)
    with pytest.raises(NcsError, match="No such file"):
        superblob.read_superblob(tmp_path / "missing.superblob", 4)
