"""DepthwiseConvolution."""

from caffe.layers.base import Example, register
from caffe.layers.convolution import Convolution


@register
class DepthwiseConvolution(Convolution):
    """Convolution, made for one group a channel; with another group it is that Convolution (MobileNet-YOLO and others)."""

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
