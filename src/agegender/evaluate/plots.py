"""The matrix and the worst mistakes as pictures."""

from __future__ import annotations

import cv2
import numpy as np

from caffe.utils import atomic_io

TILE = 150  # side of a face on the sheet of mistakes
CAPTION = 40
COLUMNS = 5


def draw_matrix(path, matrix, names, title):
    """A PNG of the matrix: counts, shaded by the share of the true class."""
    from matplotlib.figure import Figure

    matrix = np.asarray(matrix)
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    side = 2.4 + 0.62 * len(names)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    shade = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(shade, ax=axes, shrink=0.8, label="share of the true class")
    for (row, column), value in np.ndenumerate(matrix):
        colour = "white" if shares[row, column] > 0.55 else "black"
        axes.text(column, row, "%i" % value, ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(len(names)), names, rotation=45 if len(names) > 4 else 0)
    axes.set_yticks(range(len(names)), names)
    right, total = np.trace(matrix), matrix.sum()
    axes.set(xlabel="predicted", ylabel="actual")
    axes.set_title("%s: %.1f %% (%i/%i)" % (title, 100 * right / max(total, 1), right, total))
    with atomic_io.atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})


def pictures_of(database, backend, keys):
    """{key: HxWx3 uint8 BGR} of the records with these keys."""
    from caffe.data import datum
    from caffe.data.db import open_db

    wanted, found = set(keys), {}
    with open_db(database, backend) as records:
        for key, value in records:
            if bytes(key) in wanted:
                found[bytes(key)] = _picture(datum.decode(value)[0])
                if len(found) == len(wanted):
                    break
    return found


def draw_mistakes(path, pictures, mistakes, scores, names):
    """A PNG of the faces most confidently misjudged, each with the truth, the answer and its probability."""
    tiles = []
    for index in mistakes:
        predicted = int(scores.predicted[index])
        said = f"said {names[predicted]}, {100 * scores.probabilities[index, predicted]:.0f} %"
        tiles.append(_tile(pictures.get(scores.keys[index]), f"is {names[scores.truth[index]]}", said))
    if not tiles:
        tiles = [_tile(None, "no mistake", "")]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % min(COLUMNS, len(tiles)))
    columns = min(COLUMNS, len(tiles))
    rows = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    atomic_io.write_bytes(path, cv2.imencode(".png", np.vstack(rows))[1].tobytes())


def _picture(planes):
    planes = np.clip(np.asarray(planes), 0, 255).astype(np.uint8)
    planes = planes if len(planes) == 3 else planes[:1].repeat(3, 0)
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def _tile(picture, *lines):
    tile = np.full((TILE + CAPTION, TILE, 3), 255, np.uint8)
    if picture is not None:
        tile[:TILE, 3:-3] = cv2.resize(picture, (TILE - 6, TILE), interpolation=cv2.INTER_AREA)
    for k, line in enumerate(lines):
        at = (5, TILE + 15 + 17 * k)
        cv2.putText(tile, line, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (40, 40, 40), 1, cv2.LINE_AA)
    return tile
