"""ImageSegData: reads images with a label for each pixel (DeepLab, PSPNet)."""

from __future__ import annotations

from caffe.layers._segmentation_data import SegmentationDataLayer
from caffe.layers.base import register
from caffe.proto import caffe_pb2

_KINDS = {"NONE": "none", "IMAGE": "number", "PIXEL": "file"}


@register
class ImageSegData(SegmentationDataLayer):
    """Reads a list file: data (N, C, H, W), labels (N, 1, H, W) and the sizes of the images (N, 1, 1, 2).

    It is DeepLab's and PSPNet's. A line is `image labels` for label_type PIXEL (gray values of an image) and IMAGE (an
    integer for all pixels, the default), and `image` for NONE, where all labels are ignore_label. new_height and
    new_width resize both. In TRAIN one of scale_factors is chosen at random. Both are cropped to crop_size, or
    crop_height x crop_width; smaller ones are padded with the mean and ignore_label. The third top is optional.
    """

    param_name = "image_data_param"

    @property
    def labels(self) -> str:
        name = caffe_pb2.ImageDataParameter.LabelType.Name(self.data.label_type)
        self.need(name in _KINDS, "label_type must be NONE, IMAGE or PIXEL, received %s", name)
        return _KINDS[name]
