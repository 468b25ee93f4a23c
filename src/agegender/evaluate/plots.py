"""Figures of a report: the confusion matrix and the worst mistakes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from agegender.evaluate.predictions import Predictions
from caffe.utils import atomic_io

TILE = 150  # side of a face, in pixels
CAPTION = 40
COLUMNS = 5


def draw_matrix(path: str, matrix: np.ndarray, names: Sequence[str], title: str) -> None:
    """Write a PNG of the confusion matrix: counts, shaded by the fraction of the true class."""
    from matplotlib.figure import Figure

    matrix = np.asarray(matrix)
    fractions = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    side = 2.4 + 0.62 * len(names)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    shade = axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(shade, ax=axes, shrink=0.8, label="fraction of the true class")
    for (row, column), value in np.ndenumerate(matrix):
        colour = "white" if fractions[row, column] > 0.55 else "black"
        axes.text(column, row, f"{value}", ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(len(names)), names, rotation=45 if len(names) > 4 else 0)
    axes.set_yticks(range(len(names)), names)
    correct, total = np.trace(matrix), matrix.sum()
    axes.set(xlabel="predicted", ylabel="actual")
    axes.set_title(f"{title}: {100 * correct / max(total, 1):.1f} % ({correct}/{total})")
    with atomic_io.atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})


def draw_reliability(path: str, rows: Sequence[dict[str, float]], title: str) -> None:
    """Write a PNG of the reliability diagram: accuracy over confidence, with the number of faces of each bin."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--")
    confidence, accuracy = ([row[name] for row in rows] for name in ("confidence", "accuracy"))
    axes.plot(confidence, accuracy, marker="o")
    for row in rows:
        axes.annotate(
            f"{row['faces']}", (row["confidence"], row["accuracy"]), (4, -12), textcoords="offset points", fontsize=8
        )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability of the predicted class", ylabel="fraction right")
    axes.set_title(title)
    with atomic_io.atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})


def images_of(database: str, backend: str, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
    """Return {key: (H, W, 3) uint8 BGR image} of the records with these keys."""
    from caffe.data import datum
    from caffe.data.db import open_db

    remaining, images = set(keys), {}
    with open_db(database, backend) as records:
        for key, value in records:
            if not remaining:
                break
            if bytes(key) in remaining:
                remaining.remove(bytes(key))
                images[bytes(key)] = _image(datum.decode(value)[0])
    return images


def draw_mistakes(
    path: str, images: dict[bytes, np.ndarray], mistakes: Sequence[int], predictions: Predictions, names: Sequence[str]
) -> None:
    """Write a PNG of the most confident mistakes, each with true class, predicted class and probability."""
    tiles = []
    for index in mistakes:
        predicted = int(predictions.predicted[index])
        caption = f"predicted {names[predicted]}, {100 * predictions.probabilities[index, predicted]:.0f} %"
        tiles.append(_tile(images.get(predictions.keys[index]), f"true {names[predictions.truth[index]]}", caption))
    if not tiles:
        tiles = [_tile(None, "no mistake", "")]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % min(COLUMNS, len(tiles)))
    columns = min(COLUMNS, len(tiles))
    rows = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    atomic_io.write_bytes(path, cv2.imencode(".png", np.vstack(rows))[1].tobytes())


def _image(planes: np.ndarray) -> np.ndarray:
    planes = np.clip(np.asarray(planes), 0, 255).astype(np.uint8)
    planes = planes if len(planes) == 3 else planes[:1].repeat(3, 0)
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def _tile(image: np.ndarray | None, *lines: str) -> np.ndarray:
    tile = np.full((TILE + CAPTION, TILE, 3), 255, np.uint8)
    if image is not None:
        tile[:TILE, 3:-3] = cv2.resize(image, (TILE - 6, TILE), interpolation=cv2.INTER_AREA)
    for k, line in enumerate(lines):
        position = (5, TILE + 15 + 17 * k)
        cv2.putText(tile, line, position, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (40, 40, 40), 1, cv2.LINE_AA)
    return tile
