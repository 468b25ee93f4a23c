"""ResizeBilinear compared with its formula."""

import math

import numpy as np
import pytest
from support.reference import check_layer


@pytest.mark.parametrize(
    ("flag", "place"),
    [
        ("", lambda i, size, out: i * size / out),
        ("half_pixel_centers: true", lambda i, size, out: (i + 0.5) * size / out - 0.5),
        ("pytorch_half_pixel: true", lambda i, size, out: (i + 0.5) * size / out - 0.5),
        ("align_corners: true", lambda i, size, out: i * (size - 1) / (out - 1)),
    ],
)
@pytest.mark.parametrize("first", [1, 2])
def test_matches_the_formula(flag, place, first):
    def along(x, axis, out):
        size, parts = x.shape[axis], []
        for i in range(out):
            exact = place(i, size, out)
            low, share = math.floor(exact), exact - math.floor(exact)
            pair = [np.take(x, min(max(n, 0), size - 1), axis) for n in (low, math.ceil(exact))]
            parts.append((1 - share) * pair[0] + share * pair[1])
        return np.stack(parts, axis)

    x = np.random.default_rng(21).standard_normal((1, 3, 4, 2))
    layout = "NHWC" if first == 1 else "NCHW"
    text = f'resize_bilinear_param {{ output_height: 5 output_width: 7 data_format: "{layout}" {flag} }}'
    check_layer("ResizeBilinear", text, [x], lambda x: [along(along(x, first, 5), first + 1, 7)])
