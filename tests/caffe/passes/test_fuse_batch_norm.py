"""BatchNorm, Scale and ReLU as one beside the three of them: phases, shapes, and who runs a part alone."""

import numpy as np
import pytest
from support.pass_nets import RESIDUAL, compare, everything, made, run, runners

from caffe import passes
from caffe.layers.base import TEST, TRAIN

CUBES = """
    layer { name: "cube" type: "Power" bottom: "bn0" top: "cube" power_param { power: 3 } }
    layer { name: "loss" type: "Reduction" bottom: "cube" top: "loss" loss_weight: 1 }
"""


def test_the_passes_act_in_residual_blocks():
    net = made(RESIDUAL, passes.PASSES)
    assert runners(net) == {
        **{
            name + which: kind
            for name, kind in (("bn", "Norm"), ("scale", "Scale"))
            for which in ("0", "1", "_a", "_b")
        },
        **{"relu1": "Part", "relu_a": "Part", "relu_sum": "InPlaceReLU"},
    }


def _seeded_statistics(net):
    """Statistics as after some training, so that the accumulated ones matter."""
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
def test_accumulated_statistics_give_the_same_in_both_ways(phase):
    plain, fast = (_seeded_statistics(made(RESIDUAL, chosen, phase)) for chosen in ((), passes.PASSES))
    compare(run(fast), run(plain), exact=False)


@pytest.mark.parametrize("shape", [(1, 4, 9, 8), (5, 4, 1, 1), (7, 4)])
def test_batches_of_one_and_planes_of_one_are_normalized_alike(shape):
    definition = RESIDUAL[: RESIDUAL.index('    layer { name: "in"')] + CUBES
    definition = definition.replace("dim: 3 dim: 4 dim: 9 dim: 8", " ".join("dim: %d" % d for d in shape))
    plain, fast = (made(definition + "force_backward: true", chosen) for chosen in ((), passes.PASSES))
    for net in (plain, fast):
        net.params["scale0"][0].data[...] = (1, 2, -1, 0.5)
    compare(run(fast), run(plain), exact=False)


@pytest.mark.parametrize("stop", ["relu_a", "scale_a", "bn_a"])
def test_backward_may_stop_amid_a_batch_norm_and_go_on(stop):
    plain, fast = made(RESIDUAL), made(RESIDUAL, passes.PASSES)
    names = plain._layer_names
    for net in (plain, fast):
        net.clear_param_diffs()
        net.forward()
        net.backward(end=stop)
        net.backward(start=names[names.index(stop) - 1])
    compare(everything(fast), everything(plain), exact=False)


@pytest.mark.parametrize(("start", "changed"), [("relu1", "bn1"), ("scale1", "bn1"), ("bn1", "in")])
def test_forward_may_go_on_amid_a_batch_norm(start, changed):
    plain, fast = made(RESIDUAL), made(RESIDUAL, passes.PASSES)
    for net in (plain, fast):
        net.clear_param_diffs()
        net.forward()
        net.blobs[changed].data[...] *= -0.5
        net.forward(start=start)
        net.backward()
    compare(everything(fast), everything(plain), exact=False)
