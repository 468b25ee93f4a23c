"""Random images for the examples: digits in many styles, and colored shapes."""

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


def digits(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw digits, white on black as in MNIST.

    Returns
    -------
    images : uint8 array of shape (count, 28, 28)
    labels : int array of shape (count,)
        0 to 9
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, count)
    return np.stack([_digit(int(label), rng) for label in labels]), labels


def _digit(label, rng):
    canvas = np.zeros((56, 56), np.uint8)
    font, text, thickness = FONTS[rng.integers(len(FONTS))], str(label), int(rng.integers(2, 6))
    (width, height), _ = cv2.getTextSize(text, font, 1.5, thickness)
    cv2.putText(canvas, text, (28 - width // 2, 28 + height // 2), font, 1.5, 255, thickness, cv2.LINE_AA)
    matrix = cv2.getRotationMatrix2D((28, 28), float(rng.uniform(-15, 15)), float(rng.uniform(0.8, 1.2)))
    matrix[:, :2] += rng.normal(0, 0.08, (2, 2))
    matrix[:, 2] += rng.uniform(-4, 4, 2) - rng.normal(0, 0.5, 2)
    small = cv2.resize(cv2.warpAffine(canvas, matrix, (56, 56)), (28, 28), interpolation=cv2.INTER_AREA)
    return np.clip(small + rng.normal(0, 8, small.shape), 0, 255).astype(np.uint8)


def shapes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw colored shapes.

    Returns
    -------
    images : uint8 array of shape (count, 32, 32, 3), BGR
    labels : int array of shape (count,)
        Index of the shape, 0 to 4, plus 5 if its color is cool.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, count)
    return np.stack([_shape(int(label) % 5, label >= 5, rng) for label in labels]), labels


def _shape(index, cool, rng):
    image = np.full((32, 32, 3), rng.integers(60, 160), np.uint8)
    color = [int(rng.integers(0, 90)), int(rng.integers(0, 200)), int(rng.integers(170, 256))]
    color = color[::-1] if cool else color
    x, y = (int(v) for v in rng.integers(12, 21, 2))
    r = int(rng.integers(7, 11))
    if index == 0:
        cv2.circle(image, (x, y), r, color, -1, cv2.LINE_AA)
    elif index == 1:
        cv2.rectangle(image, (x - r, y - r), (x + r, y + r), color, -1)
    elif index == 2:
        corners = np.array([[x, y - r], [x - r, y + r], [x + r, y + r]], np.int32)
        cv2.fillPoly(image, [corners], color, cv2.LINE_AA)
    elif index == 3:
        cv2.circle(image, (x, y), r, color, 3, cv2.LINE_AA)
    else:
        cv2.line(image, (x - r, y - r), (x + r, y + r), color, 3, cv2.LINE_AA)
        cv2.line(image, (x - r, y + r), (x + r, y - r), color, 3, cv2.LINE_AA)
    return np.clip(image + rng.normal(0, 10, image.shape), 0, 255).astype(np.uint8)


def sizes(description: str, train: int = 5000, test: int = 1000) -> dict[str, int]:
    """Parse the command line of a make_data.py: the number of images for training and for testing."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--train", type=int, default=train, help="number of training images (default: %(default)s)")
    parser.add_argument("--test", type=int, default=test, help="number of test images (default: %(default)s)")
    args = parser.parse_args()
    return {"train": args.train, "test": args.test}
