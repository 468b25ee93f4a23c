"""Fillers: moments, exact bilinear kernels, invalid parameters, reproducibility by seed."""

import math

import numpy as np
import pytest
import torch

from caffe.core import fillers
from caffe.errors import CaffeError
from caffe.proto import caffe_pb2, text

BILINEAR = {  # first row of the kernel, as BVLC Caffe 1.0 prints it; the kernel is its outer product
    1: [1],
    2: [0.5, 0.5],
    3: [0.5, 1, 0.5],
    4: [0.25, 0.75, 0.75, 0.25],
    5: [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3],
}


def filled(param, *shape, seed=1):
    message = caffe_pb2.FillerParameter()
    text.parse(param, message)
    tensor = torch.zeros(shape)
    fillers.make_initializer(message, shape, torch.Generator().manual_seed(seed))(tensor)
    return tensor.numpy().astype(np.float64)


def assert_moments(values, mean, std):
    """Assert that mean and standard deviation are within five standard errors (of a normal distribution)."""
    count = values.size
    assert abs(values.mean() - mean) < 5 * std / math.sqrt(count)
    assert abs(values.std() - std) < 5 * std / math.sqrt(2 * count)


def test_constant():
    assert (filled("", 3, 4) == 0).all()
    assert (filled('type: "constant" value: -2.5', 3, 4) == -2.5).all()


@pytest.mark.parametrize("low, high", [(0, 1), (-3, 5)])
def test_uniform(low, high):
    values = filled(f'type: "uniform" min: {low:g} max: {high:g}', 100, 500)
    width = high - low
    assert low <= values.min() < low + width / 1000 and high - width / 1000 < values.max() <= high
    assert_moments(values, (low + high) / 2, width / math.sqrt(12))


def test_uniform_with_equal_bounds_is_constant():
    assert (filled('type: "uniform" min: 2 max: 2', 3, 4) == 2).all()


def test_gaussian():
    values = filled('type: "gaussian" mean: 0.5 std: 0.02', 100, 500)
    assert_moments(values, 0.5, 0.02)
    inside = np.mean(np.abs(values - 0.5) < 0.02)  # a normal has 68.27 % within first standard deviation
    assert abs(inside - 0.6827) < 5 * math.sqrt(0.22 / values.size)


def test_sparse_gaussian_keeps_some_inputs_per_output():
    values = filled('type: "gaussian" std: 2 sparse: 3', 10, 5000)
    nonzero = values != 0
    assert abs(nonzero.mean() - 0.3) < 5 * math.sqrt(0.3 * 0.7 / values.size)
    assert_moments(values[nonzero], 0, 2)
    assert (filled('type: "gaussian" sparse: 0', 4, 5) == 0).all()


def test_positive_unitball():
    values = filled('type: "positive_unitball"', 6, 3, 4, 5)
    assert (values >= 0).all() and np.allclose(values.reshape(6, -1).sum(1), 1, 1e-5)
    assert values.std() > 0.005


FANS = [
    ("", (300, 200), 200),
    ("FAN_IN", (40, 10, 5, 5), 250),
    ("FAN_OUT", (40, 10, 5, 5), 1000),
    ("AVERAGE", (40, 10, 5, 5), 625),
    ("FAN_OUT", (20000,), 20000),
    ("FAN_IN", (20000,), 1),
]


@pytest.mark.parametrize("norm, shape, fan", FANS)
@pytest.mark.parametrize("filler", ["xavier", "msra"])
def test_xavier_and_msra_scale_by_the_fan(filler, norm, shape, fan):
    values = filled('type: "{}" {}'.format(filler, "variance_norm: " + norm if norm else ""), *shape)
    if filler == "msra":
        return assert_moments(values, 0, math.sqrt(2 / fan))
    edge = math.sqrt(3 / fan)
    assert 0.999 * edge < np.abs(values).max() <= edge * (1 + 1e-6)
    assert_moments(values, 0, edge / math.sqrt(3))


@pytest.mark.parametrize("size", BILINEAR)
def test_bilinear_is_exact(size):
    values = filled('type: "bilinear"', 3, 2, size, size)
    for channel in values.reshape(6, size, size):
        assert np.allclose(channel, np.outer(BILINEAR[size], BILINEAR[size]), 1e-6)


INVALID = [
    ('type: "gausian"', (3, 3), "unknown filler 'gausian'.*gaussian"),
    ('type: "bilinear"', (3, 3), "4-D weights with a square kernel"),
    ('type: "bilinear"', (1, 1, 3, 4), "square kernel"),
    ('type: "uniform" min: 1 max: 0', (3,), "min <= max, received 1 and 0"),
    ('type: "gaussian" std: 0', (3,), "positive std, received 0"),
    ('type: "gaussian" std: -1', (3,), "positive std"),
    ('type: "gaussian" sparse: 4', (3, 9), "cannot exceed the first axis"),
    ('type: "gaussian" sparse: -2', (3, 9), "received -2"),
    ('type: "xavier" sparse: 2', (3, 9), "'sparse' is for the gaussian filler"),
]


@pytest.mark.parametrize("param, shape, message", INVALID)
def test_invalid_parameters_raise(param, shape, message):
    with pytest.raises(CaffeError, match=message):
        filled(param, *shape)


def test_equal_seeds_give_equal_weights():
    first, repeated, other = (filled('type: "xavier"', 5, 7, seed=s) for s in (3, 3, 4))
    assert np.array_equal(first, repeated) and not np.array_equal(first, other)


@pytest.mark.parametrize("param", ["type: 'uniform' min: nan", "type: 'uniform' max: inf", "type: 'gaussian' std: nan"])
def test_numbers_must_be_finite(param):
    with pytest.raises(CaffeError, match="finite"):
        filled(param, 2, 3)
