"""Interp compared with bilinear interpolation between corners, and its sizes."""

import numpy as np
import pytest
from support.reference import build_error, check_layer, one_layer_net


def interpolated(x, rows, columns):
    y = np.zeros((*x.shape[:2], rows, columns))
    for i, j in np.ndindex(rows, columns):
        a = i * (x.shape[2] - 1) / (rows - 1) if rows > 1 else 0
        b = j * (x.shape[3] - 1) / (columns - 1) if columns > 1 else 0
        top, left = int(a), int(b)
        down, right = min(top + 1, x.shape[2] - 1), min(left + 1, x.shape[3] - 1)
        p, q = a - top, b - left
        y[:, :, i, j] = (1 - p) * ((1 - q) * x[:, :, top, left] + q * x[:, :, top, right]) + p * (
            (1 - q) * x[:, :, down, left] + q * x[:, :, down, right]
        )
    return [y]


X = np.random.default_rng(8).standard_normal((1, 2, 3, 4))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("height: 5 width: 7", (5, 7)),
        ("zoom_factor: 2", (5, 7)),
        ("shrink_factor: 2", (2, 2)),
        ("height: 1 width: 1", (1, 1)),
    ],
)
def test_matches_the_definition(text, size):
    check_layer("Interp", f"interp_param {{ {text} }}", [X], lambda x: interpolated(x, *size))


def test_negative_padding_crops_first():
    text = "interp_param { height: 4 width: 4 pad_beg: -1 pad_end: 0 }"
    check_layer("Interp", text, [X], lambda x: interpolated(x[:, :, 1:, 1:], 4, 4))


def test_second_bottom_sets_the_size():
    assert one_layer_net("Interp", "", [(1, 2, 3, 4), (1, 1, 6, 5)]).blobs["y0"].data.shape == (1, 2, 6, 5)


def test_size_is_required():
    assert "zoom_factor" in build_error("Interp", "interp_param { height: 4 }", [(1, 2, 3, 4)])
