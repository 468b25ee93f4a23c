"""Draw the background, the neck and the skin of the face with light and shade, on a canvas `c` for a person `p`."""

from __future__ import annotations

import cv2
import numpy as np

from agegender.synthetic_faces.canvas import OVER, SIZE, Canvas, ellipse, smooth
from agegender.synthetic_faces.traits import Traits


def canvas_for(p: Traits, rng: np.random.Generator) -> Canvas:
    """A Canvas with a background and a random pose of the head near the middle."""
    angle = np.clip(rng.normal(0, 4.5), -12, 12)
    scale = (1.08 + 0.1 * p.child) * rng.normal(1, 0.035)
    center = (SIZE / 2 + rng.normal(0, 3), SIZE / 2 + 3 - 2 * p.child + rng.normal(0, 3))
    radians = np.radians(angle)
    cos, sin = scale * np.cos(radians), scale * np.sin(radians)
    matrix = np.array([[cos, -sin, center[0]], [sin, cos, center[1]]])
    return Canvas(_background(rng), matrix, float(np.clip(rng.normal(0, 3.5), -9, 9)), p.width)


def _background(rng):
    small = _muted(rng, 16) + rng.normal(0, 14, (5, 5, 1)) + rng.normal(0, 6, (5, 5, 3))
    image = cv2.resize(small.astype(np.float32), (50, 50), interpolation=cv2.INTER_CUBIC)
    image = cv2.resize(np.clip(image, 0, 255), (SIZE * OVER, SIZE * OVER), interpolation=cv2.INTER_LINEAR)
    return image.astype(np.uint8)


def _muted(rng, tint):
    return rng.uniform(45, 215) + rng.normal(0, tint, 3)


def outline(p: Traits, grow: float = 0.0, count: int = 72) -> np.ndarray:
    """Outline of the face, (count, 2): one superellipse above the cheeks and another one below."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    cos, sin = np.cos(angle), np.sin(angle)
    power = np.where(sin > 0, p.jaw, 2.25)
    height = np.where(sin > 0, p.chin, p.top) + grow
    x = (p.width + grow) * np.sign(cos) * np.abs(cos) ** (2 / power)
    y = height * np.sign(sin) * np.abs(sin) ** (2 / power)
    return np.stack([x, y], 1)


def body(c: Canvas, p: Traits, rng: np.random.Generator) -> None:
    """Draw neck, shoulders and clothes."""
    half = (0.5 + 0.12 * p.male - 0.1 * p.child) * p.width
    shade = p.skin * 0.8
    c.fill([(-half, 10), (half, 10), (half * 1.1, 150), (-half * 1.1, 150)], shade)
    c.fill(ellipse(0, p.chin - 12, half * 1.02, 27, 0, 180), p.skin * 0.68)
    garment = _muted(rng, 30)
    y = p.chin + 17
    neck = smooth([(-half * 1.25, y - 6), (0, y + 12 + 10 * rng.random()), (half * 1.25, y - 6)], 12)
    sides = [(150, y + 32), (170, 190), (-170, 190), (-150, y + 32)]
    c.fill(
        np.concatenate(
            [
                neck,
                smooth([(half * 1.25, y - 6), (95, y + 10), (150, y + 32)], 8),
                sides,
                smooth([(-150, y + 32), (-95, y + 10), (-half * 1.25, y - 6)], 8),
            ]
        ),
        garment,
    )
    c.lines([neck], garment * 0.75, 1.6)


def ears(c: Canvas, p: Traits) -> None:
    """Draw both ears, larger with age."""
    size = 1 + 0.18 * p.old + 0.05 * p.child
    for side in (1, -1):
        x = side * (p.width - 0.5)
        c.fill(ellipse(x, p.eye_y + 12, 7.5 * size, 14 * size), p.skin * 0.93)
        c.lines([ellipse(x + side * 1.5, p.eye_y + 12, 4 * size, 9 * size, -70, 110)], p.skin * 0.76, 1.0)
        if p.earrings:
            c.fill(ellipse(x + side * 2, p.eye_y + 12 + 15 * size, 2.4, 2.4, count=12), (120, 205, 235))


def face(c: Canvas, p: Traits, rng: np.random.Generator) -> None:
    """Draw the skin, lit from one side, with eye sockets, blush and, with age, hollow cheeks and spots."""
    rim = c.mask(outline(p))
    tone = p.skin.astype(np.float32) * _shade(c, p, rng)[..., None]
    blush = (0.1 + 0.16 * p.child + 0.1 * p.makeup) * _cheeks(c, p)
    tone *= 1 - blush[..., None] * np.array((0.75, 0.7, -0.05), np.float32)
    c.paste(c.enlarge(np.clip(tone, 0, 255).astype(np.uint8)), rim)
    if p.old > 0.6:
        _spots(c, p, rng)


def _blob(x, y, x0, y0, sx, sy):
    return np.exp(-(((x - x0) / sx) ** 2) - ((y - y0) / sy) ** 2)


def _shade(c, p, rng):
    x, y = c.coarse_grid()
    height = np.where(y > 0, p.chin, p.top)
    rim = np.clip(((x - 0.7 * c.turn) / p.width) ** 2 + (y / height) ** 2, 0, 1.4)
    light = rng.normal(0, 0.12)
    shade = 1.05 - 0.2 * rim**2 + light * x / p.width - 0.05 * y / p.chin
    front = x - c.turn
    eye_x = 0.42 * p.width
    hollow = 0.07 + 0.1 * min(p.old, 1)
    for side in (1, -1):
        shade -= hollow * _blob(front, y, side * eye_x, p.eye_y - 2, 15, 9)
        shade -= 0.13 * p.wrinkles * _blob(front, y, side * eye_x, p.eye_y + 11, 11, 4)
        shade -= 0.15 * p.old * _blob(front, y, side * 0.62 * p.width, 0.42 * p.chin, 9, 17)
        shade += 0.05 * _blob(front, y, side * 0.5 * p.width, p.eye_y + 20, 13, 9)
    nose = nose_y(p)
    shade += 0.09 * _blob(front, y, 0, 0.5 * (p.eye_y + nose), 5, 20)
    shade -= 0.12 * _blob(front, y, -8.0 if light > 0 else 8.0, nose - 4, 5, 12)
    shade -= 0.1 * _blob(front, y, 0, nose + 6, 9, 4)
    shade -= 0.1 * _blob(front, y, 0, mouth_y(p) + 10, 12, 4)
    shade += 0.05 * _blob(front, y, 0, -0.55 * p.top, 24, 16)
    return shade.astype(np.float32)


def _cheeks(c, p):
    x, y = c.coarse_grid()
    cheek = p.eye_y + 24
    return _blob(x - c.turn, y, 0.55 * p.width, cheek, 15, 12) + _blob(x - c.turn, y, -0.55 * p.width, cheek, 15, 12)


def _spots(c, p, rng):
    for _ in range(rng.integers(0, 7)):
        side = rng.choice((-1, 1))
        x, y = side * rng.uniform(0.3, 0.8) * p.width, rng.uniform(-0.5 * p.top, 0.5 * p.chin)
        c.fill(c.front(ellipse(x, y, rng.uniform(1, 2.6), rng.uniform(1, 2.2), count=10)), p.skin * 0.86)


def nose_y(p: Traits) -> float:
    """y of the base of the nose."""
    return p.eye_y + (0.45 - 0.05 * p.child + 0.02 * p.old) * (p.chin - p.eye_y)


def mouth_y(p: Traits) -> float:
    """y of the line between the lips."""
    return p.eye_y + (0.69 - 0.02 * p.child + 0.01 * p.old) * (p.chin - p.eye_y)
