"""pycaffe's caffe.io: conversion of blobs and records to arrays, image loading and resizing, and the Transformer.

This module serves existing scripts and notebooks. New code uses caffe.device.transform.Transform, as training and the
device do. Only NumPy and OpenCV are imported; the functions that need protobuf load it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO

import cv2
import numpy as np

from caffe.device import resample
from caffe.device.image_file import decode_image, read_image
from caffe.device.transform import fit_mean
from caffe.errors import CaffeError, did_you_mean
from caffe.utils.input_file import shown
from caffe.utils.read_url import is_url, read_url

if TYPE_CHECKING:
    from caffe.proto import caffe_pb2

_LUMINANCE = np.array([0.2125, 0.7154, 0.0721], np.float32)  # weights of R, G, B in scikit-image's rgb2gray


# ---- messages


def blobproto_to_array(blob: caffe_pb2.BlobProto, return_diff: bool = False) -> np.ndarray:
    """Convert a BlobProto's data or diff to a float32 array (float64 for double_data).

    The shape comes from `shape` or the legacy num, channels, height and width. A blob without a shape must hold one
    value, returned as a scalar array; more values raise a ValueError, as in pycaffe.
    """
    doubles = blob.double_diff if return_diff else blob.double_data
    values = blob.diff if return_diff else blob.data
    data = np.array(doubles, np.float64) if len(doubles) else np.array(values, np.float32)
    if any(blob.HasField(name) for name in ("num", "channels", "height", "width")):
        return data.reshape(blob.num, blob.channels, blob.height, blob.width)
    return data.reshape(tuple(blob.shape.dim))


def array_to_blobproto(arr: np.ndarray, diff: np.ndarray | None = None) -> caffe_pb2.BlobProto:
    """Convert an array of any shape, and optionally its diff, to a BlobProto."""
    from caffe.proto import caffe_pb2

    blob = caffe_pb2.BlobProto()
    blob.shape.dim.extend(arr.shape)
    blob.data.extend(np.asarray(arr, np.float32).ravel().tolist())
    if diff is not None:
        blob.diff.extend(np.asarray(diff, np.float32).ravel().tolist())
    return blob


def arraylist_to_blobprotovector_str(arraylist: Iterable[np.ndarray]) -> bytes:
    """Serialize arrays as a BlobProtoVector."""
    from caffe.proto import caffe_pb2

    vector = caffe_pb2.BlobProtoVector()
    vector.blobs.extend([array_to_blobproto(arr) for arr in arraylist])
    return vector.SerializeToString()


def blobprotovector_str_to_arraylist(str: bytes) -> list[np.ndarray]:
    """Parse a serialized BlobProtoVector into arrays."""
    from caffe.proto import caffe_pb2

    vector = caffe_pb2.BlobProtoVector()
    vector.ParseFromString(str)
    return [blobproto_to_array(blob) for blob in vector.blobs]


def array_to_datum(arr: np.ndarray, label: int | None = None) -> caffe_pb2.Datum:
    """Convert a (channels, height, width) array to a Datum: uint8 in `data`, other types in `float_data`."""
    from caffe.proto import caffe_pb2

    if arr.ndim != 3:
        raise CaffeError(f"Incorrect array shape: {arr.shape}, not channels x height x width")
    datum = caffe_pb2.Datum()
    datum.channels, datum.height, datum.width = arr.shape
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(np.asarray(arr, np.float32).ravel().tolist())
    if label is not None:
        datum.label = label
    return datum


def datum_to_array(datum: caffe_pb2.Datum) -> np.ndarray:
    """Convert an unencoded Datum to a (channels, height, width) array: uint8 from `data`, float from `float_data`."""
    if len(datum.data):
        values = np.frombuffer(datum.data, np.uint8)
    else:
        values = np.array(datum.float_data, np.float64)
    return values.reshape(datum.channels, datum.height, datum.width)


# ---- the Transformer


class Transformer:
    """Preprocesses inputs of a net: resize, transpose, swap channels, scale, subtract the mean, scale again.

    Every step is set per input; steps that are not set are skipped.

    Parameters
    ----------
    inputs : mapping
        Name of an input blob -> its shape (N, C, H, W).
    """

    def __init__(self, inputs: Mapping[str, Sequence[int]]) -> None:
        self.inputs = inputs
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, np.ndarray] = {}
        self.input_scale: dict[str, float] = {}

    def __check_input(self, in_):
        if in_ not in self.inputs:
            hint = did_you_mean(in_, self.inputs)
            raise CaffeError(f"{in_} is not one of the net inputs: {list(self.inputs)}{hint}")

    def preprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """Convert an image as load_image returns it to the net's input.

        Parameters
        ----------
        in_ : str
            Name of the input blob.
        data : ndarray (H', W', K)
            Image of any size.

        Returns
        -------
        ndarray (K, H, W) of float32

        Raises
        ------
        CaffeError
            If the net has no such input.
        """
        self.__check_input(in_)
        out = np.asarray(data).astype(np.float32)
        if out.shape[:2] != tuple(self.inputs[in_][2:]):
            out = resize_image(out, self.inputs[in_][2:])
        if self.transpose.get(in_) is not None:
            out = out.transpose(self.transpose[in_])
        if self.channel_swap.get(in_) is not None:
            out = out[list(self.channel_swap[in_])]
        if self.raw_scale.get(in_) is not None:
            out = out * np.float32(self.raw_scale[in_])
        if self.mean.get(in_) is not None:
            out = out - self.mean[in_]
        if self.input_scale.get(in_) is not None:
            out = out * np.float32(self.input_scale[in_])
        return out

    def deprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """Convert an input blob's values back to an image; the size stays that of the blob."""
        self.__check_input(in_)
        out = np.array(data).squeeze()
        if self.input_scale.get(in_) is not None:
            out = out / self.input_scale[in_]
        if self.mean.get(in_) is not None:
            out = out + self.mean[in_]
        if self.raw_scale.get(in_) is not None:
            out = out / self.raw_scale[in_]
        if self.channel_swap.get(in_) is not None:
            out = out[np.argsort(self.channel_swap[in_])]
        if self.transpose.get(in_) is not None:
            out = out.transpose(np.argsort(self.transpose[in_]))
        return out

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """Set the order of the axes, e.g. (2, 0, 1) from H x W x K to K x H x W."""
        self.__check_input(in_)
        if len(order) != len(self.inputs[in_]) - 1:
            raise CaffeError(
                "Transpose order needs to have the same number of dimensions as the input, "
                f"{len(self.inputs[in_]) - 1}; received {order}"
            )
        self.transpose[in_] = order

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """Set the order of the channels after the transposition, e.g. (2, 1, 0) from RGB to BGR."""
        self.__check_input(in_)
        if len(order) != self.inputs[in_][1]:
            raise CaffeError(
                "Channel swap needs to have the same number of dimensions as the input channels, "
                f"{self.inputs[in_][1]}; received {order}"
            )
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """Set the factor applied before the mean is subtracted, e.g. 255 from 0..1 to 0..255."""
        self.__check_input(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: np.ndarray) -> None:
        """Set the mean to subtract: (C,), (H, W) or (C, H, W); a mean image of another size is resized.

        Later versions of pycaffe resize a 256x256 mean for a 227x227 net in the same way (min-max normalisation,
        bilinear, back); early versions rejected it.
        """
        self.__check_input(in_)
        shape = tuple(self.inputs[in_][1:])
        mean = np.asarray(mean)
        if mean.ndim == 2:
            mean = mean[np.newaxis]
        if mean.ndim not in (1, 3):
            raise CaffeError(f"Mean shape invalid: {mean.shape}, not (C, H, W), (H, W) or (C,)")
        if mean.shape[0] != shape[0]:
            raise CaffeError(f"Mean channels incompatible with input: {mean.shape[0]}, the input has {shape[0]}")
        if mean.ndim == 1:
            mean = mean[:, np.newaxis, np.newaxis]
        elif mean.shape != shape:
            mean = fit_mean(mean, (shape[1], shape[2]))
        self.mean[in_] = mean.astype(np.float32)

    def set_input_scale(self, in_: str, scale: float) -> None:
        """Set the factor applied after the mean is subtracted."""
        self.__check_input(in_)
        self.input_scale[in_] = scale


# ---- images


def load_image(filename: str | os.PathLike | BinaryIO, color: bool = True) -> np.ndarray:
    """Load an image file as float32 in 0..1.

    Parameters
    ----------
    filename : str, path or binary file object
        A string that starts with http:// or https:// is downloaded (at most 64 MiB in 60 seconds).
    color : bool
        Convert to three channels (grey is repeated) instead of one. An alpha channel is dropped.

    Returns
    -------
    ndarray (H, W, 3) in RGB order, or (H, W, 1)

    Raises
    ------
    CaffeError
        If the file or the address cannot be read or decoded.
    """
    image = _read(filename)
    if color:
        return np.tile(image, (1, 1, 3)) if image.shape[2] == 1 else image[..., :3]
    return image if image.shape[2] == 1 else (image[..., :3] @ _LUMINANCE)[..., np.newaxis]


def _decode(stream):
    """Return the image in a file object that was opened in binary mode."""
    name, data = str(getattr(stream, "name", type(stream).__name__)), stream.read()
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise CaffeError(f"image '{name}': expected a file opened in binary mode, received {type(data).__name__}")
    return decode_image(bytes(data), cv2.IMREAD_UNCHANGED, name)


def _read(filename):
    """Return float32 (H, W, 1, 3 or 4) in 0..1, RGB order."""
    if hasattr(filename, "read"):
        pixels = _decode(filename)
    elif is_url(filename):
        pixels = decode_image(read_url(filename), cv2.IMREAD_UNCHANGED, shown(filename))
    else:
        pixels = read_image(filename, cv2.IMREAD_UNCHANGED)
    if pixels.dtype.kind == "u":
        pixels = pixels / np.float32(np.iinfo(pixels.dtype).max)
    pixels = np.atleast_3d(pixels.astype(np.float32))
    return pixels if pixels.shape[2] == 1 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def resize_image(im: np.ndarray, new_dims: Sequence[int], interp_order: int = 1) -> np.ndarray:
    """Resize an image as pycaffe does with scikit-image (K is 1 or 3) or SciPy (other K).

    Parameters
    ----------
    im : ndarray (H, W, K)
    new_dims : (height, width)
    interp_order : {0, 1}
        Nearest pixel or bilinear. There is no anti-aliasing, as in the scikit-image of Caffe's time.

    Returns
    -------
    ndarray (height, width, K) of float32

    Raises
    ------
    CaffeError
        If `im` is empty or not three-dimensional, or `interp_order` is not 0 or 1.
    """
    if interp_order not in (0, 1):
        raise CaffeError(f"interp_order must be 0 (nearest) or 1 (bilinear), received {interp_order!r}")
    im = np.asarray(im)
    if im.ndim != 3 or not im.size:
        raise CaffeError(f"an image is height x width x channels, received {im.shape}")
    size = (int(new_dims[0]), int(new_dims[1]))
    im = im.astype(np.float64) if im.dtype.kind != "f" else im
    if interp_order == 0:
        return resample.nearest(im, size).astype(np.float32)
    if im.shape[-1] not in (1, 3):
        return resample.corner_aligned(im, size).astype(np.float32)
    low, high = im.min(), im.max()
    if low == high:
        return np.full((*size, im.shape[-1]), low, np.float32)
    unit = resample.half_pixel((im - low) / (high - low), size)
    return (unit * (high - low) + low).astype(np.float32)


def oversample(images: Iterable[np.ndarray], crop_dims: Sequence[int]) -> np.ndarray:
    """Take ten crops per image: the corners, the centre, and the same five mirrored.

    Parameters
    ----------
    images : iterable of N arrays (H, W, K)
    crop_dims : (height, width)

    Returns
    -------
    ndarray (10 * N, height, width, K) of float32

    Raises
    ------
    CaffeError
        If there are no images, or a crop does not fit an image.
    """
    height, width = int(crop_dims[0]), int(crop_dims[1])
    crops = []
    for image in images:
        image = np.asarray(image)
        bottom, right = image.shape[0] - height, image.shape[1] - width
        if bottom < 0 or right < 0:
            size = f"{image.shape[0]}x{image.shape[1]}"
            raise CaffeError(f"crops of {height}x{width} do not fit an image of {size}")
        offsets = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
        five_crops = [image[top : top + height, left : left + width] for top, left in offsets]
        crops += five_crops + [crop[:, ::-1] for crop in five_crops]
    if not crops:
        raise CaffeError("no images to crop")
    return np.stack(crops).astype(np.float32)
