"""ConvolutionDepthwise."""

from __future__ import annotations

from caffe.layers.base import Example, register
from caffe.layers.convolution import Convolution


@register
class ConvolutionDepthwise(Convolution):
    """Convolution with one group per channel, whatever `group` is (ShuffleNet).

    num_output must be a multiple of the number of channels.
    """

    examples = (
        Example(
            'convolution_param { num_output: 4 kernel_size: 3 pad: 1 stride: 2 weight_filler { type: "msra" } }',
            [(2, 4, 6, 5)],
        ),
    )

    @property
    def group(self):
        """One group per channel."""
        return self.channels
