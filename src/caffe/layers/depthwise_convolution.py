"""DepthwiseConvolution."""

from __future__ import annotations

from caffe.layers.base import Example, register
from caffe.layers.convolution import Convolution


@register
class DepthwiseConvolution(Convolution):
    """Convolution, intended for one group per channel (MobileNet-YOLO and others).

    With any other `group` it is the Convolution with that group.
    """

    examples = (
        Example(
            'convolution_param { num_output: 4 group: 4 kernel_size: 3 pad: 1 weight_filler { type: "msra" } }',
            [(2, 4, 6, 5)],
        ),
        Example(
            "convolution_param { num_output: 8 group: 4 kernel_size: 3 stride: 2 bias_term: false "
            'weight_filler { type: "msra" } }',
            [(2, 4, 6, 5)],
        ),
    )
