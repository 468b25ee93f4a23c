"""ConvolutionDepthwise."""

from caffe.layers.base import Example, register
from caffe.layers.convolution import Convolution


@register
class ConvolutionDepthwise(Convolution):
    """Convolution of one group a channel, whatever `group` says; num_output is a multiple of the channels (ShuffleNet)."""

    examples = (
        Example(
            'convolution_param { num_output: 4 kernel_size: 3 pad: 1 stride: 2 weight_filler { type: "msra" } }',
            [(2, 4, 6, 5)],
        ),
    )

    @property
    def group(self):
        """One for each channel."""
        return self.channels
