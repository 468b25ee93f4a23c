"""Fused BatchNorm, Scale and ReLU compared with separate layers: phases, shapes, partial runs."""

import numpy as np
import pytest
from support.pass_nets import RESIDUAL, all_arrays, build_net, compare, run, runners

from caffe import passes
from caffe.layers.base import TEST, TRAIN

CUBES = """
    layer { name: "cube" type: "Power" bottom: "bn0" top: "cube" power_param { power: 3 } }
    layer { name: "loss" type: "Reduction" bottom: "cube" top: "loss" loss_weight: 1 }
"""


def test_passes_apply_to_residual_blocks():
    net = build_net(RESIDUAL, passes.PASSES)
    assert runners(net) == {
        **{
            name + suffix: runner
            for name, runner in (("bn", "Norm"), ("scale", "Scale"))
            for suffix in ("0", "1", "_a", "_b")
        },
        **{"relu1": "Part", "relu_a": "Part", "relu_sum": "InPlaceReLU"},
    }


def _seeded_statistics(net):
    """Set accumulated statistics as after some training."""
    rng = np.random.default_rng(4)
    for name in ("bn0", "bn1", "bn_a", "bn_b"):
        mean, variance, weight = net.params[name]
        mean.data[...], variance.data[...], weight.data[...] = (
            rng.normal(size=mean.shape),
            rng.uniform(1, 3, mean.shape),
            2,
        )
    return net


@pytest.mark.parametrize("phase", [TRAIN, TEST])
def test_accumulated_statistics_give_equal_results(phase):
    plain, fast = (
        _seeded_statistics(build_net(RESIDUAL, selected_passes, phase)) for selected_passes in ((), passes.PASSES)
    )
    compare(run(fast), run(plain), exact=False)


@pytest.mark.parametrize("shape", [(1, 4, 9, 8), (5, 4, 1, 1), (7, 4)])
def test_single_items_and_pixels_give_equal_results(shape):
    definition = RESIDUAL[: RESIDUAL.index('    layer { name: "in"')] + CUBES
    definition = definition.replace("dim: 3 dim: 4 dim: 9 dim: 8", " ".join(f"dim: {d}" for d in shape))
    plain, fast = (
        build_net(definition + "force_backward: true", selected_passes) for selected_passes in ((), passes.PASSES)
    )
    for net in (plain, fast):
        net.params["scale0"][0].data[...] = (1, 2, -1, 0.5)
    compare(run(fast), run(plain), exact=False)


@pytest.mark.parametrize("stop", ["relu_a", "scale_a", "bn_a"])
def test_backward_may_stop_inside_a_fused_group_and_resume(stop):
    plain, fast = build_net(RESIDUAL), build_net(RESIDUAL, passes.PASSES)
    names = plain._layer_names
    for net in (plain, fast):
        net.clear_param_diffs()
        net.forward()
        net.backward(end=stop)
        net.backward(start=names[names.index(stop) - 1])
    compare(all_arrays(fast), all_arrays(plain), exact=False)


@pytest.mark.parametrize(("start", "changed"), [("relu1", "bn1"), ("scale1", "bn1"), ("bn1", "in")])
def test_forward_may_start_inside_a_fused_group(start, changed):
    plain, fast = build_net(RESIDUAL), build_net(RESIDUAL, passes.PASSES)
    for net in (plain, fast):
        net.clear_param_diffs()
        net.forward()
        net.blobs[changed].data[...] *= -0.5
        net.forward(start=start)
        net.backward()
    compare(all_arrays(fast), all_arrays(plain), exact=False)
