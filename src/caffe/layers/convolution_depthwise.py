"""ConvolutionDepthwise."""

from __future__ import annotations

from caffe.core import glog
from caffe.layers.base import Example, Shape, register
from caffe.layers.convolution import Convolution


@register
class ConvolutionDepthwise(Convolution):
    """Convolution with one group and one output per channel, whatever `group` and num_output say (ShuffleNet)."""

    examples = (
        Example(
            'convolution_param { num_output: 4 kernel_size: 3 pad: 1 stride: 2 weight_filler { type: "msra" } }',
            [(2, 4, 6, 5)],
        ),
    )

    def setup(self, *bottoms: Shape) -> None:
        p, channels = self.param.convolution_param, bottoms[0][1] if len(bottoms[0]) > 1 else 0
        if channels and p.num_output != channels:
            if p.HasField("num_output"):
                glog.warning(
                    f"layer '{self.name}': num_output {p.num_output} is ignored, there are {channels} channels"
                )
            p.num_output = channels
        super().setup(*bottoms)

    @property
    def group(self):
        """One group per channel."""
        return self.channels
