"""Products of weights and inputs: the one place where sums are made, in float32 or, for a bound, in half."""

from __future__ import annotations

import numpy as np

MOST_COLUMNS = 1 << 24  # elements of the unfolded input that are made at a time
MOST_PADDED = 1 << 28  # elements: more than a stick's memory holds


def matmul(weights: np.ndarray, values: np.ndarray, half: bool = False) -> np.ndarray:
    """(O, K) by (K, P) in float32; with `half` every product and every partial sum is rounded to FP16, K in order."""
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
    """Convolve (C, H, W), already padded, with (O, C·kh·kw): (O, *size); kernel, stride, size, dilation are (h, w)."""
    rows = max(1, MOST_COLUMNS // max(1, weights.shape[1] * size[1]))
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
    """im2col: (C, H, W) -> (C·kh·kw, oh·ow)."""
    windows = view_windows(image, kernel, stride, size, dilation)
    return windows.reshape(len(image) * kernel[0] * kernel[1], size[0] * size[1])


def view_windows(
    image: np.ndarray,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    size: tuple[int, int],
    dilation: tuple[int, int],
) -> np.ndarray:
    """(C, kh, kw, oh, ow) without a copy. The image must cover every window."""
    channel, row, column = image.strides
    need = [(o - 1) * s + (k - 1) * d + 1 for o, s, k, d in zip(size, stride, kernel, dilation)]
    if need[0] > image.shape[1] or need[1] > image.shape[2]:
        raise ValueError(f"windows need {need[0]}x{need[1]} of an image of {image.shape[1]}x{image.shape[2]}")
    shape = (image.shape[0], *kernel, *size)
    strides = (channel, row * dilation[0], column * dilation[1], row * stride[0], column * stride[1])
    return np.lib.stride_tricks.as_strided(image, shape, strides, writeable=False)


def pool(
    image: np.ndarray, kernel: tuple[int, int], stride: tuple[int, int], size: tuple[int, int], function: np.ufunc
):
    """(C, H, W), padded already -> (C, *size): `function` (np.maximum, np.add) over every window."""
    result = None
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            part = image[:, row : row + (size[0] - 1) * stride[0] + 1 : stride[0]]
            part = part[:, :, column : column + (size[1] - 1) * stride[1] + 1 : stride[1]]
            if part.shape[1:] != tuple(size):
                raise ValueError(f"windows of {kernel} for {size} results reach beyond an image of {image.shape[1:]}")
            result = part.copy() if result is None else function(result, part, out=result)
    return result


def padded(image: np.ndarray, before: tuple[int, int], need: tuple[int, int], value: float = 0.0) -> np.ndarray:
    """(C, H, W) with `before` rows and columns in front and enough behind to make `need` (height, width)."""
    if image.shape[0] * max(need[0], 1) * max(need[1], 1) > MOST_PADDED or max(before) > max(need):
        raise ValueError(f"an image of {image.shape} would be padded by {before} to {tuple(need)}")
    after = [max(0, n - b - s) for n, b, s in zip(need, before, image.shape[1:])]
    if not any(before) and not any(after):
        return image
    return np.pad(image, ((0, 0), (before[0], after[0]), (before[1], after[1])), constant_values=value)
