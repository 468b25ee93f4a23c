"""ConvolutionDepthwise: one group a channel without being told."""

import numpy as np
from depthwise_loop import depthwise
from support.reference import hold, refusal


def test_equals_a_loop():
    rng = np.random.default_rng(4)
    arrays = [rng.standard_normal((1, 2, 5, 4))], [rng.standard_normal((2, 1, 3, 3)), rng.standard_normal(2)]
    text = "convolution_param { num_output: 2 kernel_size: 3 pad: 1 stride: 2 }"
    hold("ConvolutionDepthwise", text, arrays[0], lambda x, w, b: depthwise(x, w, b, 2), arrays[1])


def test_num_output_must_be_a_multiple_of_the_channels():
    text = "convolution_param { num_output: 3 kernel_size: 1 }"
    assert "must divide" in refusal("ConvolutionDepthwise", text, [(1, 2, 3, 3)])
