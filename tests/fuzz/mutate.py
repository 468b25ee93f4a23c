"""Reproducible damage to files: a case is identified by its number."""

from __future__ import annotations

import random
import re

WORDS = [b"{", b"}", b"[", b"]", b":", b'"', b"'", b"\\", b"#", b"<", b">", b"-", b",", b";", b"\0", b"\xff\xfe", b"\n"]
WORDS += [b"layer {", b"layers {", b"1e999", b"-1", b"0x", b"nan", b"true", b"\xc3\xa9", b"input_dim: 0 ", b"\t", b" "]
NUMBERS = [b"0", b"-1", b"2147483647", b"2147483648", b"4294967295", b"1152921504606846976", b"1e38", b"1e-45", b"-0.0"]
VARINTS = [b"\x00", b"\x7f", b"\xff" * 9 + b"\x01", b"\x80" * 11, b"\xff\xff\xff\xff\x07", b"\x80\x80\x80\x80\x10"]
VARINTS += [b"\xff" * 4, b"\x00" * 8, b"\xff" * 8, b"\x00\x00\xc0\x7f", b"\x80\x80\x80\x80\x80\x80\x80\x80\x10"]


def mutate(data, others, number, text):
    """Apply one to six random mutations, seeded by `number`, to `data`; they may splice in pieces of `others`."""
    rng = random.Random(number)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        data = rng.choice(TEXT if text else BINARY)(data, others, rng)
    return data


def _span(data, rng, longest=64):
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.randrange(1, longest))


def _flip(data, others, rng):
    if not data:
        return b"\x0a"
    offset = rng.randrange(len(data))
    return data[:offset] + bytes([rng.randrange(256)]) + data[offset + 1 :]


def _cut(data, others, rng):
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def _repeat(data, others, rng):
    start, end = _span(data, rng, 200)
    return data[:end] + data[start:end] * rng.choice((1, 1, 2, 50)) + data[end:]


def _truncate(data, others, rng):
    return data[: rng.randrange(len(data) + 1)]


def _splice(data, others, rng):
    other = rng.choice(others)
    start, end = _span(other, rng, 300)
    offset = rng.randrange(len(data) + 1)
    return data[:offset] + other[start:end] + data[offset:]


def _swap(data, others, rng):
    (a, b), (c, d) = sorted((_span(data, rng), _span(data, rng)))
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:] if b <= c else data


def _overwrite(data, others, rng):
    piece, offset = rng.choice(VARINTS), rng.randrange(len(data) + 1)
    return data[:offset] + piece + data[offset + len(piece) * rng.randrange(2) :]


def _word(data, others, rng):
    offset = rng.randrange(len(data) + 1)
    return data[:offset] + rng.choice(WORDS) + data[offset:]


def _number(data, others, rng):
    matches = list(re.finditer(rb"\d+", data))
    if not matches:
        return data
    match = rng.choice(matches)
    return data[: match.start()] + rng.choice(NUMBERS) + data[match.end() :]


def _nest(data, others, rng):
    start, end = _span(data, rng, 30)
    return data[:start] + data[start:end] * rng.choice((100, 3000)) + data[end:]


TEXT = [_flip, _cut, _repeat, _truncate, _splice, _swap, _word, _word, _number, _number, _number, _nest]
BINARY = [_flip, _flip, _cut, _repeat, _truncate, _splice, _swap, _overwrite, _overwrite]
