"""MobileNet-SSD for 21 classes at 300 x 300 pixels, generated from its published structure, with seeded weights."""

import numpy as np

from caffe.convert.deploy import deploy
from caffe.net.net import Net
from caffe.proto import caffe_pb2
from caffe.proto.read import read_net_text

# outputs and stride of the thirteen depthwise separable convolutions of MobileNet
BODY = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
EXTRA = [(256, 512), (128, 256), (128, 256), (64, 128)]  # outputs of a 1x1 and of a 3x3 convolution of stride 2
SIZES = [(60, None), (105, 150), (150, 195), (195, 240), (240, 285), (285, 300)]  # of the priors, in pixels
CLASSES = 21


class _Text:
    """The prototxt, layer by layer."""

    def __init__(self):
        self.layers = [
            'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 300 dim: 300 } } }'
        ]

    def add(self, name, kind, bottoms, fields=""):
        text = " ".join(f'bottom: "{bottom}"' for bottom in bottoms)
        self.layers.append(f'layer {{ name: "{name}" type: "{kind}" {text} top: "{name}" {fields} }}')
        return name

    def conv(self, name, bottom, outputs, kernel=1, stride=1, group=1, relu=True):
        fields = f"num_output: {outputs} kernel_size: {kernel} stride: {stride} pad: {kernel // 2} group: {group}"
        self.add(name, "Convolution", [bottom], f"convolution_param {{ {fields} }}")
        if relu:
            self.layers.append(f'layer {{ name: "{name}_relu" type: "ReLU" bottom: "{name}" top: "{name}" }}')
        return name


def prototxt():
    """Return (prototxt, names of the blobs of locations, confidences and priors)."""
    t = _Text()
    top, channels, sources = t.conv("conv0", "data", 32, 3, 2), 32, []
    for number, (outputs, stride) in enumerate(BODY, 1):
        top = t.conv(f"conv{number}_dw", top, channels, 3, stride, channels)
        top, channels = t.conv(f"conv{number}", top, outputs), outputs
        if number in (11, 13):
            sources.append((top, channels))
    for number, (narrow, wide) in enumerate(EXTRA, 14):
        top = t.conv(f"conv{number}_2", t.conv(f"conv{number}_1", top, narrow), wide, 3, 2)
        sources.append((top, wide))
    heads = {"loc": [], "conf": [], "prior": []}
    for (source, _), (smallest, largest) in zip(sources, SIZES):
        priors = 3 if largest is None else 6
        for head, width in (("loc", 4), ("conf", CLASSES)):
            name = t.conv(f"{source}_{head}", source, priors * width, relu=False)
            name = t.add(name + "_perm", "Permute", [name], "permute_param { order: 0 order: 2 order: 3 order: 1 }")
            heads[head].append(t.add(name + "_flat", "Flatten", [name]))
        ratios = "aspect_ratio: 2" + ("" if largest is None else f" aspect_ratio: 3 max_size: {largest}")
        fields = f"min_size: {smallest} {ratios} flip: true clip: false offset: 0.5"
        variances = " ".join(f"variance: {value}" for value in (0.1, 0.1, 0.2, 0.2))
        heads["prior"].append(
            t.add(f"{source}_prior", "PriorBox", [source, "data"], f"prior_box_param {{ {fields} {variances} }}")
        )
    loc = t.add("mbox_loc", "Concat", heads["loc"], "concat_param { axis: 1 }")
    conf = t.add("mbox_conf", "Concat", heads["conf"], "concat_param { axis: 1 }")
    prior = t.add("mbox_prior", "Concat", heads["prior"], "concat_param { axis: 2 }")
    shaped = t.add("conf_shaped", "Reshape", [conf], f"reshape_param {{ shape {{ dim: 0 dim: -1 dim: {CLASSES} }} }}")
    soft = t.add("conf_soft", "Softmax", [shaped], "softmax_param { axis: 2 }")
    flat = t.add("conf_flat", "Flatten", [soft])
    nms = (
        "nms_param { nms_threshold: 0.45 top_k: 100 } code_type: CENTER_SIZE keep_top_k: 100 confidence_threshold: 0.25"
    )
    t.add(
        "detection_out",
        "DetectionOutput",
        [loc, flat, prior],
        f"detection_output_param {{ num_classes: {CLASSES} {nms} }}",
    )
    return "\n".join(t.layers), (loc, flat, prior)


def seeded_net(text, image, seed=1):
    """Return the Net with random weights, each layer scaled to outputs of a standard deviation of 1 for `image`."""
    net = Net.from_param(deploy(read_net_text(text, "ssd").param), caffe_pb2.TEST)
    rng = np.random.default_rng(seed)
    net.blobs["data"].data[...] = image
    for number, node in enumerate(net.nodes):
        layer = node.layer
        if layer.type == "Convolution":
            weights, bias = layer.blobs
            weights.data[...] = rng.standard_normal(weights.shape)
            bias.data[...] = 0
        net.forward_range(number, number, record=False)
        if layer.type == "Convolution":
            # spread class scores make clear detections
            wanted = 3.0 if layer.name.endswith("_conf") else 0.5 if layer.name.endswith("_loc") else 1.0
            output = net.blobs[node.tops[0] if hasattr(node, "tops") else layer.name].data
            weights.data[...] *= wanted / max(float(output.std()), 1e-6)
            net.forward_range(number, number, record=False)
    net.forward()
    return net
