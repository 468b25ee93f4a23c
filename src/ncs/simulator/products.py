"""Matrix products, convolutions and poolings that accumulate in float32 or, as a bound, in FP16."""

from __future__ import annotations

from typing import Sequence  # noqa: UP035 - Python 3.7 on the device

import numpy as np

MAX_COLUMN_ELEMENTS = 1 << 24  # of the unfolded input at a time
MAX_PADDED_ELEMENTS = 1 << 28  # more than the memory of a stick


def matmul(weights: np.ndarray, values: np.ndarray, half: bool = False) -> np.ndarray:
    """Multiply (O, K) by (K, P) in float32; `half` rounds every product and partial sum to FP16."""
    if not half:
        return weights @ values
    total = np.zeros((len(weights), values.shape[1]), np.float16)
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(weights.shape[1]):
            product = (weights[:, k, None] * values[None, k]).astype(np.float16)
            total = (total.astype(np.float32) + product).astype(np.float16)
    return total.astype(np.float32)


def convolve(
    image: np.ndarray,
    weights: np.ndarray,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    size: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
    half: bool = False,
) -> np.ndarray:
    """Convolve a padded (C, H, W) image with (O, C·kh·kw) weights to (O, *size); all sizes are (height, width)."""
    rows = max(1, MAX_COLUMN_ELEMENTS // max(1, weights.shape[1] * size[1]))
    parts = []
    for begin in range(0, size[0], rows):
        count = min(rows, size[0] - begin)
        columns = unfold(image[:, begin * stride[0] :], kernel, stride, (count, size[1]), dilation)
        parts.append(matmul(weights, columns, half).reshape(-1, count, size[1]))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, 1)


def unfold(
    image: np.ndarray,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    size: tuple[int, int],
    dilation: tuple[int, int],
) -> np.ndarray:
    """Unfold (C, H, W) to (C·kh·kw, oh·ow), like im2col."""
    windows = view_windows(image, kernel, stride, size, dilation)
    return windows.reshape(len(image) * kernel[0] * kernel[1], size[0] * size[1])


def view_windows(
    image: np.ndarray,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    size: tuple[int, int],
    dilation: tuple[int, int],
) -> np.ndarray:
    """Return the windows of a (C, H, W) image as a (C, kh, kw, oh, ow) view; the image must cover every window."""
    channel, row, column = image.strides
    required = [(o - 1) * s + (k - 1) * d + 1 for o, s, k, d in zip(size, stride, kernel, dilation)]
    if required[0] > image.shape[1] or required[1] > image.shape[2]:
        raise ValueError(
            f"windows required {required[0]}x{required[1]} of an image of {image.shape[1]}x{image.shape[2]}"
        )
    shape = (image.shape[0], *kernel, *size)
    strides = (channel, row * dilation[0], column * dilation[1], row * stride[0], column * stride[1])
    return np.lib.stride_tricks.as_strided(image, shape, strides, writeable=False)


def pool(
    image: np.ndarray, kernel: tuple[int, int], stride: tuple[int, int], size: tuple[int, int], function: np.ufunc
) -> np.ndarray:
    """Reduce every window of a padded (C, H, W) image by `function` (np.maximum or np.add) to (C, *size)."""
    result: np.ndarray | None = None
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            part = image[:, row : row + (size[0] - 1) * stride[0] + 1 : stride[0]]
            part = part[:, :, column : column + (size[1] - 1) * stride[1] + 1 : stride[1]]
            if part.shape[1:] != tuple(size):
                raise ValueError(f"windows of {kernel} for an output of {size} exceed an image of {image.shape[1:]}")
            result = part.copy() if result is None else function(result, part, out=result)
    if result is None:
        raise ValueError(f"a window of {kernel} has no pixels")
    return result


def pad_image(image: np.ndarray, before: Sequence[int], required: Sequence[int], value: float = 0.0) -> np.ndarray:
    """Pad (C, H, W) by `before` (top, left), and at the bottom and right up to at least `required` (height, width)."""
    if image.shape[0] * max(required[0], 1) * max(required[1], 1) > MAX_PADDED_ELEMENTS or max(before) > max(required):
        raise ValueError(f"an image of {image.shape} would be padded by {before} to {tuple(required)}")
    after = [max(0, n - b - s) for n, b, s in zip(required, before, image.shape[1:])]
    if not any(before) and not any(after):
        return image
    return np.pad(image, ((0, 0), (before[0], after[0]), (before[1], after[1])), constant_values=value)
