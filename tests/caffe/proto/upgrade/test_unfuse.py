"""The steps that forks compute inside a layer equal the separate layers."""

import numpy as np
import pytest
from support.layer_nets import net_of

INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 4 dim: 4 } } }\n'
FUSED = 'layer { name: "l" type: "%s" bottom: "x" top: "y" %s { %s relu: true %s } }'
APART = (
    'layer { name: "l" type: "%s" bottom: "x" top: "y" %s { %s } } '
    'layer { name: "r" type: "ReLU" bottom: "y" top: "y" %s }'
)
KINDS = [
    ("Convolution", "convolution_param", "num_output: 2 kernel_size: 3"),
    ("InnerProduct", "inner_product_param", "num_output: 5"),
    ("BatchNorm", "batch_norm_param", "use_global_stats: false"),
]


@pytest.mark.parametrize(("kind", "param", "text"), KINDS, ids=[kind for kind, _, _ in KINDS])
@pytest.mark.parametrize("slope", [0, 0.25])
def test_equals_the_separate_layers(kind, param, text, slope):
    leaky = f"negative_slope: {slope}" if slope else ""
    if leaky and kind == "BatchNorm":
        pytest.skip("it has no slope")
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 3, 4, 4))
    tops = []
    for prototxt in (FUSED % (kind, param, text, leaky), APART % (kind, param, text, f"relu_param {{ {leaky} }}")):
        net = net_of(INPUT + prototxt)
        weights = np.random.default_rng(2)
        for blob in net.params["l"]:
            blob.data[...] = weights.standard_normal(blob.shape) if kind != "BatchNorm" else 0
        net.blobs["x"].data[...] = x
        net.forward()
        tops.append(net.blobs["y"].data.copy())
    assert np.array_equal(*tops)
    assert (tops[0] == 0).any() if not slope else (tops[0] < 0).any()


def blob(name, shape):
    dims = " ".join(f"dim: {size}" for size in shape)
    return f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}\n'


DETECTION = (
    'layer { name: "out" type: "DetectionOutput" %s top: "out" '
    "detection_output_param { num_classes: 2 code_type: CENTER_SIZE %s } }"
)


def test_detection_output_with_a_bottom_for_each_map():
    rng = np.random.default_rng(3)
    planes = [(2, 3), (1, 2), (1, 1)]  # height and width of the maps, two anchors each
    scores = [rng.uniform(0, 1, (1, 2, 2, h * w)) for h, w in planes]
    offsets = [rng.standard_normal((1, 8, h, w)) for h, w in planes]
    count = 2 * sum(h * w for h, w in planes)
    low = rng.uniform(0, 0.6, (count, 2))
    corners = np.concatenate([low, low + rng.uniform(0.1, 0.4, (count, 2))], axis=1).ravel()
    priors = np.stack([corners, np.full(4 * count, 0.1)])[None]
    names = ["s0", "s1", "s2", "o0", "o1", "o2", "p"]
    arrays = dict(zip(names, [*scores, *offsets, priors]))
    text = "".join(blob(name, array.shape) for name, array in arrays.items())
    bottoms = " ".join(f'bottom: "{name}"' for name in names)
    net = net_of(text + DETECTION % (bottoms, "no_permute: true nbottom: 3"))
    joined = {}  # in Caffe's order: map, row, column, anchor
    rows = [
        (scores[m][0, :, a, i * planes[m][1] + j], offsets[m][0, 4 * a : 4 * a + 4, i, j])
        for m in range(3)
        for i, j in np.ndindex(*planes[m])
        for a in range(2)
    ]
    joined["conf"], joined["loc"] = (np.concatenate([row[k] for row in rows])[None] for k in (0, 1))
    joined["p"] = priors
    plain = net_of(
        "".join(blob(name, array.shape) for name, array in joined.items())
        + DETECTION % ('bottom: "loc" bottom: "conf" bottom: "p"', "")
    )
    for tested, inputs in ((net, arrays), (plain, joined)):
        for name, array in inputs.items():
            tested.blobs[name].data[...] = array
        tested.forward()
    assert plain.blobs["out"].data.shape[2] > 3
    assert np.allclose(net.blobs["out"].data, plain.blobs["out"].data, atol=1e-6)
