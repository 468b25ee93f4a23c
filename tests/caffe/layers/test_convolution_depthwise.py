"""ConvolutionDepthwise: one group per channel, whatever `group` is."""

import numpy as np
from support.depthwise_loop import depthwise
from support.reference import check_layer


def test_matches_a_loop():
    rng = np.random.default_rng(4)
    arrays = [rng.standard_normal((1, 2, 5, 4))], [rng.standard_normal((2, 1, 3, 3)), rng.standard_normal(2)]
    text = "convolution_param { num_output: 2 kernel_size: 3 pad: 1 stride: 2 }"
    check_layer("ConvolutionDepthwise", text, arrays[0], lambda x, w, b: depthwise(x, w, b, 2), arrays[1])


def test_there_is_one_output_per_channel_whatever_num_output_is():
    rng = np.random.default_rng(5)
    x, weights = [rng.standard_normal((1, 2, 5, 4))], [rng.standard_normal((2, 1, 3, 3)), rng.standard_normal(2)]
    for field in ("num_output: 1", "num_output: 6", ""):
        text = f"convolution_param {{ {field} kernel_size: 3 pad: 1 }}"
        check_layer("ConvolutionDepthwise", text, x, lambda x, w, b: depthwise(x, w, b, 1), weights)
