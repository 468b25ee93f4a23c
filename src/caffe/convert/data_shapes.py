"""The shape of what a data layer gives: from its fields, those of forks included, its database or its first file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caffe.core import glog
from caffe.errors import CaffeError

DEFAULT_SIDE = 224  # of images whose size is not in the net
_DEFAULT_SIZES = {
    "DenseImageData": (360, 480),  # of SegNet, whose Upsample layers have sizes for it
    "BoxData": (448, 448),  # of YOLO
}
_EVEN_SIZE = (352, 480)  # of SegNets whose Upsample layers double every size
_CLIPS = ("VideoSegmentationData", "VideoWithVoxelTruthData")  # of C3D; the length is that of the stored clips
_CLIP_LENGTH = 16  # frames, of C3D's nets
_CLIP_SIZE = (112, 112)
_BATCHED_PARAMS = ("data_param", "image_data_param", "memory_data_param", "hdf5_data_param", "video_data_param")
_SIZED_PARAMS = ("image_data_param", "dense_image_data_param", "multi_label_image_data_param", "video_data_param")


def dummy_shape(layer: Any, number: int = 0) -> tuple[int, ...]:
    """Return the shape of top `number` of a DummyData layer."""
    p = layer.dummy_data_param
    if len(p.shape):
        return tuple(p.shape[min(number, len(p.shape) - 1)].dim)
    legacy = [list(values) for values in (p.num, p.channels, p.height, p.width)]
    return tuple(values[min(number, len(values) - 1)] for values in legacy if values)


def hdf5_shape(layer: Any, top: str) -> tuple[int, ...] | None:
    """Return the shape of one item of a top of HDF5Data, from the first file; None if there is no file here."""
    import h5py

    try:
        with open(layer.hdf5_data_param.source, encoding="utf-8") as stream:
            first = stream.read().split()[0]
        with h5py.File(first, "r", locking=False) as file:
            return tuple(file[top].shape[1:])
    except (OSError, UnicodeDecodeError, IndexError, KeyError, AttributeError):
        return None


def batch_size(net: Any) -> int:
    """Return the batch size of the first data layer of `net` that has one, or 1."""
    params = [getattr(layer, name) for layer in net.layer for name in _BATCHED_PARAMS if layer.HasField(name)]
    return next((param.batch_size for param in params if param.batch_size), 1)


def sliced_channels(net: Any, top: str) -> int:
    """Return the least number of channels that a Slice of the blob `top` along the channels needs, or 0."""
    slices = [x.slice_param for x in net.layer if x.type == "Slice" and top in x.bottom]
    return max((p.slice_point[-1] + 1 for p in slices if p.axis == 1 and p.slice_point), default=0)


def batch_shape(layer: Any, input_shape: Sequence[int | None] | None, net: Any) -> tuple[int, ...]:
    """Return (N, C, H, W) of a data layer of `net`: `input_shape`, with open dimensions from the layer, a batch of 1.

    The clips of C3D's VideoData are N x C x length x H x W. Sizes that the net does not define are 224 x 224, with a
    warning.
    """
    input_shape = input_shape or (None,) * 4
    if None not in input_shape[1:]:
        return (input_shape[0] or 1, *(size or 0 for size in input_shape[1:]))
    try:
        own = (1, *image_shape(layer))
    except CaffeError as error:
        own = (1, 3, *_default_size(layer, net))  # assume colour images
        if None in input_shape[2:]:
            warn_of_default_size(f"layer '{layer.name}' ({layer.type}): {error}", own[2:])
    shape = tuple(requested or default for requested, default in zip(input_shape, own))
    frames = _frames(layer, net)
    return (*shape[:2], frames, *shape[2:]) if frames else shape


def _default_size(layer, net):
    if _feeds_three_axes(layer, net):
        return _CLIP_SIZE
    upsampling = [x.upsample_param for x in net.layer if x.type == "Upsample"]
    sized = any(p.HasField("upsample_h") or p.pad_out_h or p.pad_out_w for p in upsampling)
    if layer.type == "DenseImageData" and upsampling and not sized:
        return _EVEN_SIZE
    return _DEFAULT_SIZES.get(layer.type, (DEFAULT_SIDE,) * 2)


def _feeds_three_axes(layer, net):
    """Return whether a convolution of three axes reads the first top, which is then a clip."""
    readers = [reader for reader in net.layer if layer.top[0] in reader.bottom]
    return any(x.type == "Convolution3D" or len(x.convolution_param.kernel_size) == 3 for x in readers)


def warn_of_default_size(reason: str, size: Sequence[int] = (DEFAULT_SIDE, DEFAULT_SIDE)) -> None:
    """Log that an input size is assumed."""
    height, width = size
    glog.warning(f"{reason}; assuming {height} x {width} (height x width): give the input shape (-is W H) to change it")


def image_shape(layer: Any) -> tuple[int, int, int]:
    """Return (channels, height, width) of a data layer's output: its crop size, or the image size in its database."""
    transform, memory = layer.transform_param, layer.memory_data_param
    if layer.type == "MemoryData":
        return memory.channels, memory.height, memory.width
    gray = transform.force_gray or (layer.type == "Data" and len(transform.mean_value) == 1)
    if layer.type == "ImageData":
        gray = not layer.image_data_param.is_color
    size = _size(layer)
    return (_channels(layer, gray), *size) if size else _database_shape(layer)


def _channels(layer, gray):
    """Return the channels of a data layer's images; TSN's VideoData stacks frames or two directions of flow."""
    video = layer.video_data_param
    if layer.type == "VideoData" and video.HasField("new_length") and not _is_volume(layer):
        per_frame = 2 if video.modality == video.FLOW else 1 if video.grayscale else 3
        return per_frame * video.new_length * video.num_segments
    return 1 if gray else 3


def _frames(layer, net):
    """Return the frames of a clip that is a volume, or 0."""
    if layer.type in _CLIPS or (layer.type != "VideoData" and _feeds_three_axes(layer, net)):
        return _CLIP_LENGTH
    return layer.video_data_param.new_length if _is_volume(layer) else 0


def _is_volume(layer):
    """Return whether a VideoData is C3D's, whose frames are an axis of their own; its fields tell it from TSN's."""
    video = layer.video_data_param
    fields = ("root_folder", "use_image", "use_temporal_jitter", "sampling_rate", "show_data")
    return layer.type.startswith("Video") and any(video.HasField(field) for field in fields)


def _size(layer):
    """Return (height, width) from the fields of a data layer, or None."""
    transform = layer.transform_param
    sizes = [(transform.crop_size,) * 2, (layer.window_data_param.crop_size,) * 2]
    sizes += [(transform.crop_h, transform.crop_w), (transform.crop_height, transform.crop_width)]
    sizes += [(resize.height, resize.width) for resize in transform.resize_param]
    for name in _SIZED_PARAMS:
        param = getattr(layer, name, None)
        if param is not None and hasattr(param, "new_height"):
            sizes.append((param.new_height, param.new_width))
    return next((size for size in sizes if all(size)), None)


def _database_shape(layer):
    from caffe.data import datum
    from caffe.data.db import open_db

    if layer.type not in ("Data", "AnnotatedData"):
        raise CaffeError("the net does not define its image size")
    with open_db(layer.data_param.source, layer.data_param.backend) as database:
        _, value = next(database.at(0))
        array, _ = datum.decode(value)
    return array.shape
