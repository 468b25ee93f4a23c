"""Pictures that the examples learn from, drawn by a seeded program: digits of many hands, and coloured shapes."""

from __future__ import annotations

import argparse

import cv2
import numpy as np

FONTS = [
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
]


def digits(count, seed):
    """(pictures, labels): uint8 count x 28 x 28, white on black as MNIST's, and the digits 0 to 9."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, count)
    return np.stack([_digit(int(label), rng) for label in labels]), labels


def _digit(label, rng):
    canvas = np.zeros((56, 56), np.uint8)
    font, text, thickness = FONTS[rng.integers(len(FONTS))], str(label), int(rng.integers(2, 6))
    (width, height), _ = cv2.getTextSize(text, font, 1.5, thickness)
    cv2.putText(canvas, text, (28 - width // 2, 28 + height // 2), font, 1.5, 255, thickness, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((28, 28), float(rng.uniform(-15, 15)), float(rng.uniform(0.8, 1.2)))
    turn[:, :2] += rng.normal(0, 0.08, (2, 2))
    turn[:, 2] += rng.uniform(-4, 4, 2) - rng.normal(0, 0.5, 2)
    small = cv2.resize(cv2.warpAffine(canvas, turn, (56, 56)), (28, 28), interpolation=cv2.INTER_AREA)
    return np.clip(small + rng.normal(0, 8, small.shape), 0, 255).astype(np.uint8)


def shapes(count, seed):
    """(pictures, labels): uint8 count x 32 x 32 x 3 (BGR); label = shape (5) + 5 where its colour is cool."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, count)
    return np.stack([_shape(int(label) % 5, label >= 5, rng) for label in labels]), labels


def _shape(kind, cool, rng):
    picture = np.full((32, 32, 3), rng.integers(60, 160), np.uint8)
    colour = [int(rng.integers(0, 90)), int(rng.integers(0, 200)), int(rng.integers(170, 256))]
    colour = colour[::-1] if cool else colour
    x, y = (int(v) for v in rng.integers(12, 21, 2))
    r = int(rng.integers(7, 11))
    if kind == 0:
        cv2.circle(picture, (x, y), r, colour, -1, cv2.LINE_AA)
    elif kind == 1:
        cv2.rectangle(picture, (x - r, y - r), (x + r, y + r), colour, -1)
    elif kind == 2:
        corners = np.array([[x, y - r], [x - r, y + r], [x + r, y + r]], np.int32)
        cv2.fillPoly(picture, [corners], colour, cv2.LINE_AA)
    elif kind == 3:
        cv2.circle(picture, (x, y), r, colour, 3, cv2.LINE_AA)
    else:
        cv2.line(picture, (x - r, y - r), (x + r, y + r), colour, 3, cv2.LINE_AA)
        cv2.line(picture, (x - r, y + r), (x + r, y - r), colour, 3, cv2.LINE_AA)
    return np.clip(picture + rng.normal(0, 10, picture.shape), 0, 255).astype(np.uint8)


def sizes(description, train=5000, test=1000):
    """Parse the command line of a make_data.py: how many pictures to draw for training and for the test."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--train", type=int, default=train, help="training pictures (default: %(default)s)")
    parser.add_argument("--test", type=int, default=test, help="test pictures (default: %(default)s)")
    args = parser.parse_args()
    return {"train": args.train, "test": args.test}
