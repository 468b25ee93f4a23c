"""Plain definitions for the tests of Ristretto's layers."""

import math

import numpy as np
from support.reference import build_error, one_layer_net, run

QUANTIZATION = (
    "quantization_param { bw_layer_in: 5 fl_layer_in: 2 bw_params: 4 fl_params: 3 bw_layer_out: 6 fl_layer_out: 1 }"
)


def fixed(array, bits, position):
    """Round to multiples of 2^-position with this number of bits; halves away from 0."""
    out = np.zeros(array.shape)
    for place in np.ndindex(array.shape):
        scaled = min(max(array[place] * 2**position, -(2 ** (bits - 1))), 2 ** (bits - 1) - 1)
        out[place] = math.copysign(math.floor(abs(scaled) + 0.5), scaled) / 2**position
    return out


def power_of_2(array, least, most):
    """Round to +-2^n with n from least to most."""
    out = np.zeros(array.shape)
    for place in np.ndindex(array.shape):
        exponent = math.log2(abs(array[place]))
        exponent = math.copysign(math.floor(abs(exponent) + 0.5), exponent)
        out[place] = math.copysign(2 ** min(max(exponent, least), most), array[place])
    return out


def check(type_, plain, text, x, weights):
    """Compare a layer with the plain layer on rounded arrays, forward and backward, for both kinds of rounding."""
    x, *weights = (np.asarray(a, np.float32).astype(float) for a in (x, *weights))
    rounded = [fixed(w, 4, 3) for w in weights]
    dtop = np.random.default_rng(7)
    expected = run(one_layer_net(plain, text, [x.shape]), [fixed(x, 5, 2)], rounded)
    dtops = [dtop.standard_normal(expected.tops[0].shape)]
    expected = run(one_layer_net(plain, text, [x.shape]), [fixed(x, 5, 2)], rounded, dtops)
    received = run(one_layer_net(type_, text + QUANTIZATION, [x.shape]), [x], weights, dtops)
    np.testing.assert_array_equal(received.tops[0], fixed(expected.tops[0].astype(float), 6, 1))
    for got, wanted in zip([*received.diffs, *received.weight_diffs], [*expected.diffs, *expected.weight_diffs]):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
    powers = [power_of_2(weights[0], -4, 0), *weights[1:]]
    expected = run(one_layer_net(plain, text, [x.shape]), [x], powers)
    kind = "quantization_param { precision: INTEGER_POWER_OF_2_WEIGHTS exp_min: -4 exp_max: 0 }"
    received = run(one_layer_net(type_, text + kind, [x.shape]), [x], weights)
    np.testing.assert_allclose(received.tops[0], expected.tops[0], rtol=1e-5, atol=1e-6)


def check_refused(type_, text, shape):
    """Assert that other roundings are errors."""
    for field in ("precision: MINIFLOAT", "rounding_scheme: STOCHASTIC"):
        message = build_error(type_, text + f"quantization_param {{ {field} }}", [shape])
        assert f"{field} is not implemented" in message
