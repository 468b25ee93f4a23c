"""DenseImageData: reads images with a label for each pixel (SegNet)."""

from __future__ import annotations

from caffe.layers._segmentation_data import SegmentationDataLayer
from caffe.layers.base import register


@register
class DenseImageData(SegmentationDataLayer):
    """Reads a list file with `image labels` per line: data (N, C, H, W) and labels (N, 1, H, W) (SegNet).

    The labels are the gray values of an image of the same size. new_height and new_width resize both, the labels
    without interpolation; crop_height and crop_width, or transform_param's crop_size, crop both, at random in TRAIN;
    `mirror` mirrors half of them. `shuffle` shuffles the list in every epoch.
    """

    num_top = 2
    param_name = "dense_image_data_param"

    def crop(self) -> tuple[int, int] | None:
        p = self.data
        return (p.crop_height, p.crop_width) if p.crop_height and p.crop_width else super().crop()

    def mirror(self) -> bool:
        return self.data.mirror or super().mirror()
