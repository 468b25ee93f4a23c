"""Convert weights from Keras' HDF5 layout to Caffe's."""

from __future__ import annotations

import os

import numpy as np

from caffe.data import hdf5_reader
from caffe.errors import CaffeError
from caffe.utils import bounded_call

MAX_READ_SECONDS = 30


def wide_resnet(path: str | os.PathLike, depth: int, width: int, side: int) -> dict[str, list[np.ndarray]]:
    """Read the weights of a WRN-depth-width for `wideresnet.body`.

    Parameters
    ----------
    path : str or path
        Keras HDF5 file.
    depth, width : int
        Depth and width of the wide ResNet.
    side : int
        Side of the input image in pixels.

    Returns
    -------
    dict
        Layer name -> arrays in Caffe's layout.

    Raises
    ------
    CaffeError
        If the file is not such a net.
    """
    convs, norms, heads = _read(path)
    conv_names, norm_names = _names(depth, width)
    expected = (len(conv_names), len(norm_names), 2)
    if (len(convs), len(norms), len(heads)) != expected:
        raise CaffeError(
            f"{path}: {len(convs)} convolutions, {len(norms)} normalisations and {len(heads)} heads; "
            f"a WRN-{depth}-{width} has {expected[0]}, {expected[1]} and {expected[2]}"
        )
    out = {name: [convolution(kernel)] for name, kernel in zip(conv_names, convs)}
    for stem, arrays in zip(norm_names, norms):
        out["bn_" + stem], out["scale_" + stem] = normalisation(*arrays)
    plane = side // 4
    for kernel in heads:
        task = {2: "pred_gender", 101: "pred_age"}.get(kernel.shape[1])
        if task is None:
            raise CaffeError(f"{path}: expected heads of 2 and 101 outputs, received {kernel.shape[1]}")
        out[task] = [pooled_head(kernel, plane, 8)]
    return out


def _names(depth, width):
    """Return the names of convolutions and normalisations in Keras' order of creation."""
    convs, norms = ["conv1"], []
    for stage in (1, 2, 3):
        for block in range(1, (depth - 4) // 6 + 1):
            stem = f"s{stage}b{block}"
            norms += [stem + "_1", stem + "_2"]
            second = f"conv_{stem}_2"
            convs += [f"conv_{stem}_1", second]
            if block == 1 and (stage > 1 or width > 1):  # otherwise the shortcut is the identity on 16 channels
                convs.append("short_" + stem)
    return convs, [*norms, "last"]


def _read(path):
    """Return convolution kernels, (gamma, beta, mean, variance) of normalisations, and kernels of dense layers."""
    try:
        layers = bounded_call.call("caffe.convert.keras_h5:_layers", [os.path.abspath(path)], MAX_READ_SECONDS)
    except CaffeError as error:
        raise CaffeError(f"{path}: not a Keras HDF5 weight file: {error}") from error
    return (
        [arrays[0] for arrays in layers if len(arrays) == 1 and arrays[0].ndim == 4],
        [arrays for arrays in layers if len(arrays) == 4],
        [arrays[0] for arrays in layers if len(arrays) == 1 and arrays[0].ndim == 2],
    )


def _layers(path):
    """Return the arrays of each layer, in order. Runs in its own process: HDF5 can hang on damaged attributes."""
    with hdf5_reader.open_file(path) as file:
        group = hdf5_reader.child(file, "model_weights", path) or file
        return [_arrays(group, name, path) for name in _texts(group.attrs["layer_names"])]


def _arrays(group, name, path):
    layer = _member(group, name, path)
    names = _texts(layer.attrs["weight_names"])
    return [hdf5_reader.array(_member(layer, weight, path), path) for weight in names]


def _member(group, name, path):
    """Return the member at the path `name`; no part of the path may be a link."""
    for part in name.split("/"):
        group = hdf5_reader.child(group, part, path)
        if group is None:
            raise CaffeError(f"{path}: '{name}' is missing")
    return group


def _texts(names):
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def convolution(kernel: np.ndarray) -> np.ndarray:
    """Convert a convolution kernel from HWIO to OIHW."""
    return np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))


def normalisation(
    gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray, variance: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the blobs of BatchNorm (mean, variance, moving-average factor 1) and Scale (gamma, beta)."""
    return [mean, variance, np.ones(1, np.float32)], [gamma, beta]


def pooled_head(kernel: np.ndarray, plane: int, window: int) -> np.ndarray:
    """Convert the kernel of a dense layer that follows "same" average pooling with stride 1.

    Caffe's average pooling counts padding in its divisor; the factors that correct this are folded into the kernel.

    Parameters
    ----------
    kernel : ndarray (plane * plane * C, outputs)
        Keras flattens (plane, plane, C).
    plane : int
        Side of the feature map.
    window : int
        Side of the pooling window.

    Returns
    -------
    ndarray (outputs, C * plane * plane)
        Caffe flattens (C, plane, plane).
    """
    channels = kernel.shape[0] // (plane * plane)
    if kernel.shape[0] != channels * plane * plane:
        raise CaffeError(f"a head with {kernel.shape[0]} inputs does not fit feature maps of {plane}x{plane}")
    starts = np.arange(plane) - (window - 1) // 2
    inside = np.minimum(starts + window, plane) - np.maximum(starts, 0)
    factor = (window * window / np.multiply.outer(inside, inside)).astype(np.float32)
    maps = kernel.reshape(plane, plane, channels, -1) * factor[:, :, None, None]
    return np.ascontiguousarray(maps.transpose(3, 2, 0, 1)).reshape(kernel.shape[1], -1)
