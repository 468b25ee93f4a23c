"""ConvolutionDepthwise: one group per channel, whatever `group` is."""

import numpy as np
from support.depthwise_loop import depthwise
from support.reference import build_error, check_layer


def test_matches_a_loop():
    rng = np.random.default_rng(4)
    arrays = [rng.standard_normal((1, 2, 5, 4))], [rng.standard_normal((2, 1, 3, 3)), rng.standard_normal(2)]
    text = "convolution_param { num_output: 2 kernel_size: 3 pad: 1 stride: 2 }"
    check_layer("ConvolutionDepthwise", text, arrays[0], lambda x, w, b: depthwise(x, w, b, 2), arrays[1])


def test_num_output_must_be_a_multiple_of_the_channels():
    text = "convolution_param { num_output: 3 kernel_size: 1 }"
    assert "must divide" in build_error("ConvolutionDepthwise", text, [(1, 2, 3, 3)])
