"""Weights in Keras' HDF5 layout as arrays in Caffe's."""

from __future__ import annotations

import os

import numpy as np

from agegender.errors import AgeGenderError
from caffe.data import hdf5_reader
from caffe.errors import CaffeError
from caffe.utils import bounded_call

SECONDS = 30  # for reading a file


def wide_resnet(path, depth, width, side):
    """{layer: [arrays]} for `wideresnet.body` from the HDF5 file of a WRN-depth-width on pictures of `side` pixels."""
    convs, norms, heads = _read(path)
    conv_names, norm_names = _names(depth, width)
    wanted = (len(conv_names), len(norm_names), 2)
    if (len(convs), len(norms), len(heads)) != wanted:
        raise AgeGenderError(
            "%s: %d convolutions, %d normalisations and %d heads; a WRN-%d-%d has %d, %d and %d"
            % (path, len(convs), len(norms), len(heads), depth, width, *wanted)
        )
    out = {name: [convolution(kernel)] for name, kernel in zip(conv_names, convs)}
    for stem, arrays in zip(norm_names, norms):
        out["bn_" + stem], out["scale_" + stem] = normalisation(*arrays)
    plane = side // 4
    for kernel in heads:
        task = {2: "pred_gender", 101: "pred_age"}.get(kernel.shape[1])
        if task is None:
            raise AgeGenderError("%s: a head of %d outputs; 2 and 101 are known" % (path, kernel.shape[1]))
        out[task] = [pooled_head(kernel, plane, 8)]
    return out


def _names(depth, width):
    """Layers in the order in which Keras made them: the first convolution of a block before its shortcut."""
    convs, norms = ["conv1"], []
    for stage in (1, 2, 3):
        for block in range(1, (depth - 4) // 6 + 1):
            stem = "s%db%d" % (stage, block)
            norms += [stem + "_1", stem + "_2"]
            second = f"conv_{stem}_2"
            convs += [f"conv_{stem}_1", second]
            if block == 1 and (stage > 1 or width > 1):  # else the 16 channels stay 16
                convs.append("short_" + stem)
    return convs, [*norms, "last"]


def _read(path):
    """Kernels of convolutions, (gamma, beta, mean, variance) of normalisations, kernels of dense layers."""
    try:
        layers = bounded_call.call("caffe.convert.keras_h5:_layers", [os.path.abspath(path)], SECONDS)
    except CaffeError as error:
        raise AgeGenderError(f"{path}: not weights that Keras saved as HDF5: {error}") from error
    return (
        [arrays[0] for arrays in layers if len(arrays) == 1 and arrays[0].ndim == 4],
        [arrays for arrays in layers if len(arrays) == 4],
        [arrays[0] for arrays in layers if len(arrays) == 1 and arrays[0].ndim == 2],
    )


def _layers(path):
    """The arrays of each layer, in order. Runs in a process of its own: HDF5 can read damaged attributes for ever."""
    with hdf5_reader.open_file(path) as file:
        group = hdf5_reader.child(file, "model_weights", path) or file
        return [_arrays(group, name, path) for name in _texts(group.attrs["layer_names"])]


def _arrays(group, name, path):
    layer = _found(group, name, path)
    names = _texts(layer.attrs["weight_names"])
    return [hdf5_reader.array(_found(layer, weight, path), path) for weight in names]


def _found(group, name, path):
    """The member at the path `name`, each step of which must be a member that lies in this very file."""
    for part in name.split("/"):
        group = hdf5_reader.child(group, part, path)
        if group is None:
            raise CaffeError(f"{path}: '{name}' is missing")
    return group


def _texts(names):
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def convolution(kernel):
    """HWIO -> OIHW."""
    return np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))


def normalisation(gamma, beta, mean, variance):
    """Blobs of BatchNorm (mean, variance, moving-average factor 1) and Scale (gamma, beta)."""
    return [mean, variance, np.ones(1, np.float32)], [gamma, beta]


def pooled_head(kernel, plane, window):
    """A dense kernel over a flattened (plane, plane, C) map after "same" average pooling of `window`, stride 1 ->
    (outputs, C * plane * plane) for Caffe's flattened (C, plane, plane), whose pooling counts padding in its divisor."""
    channels = kernel.shape[0] // (plane * plane)
    if kernel.shape[0] != channels * plane * plane:
        raise AgeGenderError("a head over %d values does not fit planes of %dx%d" % (kernel.shape[0], plane, plane))
    starts = np.arange(plane) - (window - 1) // 2
    inside = np.minimum(starts + window, plane) - np.maximum(starts, 0)
    factor = (window * window / np.multiply.outer(inside, inside)).astype(np.float32)
    maps = kernel.reshape(plane, plane, channels, -1) * factor[:, :, None, None]
    return np.ascontiguousarray(maps.transpose(3, 2, 0, 1)).reshape(kernel.shape[1], -1)
