"""DepthwiseConvolution compared with a loop over channels."""

import numpy as np
from support.depthwise_loop import depthwise
from support.reference import check_layer


def test_matches_a_loop():
    rng = np.random.default_rng(4)
    arrays = [rng.standard_normal((1, 2, 4, 5))], [rng.standard_normal((4, 1, 3, 3)), rng.standard_normal(4)]
    text = "convolution_param { num_output: 4 kernel_size: 3 pad: 1 group: 2 }"
    check_layer("DepthwiseConvolution", text, arrays[0], depthwise, arrays[1])
