"""pycaffe's caffe.io, name for name: blobs and records as arrays, images as floats, and its Transformer.

New code takes caffe.device.transform.Transform, which is what training and the device use; this module serves the
scripts and notebooks that exist. NumPy and OpenCV only; protobuf is loaded by the functions that need it.
"""

from __future__ import annotations

import cv2
import numpy as np

from caffe.device import resample
from caffe.device.image_file import read_image
from caffe.device.transform import fit_mean
from caffe.errors import CaffeError, did_you_mean

_LUMINANCE = np.array([0.2125, 0.7154, 0.0721], np.float32)  # of red, green, blue: scikit-image's rgb2gray


# ---- messages


def blobproto_to_array(blob, return_diff=False):
    """float32 array of a BlobProto's data, or of its diff; shaped as its old or its new dimensions say.

    Without any dimensions there must be one value, which comes as a scalar; more are a ValueError, as in pycaffe.
    """
    doubles = blob.double_diff if return_diff else blob.double_data
    values = blob.diff if return_diff else blob.data
    data = np.array(doubles, np.float64) if len(doubles) else np.array(values, np.float32)
    if any(blob.HasField(name) for name in ("num", "channels", "height", "width")):
        return data.reshape(blob.num, blob.channels, blob.height, blob.width)
    return data.reshape(tuple(blob.shape.dim))


def array_to_blobproto(arr, diff=None):
    """BlobProto of an array of any shape, and of its diff if given."""
    from caffe.proto import caffe_pb2

    blob = caffe_pb2.BlobProto()
    blob.shape.dim.extend(arr.shape)
    blob.data.extend(np.asarray(arr, np.float32).ravel().tolist())
    if diff is not None:
        blob.diff.extend(np.asarray(diff, np.float32).ravel().tolist())
    return blob


def arraylist_to_blobprotovector_str(arraylist):
    """Arrays -> bytes of a BlobProtoVector."""
    from caffe.proto import caffe_pb2

    vector = caffe_pb2.BlobProtoVector()
    vector.blobs.extend([array_to_blobproto(arr) for arr in arraylist])
    return vector.SerializeToString()


def blobprotovector_str_to_arraylist(str):
    """Bytes of a BlobProtoVector -> arrays."""
    from caffe.proto import caffe_pb2

    vector = caffe_pb2.BlobProtoVector()
    vector.ParseFromString(str)
    return [blobproto_to_array(blob) for blob in vector.blobs]


def array_to_datum(arr, label=None):
    """Datum of a (channels, height, width) array: uint8 goes to data, anything else to float_data."""
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


def datum_to_array(datum):
    """(channels, height, width) array of a Datum, not encoded: uint8 from data, float from float_data."""
    if len(datum.data):
        values = np.frombuffer(datum.data, np.uint8)
    else:
        values = np.array(datum.float_data, np.float64)
    return values.reshape(datum.channels, datum.height, datum.width)


# ---- the Transformer


class Transformer:
    """Prepares inputs of a net: resize, transpose, swap channels, scale, subtract the mean, scale again.

    inputs: name of an input blob -> its (N, C, H, W). Every step is set by input and left out until it is.
    """

    def __init__(self, inputs):
        self.inputs = inputs
        self.transpose = {}
        self.channel_swap = {}
        self.raw_scale = {}
        self.mean = {}
        self.input_scale = {}

    def __check_input(self, in_):
        if in_ not in self.inputs:
            near = did_you_mean(in_, self.inputs)
            raise CaffeError(f"{in_} is not one of the net inputs: {list(self.inputs)}{near}")

    def preprocess(self, in_, data):
        """(H', W', K) image as load_image gives it -> float32 (K, H, W) for the net, as the steps say."""
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

    def deprocess(self, in_, data):
        """The way back from an input blob's values to an image, but for the resizing."""
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

    def set_transpose(self, in_, order):
        """Order of the axes, e.g. (2, 0, 1) from H x W x K to K x H x W."""
        self.__check_input(in_)
        if len(order) != len(self.inputs[in_]) - 1:
            raise CaffeError(
                "Transpose order needs to have the same number of dimensions as the input, %d; received %s"
                % (len(self.inputs[in_]) - 1, (order,))
            )
        self.transpose[in_] = order

    def set_channel_swap(self, in_, order):
        """Order of the channels, e.g. (2, 1, 0) from RGB to BGR; after the transposition."""
        self.__check_input(in_)
        if len(order) != self.inputs[in_][1]:
            raise CaffeError(
                "Channel swap needs to have the same number of dimensions as the input channels, "
                "%d; received %s" % (self.inputs[in_][1], (order,))
            )
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_, scale):
        """Factor before the mean, e.g. 255 from 0..1 to 0..255."""
        self.__check_input(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_, mean):
        """One value a channel, or an image; one of another size is brought to the input's.

        So later pycaffe treats a 256x256 mean on a 227x227 net (min-max, bilinear, back); early ones refused.
        """
        self.__check_input(in_)
        shape = tuple(self.inputs[in_][1:])
        mean = np.asarray(mean)
        if mean.ndim == 2:
            mean = mean[np.newaxis]
        if mean.ndim not in (1, 3):
            raise CaffeError(f"Mean shape invalid: {mean.shape}, not (C, H, W), (H, W) or (C,)")
        if mean.shape[0] != shape[0]:
            raise CaffeError("Mean channels incompatible with input: %d, the input has %d" % (mean.shape[0], shape[0]))
        if mean.ndim == 1:
            mean = mean[:, np.newaxis, np.newaxis]
        elif mean.shape != shape:
            mean = fit_mean(mean, shape[1:])
        self.mean[in_] = mean.astype(np.float32)

    def set_input_scale(self, in_, scale):
        """Factor after the mean."""
        self.__check_input(in_)
        self.input_scale[in_] = scale


# ---- images


def load_image(filename, color=True):
    """Image file -> float32 (H, W, 3) in 0..1, red first; (H, W, 1) with color=False.

    Alpha is dropped, grey is tiled to three channels.
    """
    image = _read(filename)
    if color:
        return np.tile(image, (1, 1, 3)) if image.shape[2] == 1 else image[..., :3]
    return image if image.shape[2] == 1 else (image[..., :3] @ _LUMINANCE)[..., np.newaxis]


def _read(filename):
    """float32 (H, W, 1, 3 or 4) in 0..1, red first."""
    pixels = read_image(filename, cv2.IMREAD_UNCHANGED)
    if pixels.dtype.kind == "u":
        pixels = pixels / np.float32(np.iinfo(pixels.dtype).max)
    pixels = np.atleast_3d(pixels.astype(np.float32))
    return pixels if pixels.shape[2] == 1 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def resize_image(im, new_dims, interp_order=1):
    """(H, W, K) -> float32 (*new_dims, K) as pycaffe does through scikit-image (K is 1 or 3) or SciPy (else).

    interp_order 0 takes the nearest pixel, 1 is bilinear; nothing is smoothed first, as in Caffe's years.
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


def oversample(images, crop_dims):
    """Images (H, W, K) -> float32 (10 * N, h, w, K): corners, centre, and the same five flipped, of each."""
    height, width = int(crop_dims[0]), int(crop_dims[1])
    views = []
    for image in images:
        image = np.asarray(image)
        low, right = image.shape[0] - height, image.shape[1] - width
        if low < 0 or right < 0:
            sizes = (height, width) + image.shape[:2]
            raise CaffeError("crops of %dx%d do not fit an image of %dx%d" % sizes)
        places = [(0, 0), (0, right), (low, 0), (low, right), (low // 2, right // 2)]
        five = [image[top : top + height, left : left + width] for top, left in places]
        views += five + [view[:, ::-1] for view in five]
    if not views:
        raise CaffeError("no images to crop")
    return np.stack(views).astype(np.float32)
