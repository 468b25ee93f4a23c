"""ConvolutionRistretto: Convolution with few bits."""

from __future__ import annotations

from caffe.layers._ristretto import RistrettoLayer
from caffe.layers.base import Example, register
from caffe.layers.convolution import Convolution


@register
class ConvolutionRistretto(RistrettoLayer):
    """Convolution whose bottom, weights and top are rounded by quantization_param (Ristretto, Gysel et al. 2016).

    DYNAMIC_FIXED_POINT: multiples of 2^-fl with bw bits, of which one is the sign (fl_layer_in and bw_layer_in for the
    bottom, fl_params and bw_params for the blobs, fl_layer_out and bw_layer_out for the top), halves away from 0.
    INTEGER_POWER_OF_2_WEIGHTS: weights +-2^n with n from exp_min to exp_max. The gradient passes as if nothing were
    rounded. MINIFLOAT and STOCHASTIC are not implemented.

    In Xilinx' ml-suite, th_layer_in, th_params (for each output) and th_layer_out are limits instead of positions, and
    values are multiples of limit / (2^(bw - 1) - 1); a bias has the limit of the top.
    """

    plain = Convolution
    examples = (
        Example(
            'convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } '
            "quantization_param { bw_layer_in: 6 fl_layer_in: 3 bw_params: 6 fl_params: 4 fl_layer_out: 4 }",
            [(1, 2, 5, 6)],
        ),
        Example(
            'convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } '
            "quantization_param { precision: INTEGER_POWER_OF_2_WEIGHTS exp_min: -4 exp_max: 0 }",
            [(1, 2, 5, 6)],
        ),
    )
