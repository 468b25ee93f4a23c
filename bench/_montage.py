"""Pictures with aligned faces pasted in at known places, for measuring detectors: only numpy and OpenCV are needed."""

import os

import cv2
import numpy as np

WIDTH, HEIGHT = 1200, 900

# name: (side of the chip in pixels, what is done to it)
KINDS = {
    **{"%d px" % side: (side, {}) for side in (24, 32, 48, 64, 100, 200, 400)},
    **{"turned %d degrees" % angle: (100, {"angle": angle}) for angle in (15, 30, 45, 90)},
    "a fifth of the light": (100, {"light": 0.2}),
    "blurred": (100, {"blur": 4.0}),
    "grey": (100, {"grey": True}),
    "mirrored": (100, {"mirror": True}),
    "a quarter outside": (100, {"outside": 0.25}),
}


class Montage:
    """`picture` (uint8, BGR) and, a face, the 2x3 matrix that takes a point of its chip (0..1 across) into it."""

    def __init__(self, picture, places):
        self.picture, self.places = picture, places


def chips(folder, count, seed=1):
    """`count` pictures of a folder of aligned faces, drawn with `seed`."""
    names = sorted(name for name in os.listdir(folder) if name.lower().endswith((".jpg", ".png")))
    chosen = np.random.default_rng(seed).choice(len(names), count, replace=len(names) < count)
    return [cv2.imread(os.path.join(folder, names[i])) for i in chosen]


def montages(faces, side, changes, seed=1):
    """Yield Montages until every face has been shown once."""
    rng = np.random.default_rng(seed)
    changes = dict(changes)
    outside, light = changes.pop("outside", 0), changes.pop("light", 1)
    cell = int(1.6 * side) + 24
    rows, columns = max(1, HEIGHT // cell), max(1, WIDTH // cell)
    each = 4 if outside else min(rows * columns, 30)
    for at in range(0, len(faces), each):
        picture, places = background(rng), []
        cells = rng.permutation(rows * columns)
        for number, chip in enumerate(faces[at : at + each]):
            row, column = divmod(int(cells[number]), columns)
            centre = np.array([(column + 0.5) * WIDTH / columns, (row + 0.5) * HEIGHT / rows])
            centre += rng.uniform(-8, 8, 2)
            if outside:
                centre = beyond_an_edge(number, side, outside, rng)
            places.append(paste(picture, chip, centre, side, rng, **changes))
        yield Montage(picture if light == 1 else dimmed(picture, light, rng), places)


def background(rng):
    """Soft blobs of two sizes, some grain: nothing that has a face."""
    picture = np.full((HEIGHT, WIDTH, 3), 128.0, np.float32)
    for cells, strength in ((6, 60), (40, 25)):
        noise = rng.normal(0, strength, (cells * 3 // 4, cells, 3)).astype(np.float32)
        picture += cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


def dimmed(picture, light, rng):
    """The picture with a share of its light and the grain of a sensor."""
    dark = picture * np.float32(light) + rng.normal(0, 2, picture.shape)
    return np.clip(dark, 0, 255).astype(np.uint8)


def beyond_an_edge(number, side, share, rng):
    """A centre for which `share` of a chip lies outside the left, right or lower edge, or the left one again, lower down."""
    inside = side * (0.5 - share)
    across, along = rng.uniform(0.3, 0.7) * WIDTH, HEIGHT * (0.2 + 0.2 * number)
    return np.array([(inside, along), (WIDTH - inside, along), (across, HEIGHT - inside), (inside, along)][number])


def paste(picture, chip, centre, side, rng, angle=0, blur=0.0, grey=False, mirror=False):
    """Put `chip` into `picture`, turned by `angle` degrees this way or that, and return its matrix."""
    if mirror:
        chip = chip[:, ::-1]
    if grey:
        chip = cv2.cvtColor(cv2.cvtColor(chip, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    chip = cv2.resize(np.ascontiguousarray(chip), (side, side), interpolation=cv2.INTER_AREA)
    if blur:
        chip = cv2.GaussianBlur(chip, (0, 0), blur)
    turn = np.deg2rad(angle if rng.integers(2) else -angle)
    cosine, sine = np.cos(turn), np.sin(turn)
    linear = np.array([[cosine, -sine], [sine, cosine]])
    matrix = np.c_[linear, centre - linear @ [side / 2, side / 2]]
    size = picture.shape[1::-1]
    warped = cv2.warpAffine(chip, matrix, size, flags=cv2.INTER_LINEAR)
    mask = cv2.warpAffine(np.full((side, side), 255, np.uint8), matrix, size) > 127
    picture[mask] = warped[mask]
    return np.c_[matrix[:, :2] * side, matrix[:, 2]]
