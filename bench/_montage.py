"""Images with aligned faces pasted at known positions, for evaluating detectors; needs only numpy and OpenCV."""

import os

import cv2
import numpy as np

WIDTH, HEIGHT = 1200, 900

# name: (size of the face chip in pixels, its changes)
KINDS = {
    **{f"{side} px": (side, {}) for side in (24, 32, 48, 64, 100, 200, 400)},
    **{f"rotated by {angle} degrees": (100, {"angle": angle}) for angle in (15, 30, 45, 90)},
    "20 % brightness": (100, {"light": 0.2}),
    "blurred": (100, {"blur": 4.0}),
    "gray": (100, {"gray": True}),
    "mirrored": (100, {"mirror": True}),
    "25 % outside the image": (100, {"outside": 0.25}),
}


class Montage:
    """An image (uint8, BGR) and, per face, the 2x3 matrix from chip coordinates (0..1) to image coordinates."""

    def __init__(self, image, matrices):
        self.image, self.matrices = image, matrices


def chips(folder, count, seed=1):
    """Read `count` random images of a folder of aligned faces."""
    names = sorted(name for name in os.listdir(folder) if name.lower().endswith((".jpg", ".png")))
    indices = np.random.default_rng(seed).choice(len(names), count, replace=len(names) < count)
    return [cv2.imread(os.path.join(folder, names[i])) for i in indices]


def montages(faces, side, changes, seed=1):
    """Yield Montages that together contain every face once."""
    rng = np.random.default_rng(seed)
    changes = dict(changes)
    outside, light = changes.pop("outside", 0), changes.pop("light", 1)
    cell = int(1.6 * side) + 24
    rows, columns = max(1, HEIGHT // cell), max(1, WIDTH // cell)
    per_image = 4 if outside else min(rows * columns, 30)
    for start in range(0, len(faces), per_image):
        image, matrices = background(rng), []
        cells = rng.permutation(rows * columns)
        for number, chip in enumerate(faces[start : start + per_image]):
            row, column = divmod(int(cells[number]), columns)
            centre = np.array([(column + 0.5) * WIDTH / columns, (row + 0.5) * HEIGHT / rows])
            centre += rng.uniform(-8, 8, 2)
            if outside:
                centre = centre_at_edge(number, side, outside, rng)
            matrices.append(paste(image, chip, centre, side, rng, **changes))
        yield Montage(image if light == 1 else dim(image, light, rng), matrices)


def background(rng):
    """Return a background of smooth noise at two scales and grain, without faces."""
    image = np.full((HEIGHT, WIDTH, 3), 128.0, np.float32)
    for cells, strength in ((6, 60), (40, 25)):
        noise = rng.normal(0, strength, (cells * 3 // 4, cells, 3)).astype(np.float32)
        image += cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


def dim(image, light, rng):
    """Return the image with a fraction of its brightness and sensor noise."""
    dark = image * np.float32(light) + rng.normal(0, 2, image.shape)
    return np.clip(dark, 0, 255).astype(np.uint8)


def centre_at_edge(number, side, fraction, rng):
    """Return a centre for which `fraction` of a chip is outside the left, right, bottom or left edge."""
    inside = side * (0.5 - fraction)
    across, along = rng.uniform(0.3, 0.7) * WIDTH, HEIGHT * (0.2 + 0.2 * number)
    return np.array([(inside, along), (WIDTH - inside, along), (across, HEIGHT - inside), (inside, along)][number])


def paste(image, chip, centre, side, rng, angle=0, blur=0.0, gray=False, mirror=False):
    """Paste `chip` into `image`, rotated by plus or minus `angle` degrees, and return its matrix."""
    if mirror:
        chip = chip[:, ::-1]
    if gray:
        chip = cv2.cvtColor(cv2.cvtColor(chip, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    chip = cv2.resize(np.ascontiguousarray(chip), (side, side), interpolation=cv2.INTER_AREA)
    if blur:
        chip = cv2.GaussianBlur(chip, (0, 0), blur)
    rotation = np.deg2rad(angle if rng.integers(2) else -angle)
    cosine, sine = np.cos(rotation), np.sin(rotation)
    linear = np.array([[cosine, -sine], [sine, cosine]])
    matrix = np.c_[linear, centre - linear @ [side / 2, side / 2]]
    size = image.shape[1::-1]
    warped = cv2.warpAffine(chip, matrix, size, flags=cv2.INTER_LINEAR)
    mask = cv2.warpAffine(np.full((side, side), 255, np.uint8), matrix, size) > 127
    image[mask] = warped[mask]
    return np.c_[matrix[:, :2] * side, matrix[:, 2]]
