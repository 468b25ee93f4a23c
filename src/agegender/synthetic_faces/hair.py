"""Draw hair behind the head and over the forehead, strand by strand, on a canvas `c` for a person `p`."""

from __future__ import annotations

import numpy as np

from agegender.synthetic_faces.canvas import Canvas, ellipse, smooth
from agegender.synthetic_faces.traits import GREY, Traits


def behind(c: Canvas, p: Traits, rng: np.random.Generator) -> None:
    """Draw the hair behind the face: short hair on the head, or long hair down to the shoulders."""
    wide, high = p.width + 0.6 * p.volume, p.top + p.volume
    if not p.long:
        if not p.bald and p.volume > 3:
            c.fill(ellipse(0, -6, wide - 1, high - 8, 180, 360), _color(p) * 0.7)
        return
    low = p.long
    flare = rng.uniform(2, 16)
    right = smooth(
        [
            (0, -high),
            (0.75 * wide, -0.75 * high),
            (wide + 3, -0.1 * high),
            (wide + flare, 0.5 * low),
            (wide - 2 + flare, low),
        ]
    )
    shape = np.concatenate([right, (right * (-1, 1))[::-1]])
    c.fill(shape, _color(p) * 0.72)
    wave = rng.uniform(0, 4)
    count = 44
    across = rng.uniform(0.55, 1, (count, 1)) * np.where(np.arange(count) % 2, 1, -1)[:, None]
    tips = low - rng.uniform(0, 8, (count, 1))
    y = -0.3 * high + (tips + 0.3 * high) * np.linspace(0, 1, 9)
    bend = wave * np.sin(y / rng.uniform(9, 13, (count, 1)) + 6 * across)
    x = across * (wide - 1 + flare * np.clip(2 * y / low, 0, 1)) + bend * np.clip(y / 20, 0, 1)
    _strands(c, p, np.stack([x, y], 2), rng, 0.75)


def over(c: Canvas, p: Traits, rng: np.random.Generator) -> None:
    """Draw the hair above the forehead and at the temples; a bow for some girls."""
    outer, inner = _edges(p, rng)
    if p.bald:
        _sides(c, p, rng)
    else:
        c.fill(np.concatenate([outer, inner[::-1]]), _color(p))
        _strands(c, p, _combed(p, outer, inner, rng), rng, 1.0)
    if p.long:
        _locks(c, p, rng)
    if p.bow:
        _bow(c, p, rng)


def _color(p):
    return p.hair * (1 - p.grey) + GREY * 0.9 * p.grey


def _edges(p, rng):
    """Outer and inner edge of the front hair, both from left to right with 40 points."""
    wide, high = p.width + 0.45 * p.volume, p.top + p.volume
    side_y = p.eye_y + (10 if p.male and not p.long else 2) - 14 * p.child - 10 * p.recede
    outer = smooth(
        [
            (-wide, side_y),
            (-wide * 0.98, -0.42 * high),
            (-0.66 * wide, -0.83 * high),
            (0, -high),
            (0.66 * wide, -0.83 * high),
            (wide * 0.98, -0.42 * high),
            (wide, side_y),
        ],
        40,
    )
    line = -(0.66 + 0.27 * p.recede) * p.top
    temple = -(0.46 + 0.36 * p.recede) * p.top
    w = p.width
    if p.front == "fringe":
        low = p.eye_y - 19 + rng.normal(0, 2)
        middle = [
            (-0.7 * w, low + 3),
            (-0.3 * w, low),
            (0.05 * w, low + 1),
            (0.4 * w, low),
            (0.72 * w, low + 3),
        ]
    elif p.front == "part":
        middle = [
            (-0.74 * w, temple),
            (-0.36 * w, line - 4),
            (-0.22 * w, line - 8),
            (0.3 * w, line + 11),
            (0.76 * w, temple + 12),
        ]
        if rng.random() < 0.5:
            middle = [(-x, y) for x, y in middle[::-1]]
    elif p.front == "middle":
        middle = [
            (-0.8 * w, temple + 8),
            (-0.42 * w, line + 8),
            (0, line - 10),
            (0.42 * w, line + 8),
            (0.8 * w, temple + 8),
        ]
    else:
        peak = line + 5 * p.recede + rng.normal(0, 1)
        middle = [
            (-0.74 * w, temple),
            (-0.42 * w, line + 1 - 4 * p.recede),
            (0, peak),
            (0.42 * w, line + 1 - 4 * p.recede),
            (0.74 * w, temple),
        ]
    inner = smooth(
        [(-w + 1.5, side_y), (-0.95 * w, -0.2 * p.top), *middle, (0.95 * w, -0.2 * p.top), (w - 1.5, side_y)],
        40,
    )
    return outer, inner


def _combed(p, outer, inner, rng):
    """Strands (90, 8, 2) from the crown to the hairline, curved outwards."""
    tip = rng.integers(0, 40, 90)
    root = np.clip(20 + (tip - 20) * rng.uniform(0.55, 0.95, 90), 0, 39).astype(int)
    start, stop = outer[root], inner[tip]
    near = start + (stop - start) * rng.uniform(0, 0.3, (90, 1))
    far = start + (stop - start) * rng.uniform(0.7, 1, (90, 1))
    middle = (near + far) / 2 + (outer[tip] - inner[tip]) * 0.25
    return smooth(np.stack([near, middle, far], 1), 8)


def _strands(c, p, curves, rng, light):
    """Draw strands (K, N, 2) in shades of the hair color, a fraction of them gray."""
    grey = rng.random(len(curves)) < p.grey
    shade = rng.integers(0, 4, len(curves))
    width = 0.7
    for k, factor in enumerate((0.7, 0.86, 1.12, 1.3)):
        plain, silver = curves[(shade == k) & ~grey], curves[(shade == k) & grey]
        if len(plain):
            c.lines(plain, p.hair * factor * light + 4 * k, width)
        if len(silver):
            c.lines(silver, (0.75 * GREY + 0.25 * p.hair) * (0.74 + 0.09 * k) * light, width)


def _sides(c, p, rng):
    """Draw the remaining hair at the sides of a bald head."""
    w = p.width + 0.35 * p.volume
    side = smooth(
        [
            (w - 3, p.eye_y + 8),
            (w + 1.5, p.eye_y - 8),
            (w - 1, -0.38 * p.top),
            (w - 10, -0.66 * p.top),
            (0.86 * p.width, -0.36 * p.top),
            (0.95 * p.width, p.eye_y - 6),
            (w - 5, p.eye_y + 8),
        ]
    )
    for flip in (1, -1):
        c.fill(side * (flip, 1), _color(p))
        index = rng.integers(1, 10, 10)
        _strands(c, p, np.stack([side[index], side[-1 - index]], 1) * (flip, 1), rng, 1.0)


def _locks(c, p, rng):
    """Draw long hair that falls past the face in front of the ears."""
    w, low = p.width, p.long
    for flip in (1, -1):
        inside = w - rng.uniform(1, 7)
        lock = smooth(
            [
                (0.86 * w, -0.42 * p.top),
                (w + 1, -0.2 * p.top),
                (w + 8, 0.5 * low),
                (w + 9, low),
                (inside, low + 4),
                (inside - 1, 0.4 * p.chin),
                (0.95 * w, 0),
                (0.84 * w, -0.4 * p.top),
            ],
            30,
        )
        c.fill(lock * (flip, 1), _color(p) * 0.92)
        a, b = lock[1:14], lock[-2:-15:-1]
        curves = (a + (b - a) * rng.uniform(0.1, 0.9, (14, 1, 1))) * (flip, 1)
        _strands(c, p, curves, rng, 0.95)


def _bow(c, p, rng):
    x, y = rng.choice((-1, 1)) * 0.45 * p.width, -0.9 * p.top
    color = ((150, 90, 230), (90, 80, 220), (220, 140, 90), (120, 200, 240))[rng.integers(0, 4)]
    for side in (1, -1):
        c.fill([(x, y), (x + side * 13, y - 8), (x + side * 13, y + 8)], color)
    c.fill(ellipse(x, y, 3.6, 3.6, count=12), np.multiply(color, 0.8))
