"""MultiStageMeanfield compared with the algorithm point by point, and its lattice with a sum over all pairs."""

import numpy as np
import pytest
from support.reference import assert_close, build_error, check_layer, one_layer_net, run

from caffe.convert.deploy import deploy
from caffe.core.lazy_torch import torch
from caffe.layers._permutohedral import Lattice
from caffe.proto.read import read_net_text

PARAM = "num_iterations: 2 theta_alpha: 3 theta_beta: 1.5 theta_gamma: 2"


def corners(feature):
    """The corners and weights of the simplex around one point, as in section 3 of Adams et al. 2010."""
    d = len(feature)
    scaled = [f * (d + 1) * np.sqrt(2 / 3) / np.sqrt((i + 1) * (i + 2)) for i, f in enumerate(feature)]
    elevated, total = [0.0] * (d + 1), 0.0
    for j in range(d, 0, -1):
        elevated[j] = total - j * scaled[j - 1]
        total += scaled[j - 1]
    elevated[0] = total
    rest = []
    for value in elevated:
        up, down = np.ceil(value / (d + 1)) * (d + 1), np.floor(value / (d + 1)) * (d + 1)
        rest.append(up if up - value < value - down else down)
    surplus = int(round(sum(rest) / (d + 1)))
    rank = [0] * (d + 1)
    for i in range(d):
        for j in range(i + 1, d + 1):
            lower = elevated[i] - rest[i] < elevated[j] - rest[j]
            rank[i if lower else j] += 1
    for i in range(d + 1):
        rank[i] += surplus
        if rank[i] < 0:
            rank[i], rest[i] = rank[i] + d + 1, rest[i] + d + 1
        elif rank[i] > d:
            rank[i], rest[i] = rank[i] - d - 1, rest[i] - d - 1
    weights = [0.0] * (d + 2)
    for i in range(d + 1):
        share = (elevated[i] - rest[i]) / (d + 1)
        weights[d - rank[i]] += share
        weights[d + 1 - rank[i]] -= share
    weights[0] += 1 + weights[d + 1]
    keys = [tuple(int(rest[i] + (k if rank[i] <= d - k else k - d - 1)) for i in range(d)) for k in range(d + 1)]
    return list(zip(keys, weights))


def lattice_filter(features, values):
    """Splat, blur along all axes, and slice, with a dict of vertices."""
    d = features.shape[1]
    points = [corners(f) for f in features]
    grid = {key: 0.0 for point in points for key, _ in point}
    for point, value in zip(points, values):
        for key, weight in point:
            grid[key] = grid[key] + weight * value
    for axis in range(d + 1):
        blurred = {}
        for key, value in grid.items():
            sides = [tuple(k + s * (-d if i == axis else 1) for i, k in enumerate(key)) for s in (-1, 1)]
            blurred[key] = value + 0.5 * sum(grid.get(side, 0.0) for side in sides)
        grid = blurred
    return np.array([sum(weight * grid[key] for key, weight in point) for point in points])


def mean_field(unary, first, image, spatial, bilateral, compatibility):
    _, channels, height, width = unary.shape
    places = np.array([(x, y) for y in range(height) for x in range(width)], float)
    ones = np.ones((height * width, 1))
    out = np.zeros(unary.shape)
    for n in range(len(unary)):
        both = np.concatenate([places / 3, image[n].reshape(3, -1).T / 1.5], axis=1)
        q = first[n].reshape(channels, -1)
        for _ in range(2):
            p = np.exp(q) / np.exp(q).sum(0)
            near, alike = (lattice_filter(f, p.T) / lattice_filter(f, ones) for f in (places / 2, both))
            message = spatial[0, 0] @ near.T + bilateral[0, 0] @ alike.T
            q = unary[n].reshape(channels, -1) - compatibility[0, 0] @ message
        out[n] = q.reshape(unary.shape[1:])
    return [out]


def test_matches_the_algorithm_point_by_point():
    rng = np.random.default_rng(2)
    bottoms = [rng.standard_normal((1, 2, 2, 2)), rng.standard_normal((1, 2, 2, 2)), rng.normal(0, 2, (1, 3, 2, 2))]
    weights = [rng.standard_normal((1, 1, 2, 2)) for _ in range(3)]
    text = f"multi_stage_meanfield_param {{ {PARAM} }}"
    check_layer("MultiStageMeanfield", text, bottoms, mean_field, weights, fixed=(2,))


def test_the_first_weights_are_diagonal():
    text = f"multi_stage_meanfield_param {{ {PARAM} spatial_filter_weight: 4 bilateral_filter_weight: 6 }}"
    net = one_layer_net("MultiStageMeanfield", text, [(1, 2, 2, 3), (1, 2, 2, 3), (1, 3, 2, 3)])
    for blob, value in zip(net.params["l"], (4, 6, -1)):
        assert_close(blob.data, np.eye(2)[None, None] * value, "weights")
    assert run(net, []).tops[0].shape == (1, 2, 2, 3)


@pytest.mark.parametrize("features", [np.zeros((5, 5)), np.repeat(np.arange(4.0)[:, None], 3, axis=1) * 7])
def test_degenerate_points(features):
    values = np.random.default_rng(1).standard_normal((len(features), 2))
    received = Lattice(features).filter(torch.from_numpy(values)).numpy()
    assert_close(received, lattice_filter(features, values), "filtered values")


def test_the_lattice_approximates_a_gaussian():
    """The filter's weights sum to those of a Gaussian up to a factor, within the error that the paper measures."""
    rng = np.random.default_rng(3)
    features = rng.uniform(0, 3, (400, 2))
    values = np.sin(features[:, :1] * 2)
    lattice = Lattice(features)
    both = torch.from_numpy(np.concatenate([values, np.ones_like(values)], axis=1))
    received = lattice.filter(both).numpy()
    kernel = np.exp(-((features[:, None] - features[None]) ** 2).sum(-1) / 2)
    expected = (kernel @ values) / kernel.sum(1, keepdims=True)
    assert np.abs(received[:, :1] / received[:, 1:] - expected).max() < 0.1


def test_errors():
    shapes = [(1, 2, 4, 5), (1, 2, 4, 5), (1, 3, 4, 4)]
    assert "must be (1, 3, 4, 5)" in build_error("MultiStageMeanfield", "", shapes)
    text = "multi_stage_meanfield_param { theta_beta: 0 }"
    assert "theta_beta must be positive" in build_error("MultiStageMeanfield", text, [(1, 3, 4, 5)] * 3)


def test_it_stays_in_the_deploy_net():
    text = """layer { name: "data" type: "ImageData" top: "data" top: "label" image_data_param { new_height: 4 new_width: 5 } }
      layer { name: "crf" type: "MultiStageMeanfield" bottom: "data" bottom: "data" bottom: "data" top: "pred" }
      layer { name: "loss" type: "SoftmaxWithLoss" bottom: "pred" bottom: "label" }"""
    assert [layer.type for layer in deploy(read_net_text(text, "net").param).layer] == [
        "Input", "MultiStageMeanfield", "Softmax"
    ]  # fmt: skip
