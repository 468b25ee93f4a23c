"""Draw eyes, brows, nose, mouth, wrinkles, beard and glasses on a canvas `c` for a person `p`."""

from __future__ import annotations

import cv2
import numpy as np

from agegender.synthetic_faces.canvas import COARSE, OVER, SIZE, Canvas, ellipse, mirrored, smooth
from agegender.synthetic_faces.head import mouth_y, nose_y
from agegender.synthetic_faces.traits import GREY, Traits


def eyes(c: Canvas, p: Traits, rng: np.random.Generator) -> None:
    """Draw both eyes: whites and irises inside the lids, then lids, lashes and bags."""
    x, half = 0.43 * p.width, 10.9 * p.eye_size**0.75
    height = (5.0 - 1.1 * p.old) * p.eye_size**1.5 * (1 - 0.12 * max(p.smile, 0)) * rng.uniform(0.85, 1.1)
    slant = rng.normal(1.0, 0.9) - 1.4 * p.old
    gaze = rng.normal(0, 0.9)
    layer = c.pixels.copy()
    opening = np.zeros(c.pixels.shape[:2], np.uint8)
    for side in (1, -1):
        upper, lower = _lids(half, height, slant)
        shape = np.concatenate([upper, lower[::-1]]) + np.array((x, p.eye_y))
        shape = shape if side == 1 else mirrored(shape)
        shape = c.front(shape)
        c.fill(shape, (255,), opening)
        c.fill(shape, (226, 230, 234), layer)
        _iris(c, p, layer, side * x + gaze, height, half)
    c.paste(layer, opening)
    dark = 0.35 * p.skin * (1 - 0.5 * p.lashes)
    for side in (1, -1):
        upper, lower = (curve + (x, p.eye_y) for curve in _lids(half, height, slant))
        curves = [upper, lower, upper * (1, 1) + (0, -2.8 - 1.2 * p.old)]
        curves = curves if side == 1 else [mirrored(curve) for curve in curves]
        c.lines([c.front(curves[0])], dark, 1.1 + 1.5 * p.lashes)
        c.lines([c.front(curves[1])], 0.7 * p.skin, 0.7 + 0.6 * p.makeup)
        c.lines([c.front(curves[2])], (0.84 - 0.08 * p.makeup) * p.skin, 0.9)
        if p.lashes > 0.45:
            _lashes(c, upper if side == 1 else mirrored(upper), side, dark, p.lashes)


def _lids(half, height, slant):
    t = np.linspace(-1, 1, 17)
    tilt = -slant * t
    upper = np.stack([half * t, -height * (1 - t**2) ** 0.75 + tilt], 1)
    lower = np.stack([half * t, 0.8 * height * (1 - t**2) ** 0.9 + tilt], 1)
    return upper, lower


def _iris(c, p, layer, x, height, half):
    radius = max(0.47 * half, 0.98 * height)
    for size, color in (
        (radius, np.multiply(p.iris, 0.55)),
        (0.86 * radius, p.iris),
        (0.45 * radius, (12, 12, 12)),
    ):
        c.fill(c.front(ellipse(x, p.eye_y - 0.4, size, size, count=22)), color, layer)
    highlight = ellipse(x + 0.35 * radius, p.eye_y - 0.4 * radius - 0.4, 0.2 * radius, 0.2 * radius, count=10)
    c.fill(c.front(highlight), (250, 250, 250), layer)


def _lashes(c, upper, side, color, length):
    curves = []
    for index in (9, 11, 13, 15):
        start = upper[index]
        direction = np.array((side * 0.9, -1.0)) * (2.0 + 2.0 * length)
        curves.append(c.front([start, start + direction * (0.6 + 0.03 * index)]))
    c.lines(curves, color, 0.8)


def brows(c: Canvas, p: Traits, rng: np.random.Generator) -> None:
    """Draw both brows, bushy or thin, gray with age."""
    x, y = 0.43 * p.width, p.eye_y - 11.5 - 1.2 * p.eye_size + 1.5 * p.male
    grey = 0.7 * p.grey
    color = (p.hair * 0.9 + 14) * (1 - grey) + GREY * 0.85 * grey
    if p.child > 0.6 or p.brow < 0.6:
        color = color * 0.55 + p.skin * 0.4
    arch, thick = 3.4 - 2.2 * p.male + rng.normal(0, 0.7), 3.1 * p.brow
    t = np.linspace(-1, 1, 13)
    ridge = np.stack([11.5 * t, -arch * (1 - (t - 0.25) ** 2) + 1.6 * t**2], 1)
    body = thick * (0.9 - 0.55 * np.clip(t, 0, 1) - 0.3 * np.clip(-t - 0.6, 0, 1))
    shape = np.concatenate([ridge - np.stack([0 * t, body / 2], 1), (ridge + np.stack([0 * t, body / 2], 1))[::-1]])
    for side in (1, -1):
        placed = shape * (side, 1) + (side * x, y)
        c.fill(c.front(placed), color)
        hairs = []
        for _ in range(9):
            index = rng.integers(0, 11)
            start = ridge[index] * (side, 1) + (side * x, y + rng.uniform(-0.5, 0.5) * body[index])
            hairs.append(c.front([start, start + (side * 3.2, -1.2 - 0.5 * p.brow)]))
        c.lines(hairs, color * 0.8, 0.5)


def nose(c: Canvas, p: Traits) -> None:
    """Draw the nostrils and their edges, the tip and the shadow of the bridge."""
    y, size = nose_y(p), 8.6 * p.nose
    shadow = 0.72 * p.skin
    nostril = smooth([(size * 0.72, y - 6), (size * 1.02, y - 2), (size * 0.75, y + 1.6)], 10)
    c.lines([c.front(curve) for curve in (nostril, mirrored(nostril))], shadow, 1.1)
    tip = smooth([(-size * 0.55, y + 1.8), (0, y + 3.2), (size * 0.55, y + 1.8)], 10)
    c.lines([c.front(tip)], 0.78 * p.skin, 1.0)
    for side in (1, -1):
        c.fill(c.front(ellipse(side * size * 0.44, y + 0.8, 2.1 * p.nose, 1.2 * p.nose, count=12)), 0.45 * p.skin)
    bridge = smooth([(5.2, p.eye_y - 4), (3.6, p.eye_y + 6), (4.6, y - 9)], 10)
    c.lines([c.front(bridge if c.turn < 0 else mirrored(bridge))], 0.9 * p.skin, 1.2)


def mouth(c: Canvas, p: Traits, rng: np.random.Generator) -> None:
    """Draw both lips and the line between them, sometimes with teeth."""
    y, half = mouth_y(p), (15.5 - 3.4 * p.child + 1.2 * p.smile + 0.8 * p.male) * rng.normal(1, 0.05)
    lift, full = 3.2 * p.smile, 3.9 * p.lips
    red = np.array((82, 72, 176)) * 0.45 + p.skin * 0.5
    color = p.skin * (0.86, 0.78, 0.92) * (1 - p.lip_red) + np.minimum(red, 235) * p.lip_red
    corner = (float(half), float(y - lift))
    line = smooth(
        [
            mirrored([corner])[0],
            (-half * 0.4, y + 0.3),
            (0, y + 0.6 + 0.2 * lift),
            (half * 0.4, y + 0.3),
            corner,
        ]
    )
    upper = smooth(
        [
            corner,
            (half * 0.5, y - full * 0.78 - 0.4 * lift),
            (2.6, y - full),
            (0, y - full * 0.75),
            (-2.6, y - full),
            (-half * 0.5, y - full * 0.78 - 0.4 * lift),
            (-half, y - lift),
        ]
    )
    gap = max(0.0, p.smile - 0.45) * 9 * (rng.random() < 0.7)
    inner = smooth(
        [
            corner,
            (half * 0.5, y + 0.3 + 0.8 * gap),
            (0, y + 0.6 + gap),
            (-half * 0.5, y + 0.3 + 0.8 * gap),
            (-half, y - lift),
        ]
    )
    lower = smooth(
        [
            (-half, y - lift),
            (-half * 0.55, y + full + 0.75 * gap),
            (0, y + full * 1.35 + gap),
            (half * 0.55, y + full + 0.75 * gap),
            corner,
        ]
    )
    c.fill(c.front(np.concatenate([line, upper])), color * 0.92)
    c.fill(c.front(np.concatenate([lower, inner])), color)
    if gap > 1:
        c.fill(c.front(np.concatenate([line, inner])), (226, 232, 238) if p.age > 1 else (70, 60, 140))
    c.lines([c.front(line)], 0.5 * color, 1.0)
    shine = smooth([(-3.5, y + full * 0.75 + gap), (0, y + full * 0.85 + gap), (3.5, y + full * 0.75 + gap)], 8)
    c.lines([c.front(shine)], np.minimum(color * 1.12 + 6, 255), 0.9)


def wrinkles(c: Canvas, p: Traits, rng: np.random.Generator) -> None:
    """Draw lines on the forehead and around eyes, cheeks and mouth, deeper with age."""
    w = p.wrinkles
    if w < 0.08:
        return
    color = p.skin * (1 - 0.3 * min(w, 1))
    faint = p.skin * (1 - 0.2 * min(w, 1))
    curves = []
    top, bottom = -0.83 * p.top, p.eye_y - 21
    for k in range(int(round(1 + 3.2 * w + rng.normal(0, 0.5)))):
        y, reach = bottom + (top - bottom) * (k + 0.5) / 4.6, p.width * rng.uniform(0.3, 0.56)
        curves.append(
            smooth([(-reach, y + 2), (-reach / 2, y + rng.normal(0, 0.7)), (reach / 3, y - 0.6), (reach, y + 2)])
        )
    c.lines([c.front(curve) for curve in curves], faint, 0.7 + 0.6 * w)
    eye, y = 0.43 * p.width, p.eye_y
    for side in (1, -1):
        feet = [np.array([(eye + 12, y + 2 * k), (eye + 15 + 4 * w, y + 5.0 * k)]) for k in (-1, 0, 1, 2)][
            : 2 + int(2.4 * w)
        ]
        bag = ellipse(eye, y + 6.5, 9.5, 4.2 + 1.5 * w, 25, 155, 12)
        fold = smooth(
            [
                (9.8 * p.nose, nose_y(p) - 3),
                (15, nose_y(p) + 6),
                (18.5, mouth_y(p) - 1),
                (18, mouth_y(p) + 3 + 4 * w),
            ]
        )
        chin = smooth([(16, mouth_y(p) + 3), (17, mouth_y(p) + 8), (15.5, mouth_y(p) + 8 + 6 * w)], 8)
        sided = [c.front(curve * (side, 1)) for curve in [*feet, bag]]
        c.lines(sided, faint, 0.6 + 0.5 * w)
        c.lines([c.front(fold * (side, 1))], color, 0.8 + 0.9 * w)
        if w > 0.5:
            c.lines([c.front(chin * (side, 1))], color, 0.7 + 0.5 * w)


def beard(c: Canvas, p: Traits, rng: np.random.Generator) -> None:
    """Draw stubble as a grainy shadow, beard and moustache as hair."""
    if p.stubble + p.beard + p.moustache < 0.08:
        return
    x, y = c.coarse_grid()
    x = x - c.turn * 0.8
    lips, nose = mouth_y(p), nose_y(p)
    rho = (np.abs(x) / p.width) ** p.jaw + (np.clip(y, 0, None) / p.chin) ** p.jaw
    cheek = 0.35 * p.chin + 0.5 * np.abs(x) * (y < lips)
    area = _step(rho, 0.32, 0.55) * _step(y, nose - 6 + 0.0 * cheek, nose + 8) * (rho < 1.02)
    mouth = np.exp(-((x / 17) ** 4) - ((y - lips - 0.5) / 5.5) ** 4)
    lip = np.exp(-((x / 17) ** 4) - ((y - (lips + nose) / 2 - 0.5) / 4.6) ** 4)
    chin = _step(y, lips + 5, lips + 10) * (rho < 1.02)
    whiskers = np.clip(np.maximum(area, chin) - mouth, 0, 1)
    noise = np.frombuffer(rng.bytes((SIZE * OVER) ** 2), np.uint8).reshape(SIZE * OVER, SIZE * OVER)
    grain = cv2.GaussianBlur(noise, (3, 3), 0).astype(np.float32) / 255
    color = p.hair * (1 - 0.9 * p.grey) + GREY * 0.85 * 0.9 * p.grey
    shadow = 0.36 * p.stubble * np.maximum(whiskers, lip * 0.8)
    c.blend(color * 0.7 + p.skin * 0.2, c.enlarge(shadow.astype(np.float32)) * (0.55 + 0.9 * grain))
    hairy = np.maximum(p.beard * whiskers, p.moustache * lip * 1.1)
    if hairy.max() > 0.1:
        c.blend(color, np.clip(c.enlarge(hairy.astype(np.float32)) * (0.45 + 1.1 * grain), 0, 0.97))


def _step(value, low, high):
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def glasses(c: Canvas, p: Traits, rng: np.random.Generator) -> None:
    """Draw round or square glasses."""
    x, y = 0.43 * p.width, p.eye_y + 1
    color = ((30, 28, 28), (40, 50, 90), (120, 120, 125))[rng.integers(0, 3)]
    power, width = rng.choice((2.0, 3.6)), rng.uniform(0.9, 1.9)
    angle = np.linspace(0, 2 * np.pi, 33)
    cos, sin = np.cos(angle), np.sin(angle)
    rim = np.stack(
        [15.5 * np.sign(cos) * np.abs(cos) ** (2 / power), 11.5 * np.sign(sin) * np.abs(sin) ** (2 / power)],
        1,
    )
    curves = [rim + (x, y), rim + (-x, y), smooth([(-x + 15, y - 2), (0, y - 5), (x - 15, y - 2)], 8)]
    curves += [np.array([(side * (x + 15), y - 3), (side * (p.width - 1), y - 4)]) for side in (1, -1)]
    c.lines([c.front(curve) for curve in curves], color, width)


def camera_effects(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add the effects of a camera to a uint8 BGR image: exposure, color cast, shading, a little blur, noise."""
    image = image.astype(np.float32)
    image *= rng.normal(1, 0.07) * rng.normal(1, 0.02, 3).astype(np.float32)
    u = np.linspace(-1, 1, COARSE // 4, dtype=np.float32)
    shading = 1 + rng.normal(0, 0.07) * u[None, :] + rng.normal(0, 0.05) * u[:, None]
    image *= cv2.resize(shading, (SIZE, SIZE))[..., None]
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.9))
    image += rng.standard_normal((SIZE, SIZE, 1), dtype=np.float32) * np.float32(rng.uniform(1, 5))
    return np.clip(image, 0, 255).astype(np.uint8)
