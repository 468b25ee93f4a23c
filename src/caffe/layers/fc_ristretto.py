"""FcRistretto: InnerProduct with few bits."""

from __future__ import annotations

from caffe.layers._ristretto import RistrettoLayer
from caffe.layers.base import Example, register
from caffe.layers.inner_product import InnerProduct


@register
class FcRistretto(RistrettoLayer):
    """InnerProduct whose bottom, weights and top are rounded by quantization_param (Ristretto, Gysel et al. 2016).

    DYNAMIC_FIXED_POINT: multiples of 2^-fl with bw bits, of which one is the sign (fl_layer_in and bw_layer_in for the
    bottom, fl_params and bw_params for the blobs, fl_layer_out and bw_layer_out for the top), halves away from 0.
    INTEGER_POWER_OF_2_WEIGHTS: weights +-2^n with n from exp_min to exp_max. The gradient passes as if nothing were
    rounded. MINIFLOAT and STOCHASTIC are not implemented.
    """

    plain = InnerProduct
    examples = (
        Example(
            'inner_product_param { num_output: 4 weight_filler { type: "xavier" } } '
            "quantization_param { bw_layer_in: 6 fl_layer_in: 3 bw_params: 6 fl_params: 4 fl_layer_out: 4 }",
            [(2, 3, 4)],
        ),
        Example(
            'inner_product_param { num_output: 4 weight_filler { type: "xavier" } } '
            "quantization_param { precision: INTEGER_POWER_OF_2_WEIGHTS exp_min: -4 exp_max: 0 }",
            [(2, 3, 4)],
        ),
    )
