"""A depthwise convolution as a loop, for two layer types."""

import numpy as np


def depthwise(x, w, b, stride=1, pad=1):
    """Return the depthwise convolution of x."""
    count, channels, height, width = x.shape
    times, size = w.shape[0] // channels, w.shape[2]
    padded = np.zeros((count, channels, height + 2 * pad, width + 2 * pad))
    padded[:, :, pad : pad + height, pad : pad + width] = x
    rows, columns = ((n + 2 * pad - size) // stride + 1 for n in (height, width))
    y = np.zeros((count, w.shape[0], rows, columns))
    for n, o, i, j in np.ndindex(*y.shape):
        window = padded[n, o // times, i * stride : i * stride + size, j * stride : j * stride + size]
        y[n, o, i, j] = (window * w[o, 0]).sum() + b[o]
    return [y]
