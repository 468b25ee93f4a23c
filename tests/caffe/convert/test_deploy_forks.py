"""Deploy nets of training and deploy files of forks: outputs, input sizes, unknown types."""

import pytest
from support.external_data import FORK_CASES as CASES
from support.external_data import needs_shared

import caffe
from caffe.convert.deploy import deploy
from caffe.convert.subgraph import cut, usable_part
from caffe.core import glog
from caffe.net.net import Net
from caffe.proto import caffe_pb2
from caffe.proto.read import read_net, read_net_text
from ncs.compiler.compile import deploy_net


def deployed(text, shape=None):
    return deploy(read_net_text(text, "net").param, shape)


def outputs(param):
    return Net.from_param(param, caffe_pb2.TEST, build_only=True).outputs


def shapes(param):
    return {top: list(s.dim) for layer in param.layer for top, s in zip(layer.top, layer.input_param.shape)}


@needs_shared
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("two_heads", ["bbox_pred", "cls_prob"]),
        ("python_proposal", ["rois"]),
        ("ssd_head", ["out"]),
        ("train_only", ["prob"]),
        ("nvcaffe_stretch", ["prob"]),
        ("annotated_data", ["conv"]),
        ("python_data", ["prob"]),
        ("rfcn_head", ["prob"]),
    ],
)
def test_outputs(name, expected):
    assert outputs(deploy(read_net(CASES / f"{name}.prototxt").param)) == expected


INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: %d dim: 3 dim: %d dim: %d } } }\n'
FC = 'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 10 } }\n'
CONV = (
    'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" '
    "convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }\n"
)


def test_fixed_reshape_follows_the_batch():
    rows = (
        'layer { name: "r" type: "Reshape" bottom: "fc" top: "r" reshape_param { shape { dim: %d dim: 1 dim: %d } } }'
    )
    net = deployed(INPUT % (16, 8, 8) + FC + rows % (16, 10), (1, None, None, None))
    assert Net.from_param(net, caffe_pb2.TEST, build_only=True).blobs["r"].shape == (1, 1, 10)
    net = deployed(INPUT % (16, 8, 8) + FC + rows % (32, 5), (2, None, None, None))
    assert Net.from_param(net, caffe_pb2.TEST, build_only=True).blobs["r"].shape == (4, 1, 5)


def test_other_inputs_keep_their_rows():
    rois = 'layer { name: "rois" type: "Input" top: "rois" input_param { shape { dim: 4 dim: 5 } } }'
    reader = FC.replace('bottom: "data"', 'bottom: "rois"')
    result = shapes(deployed(INPUT % (2, 8, 8) + CONV + rois + reader, (1, None, None, None)))
    assert result == {"data": [1, 3, 8, 8], "rois": [4, 5]}


def test_placeholder_gets_a_size_with_a_warning():
    lines = []
    stop = glog.listen(lines.append)
    try:
        net = deployed(INPUT % (1, 1, 1) + CONV)
    finally:
        stop()
    assert shapes(net) == {"data": [1, 3, 224, 224]}
    assert "is a placeholder" in "".join(lines) and "-is W H" in "".join(lines)
    assert shapes(deployed(INPUT % (1, 1, 1) + CONV, (1, 3, 32, 40))) == {"data": [1, 3, 32, 40]}
    assert shapes(deployed(INPUT % (1, 1, 1) + FC)) == {"data": [1, 3, 1, 1]}  # three numbers, not an image


DATA = 'layer { name: "data" type: "%s" top: "data" top: "label" %s }\n'
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }'


@pytest.mark.parametrize(
    ("kind", "text", "size"),
    [
        ("DummyData", "dummy_data_param { shape { dim: 9 dim: 3 dim: 20 dim: 30 } shape { dim: 9 } }", [1, 3, 20, 30]),
        ("ImageData", "image_data_param { new_height: 20 new_width: 30 }", [1, 3, 20, 30]),
        ("AnnotatedData", "transform_param { resize_param { height: 20 width: 30 } }", [1, 3, 20, 30]),
        ("WindowData", "transform_param { crop_size: 17 }", [1, 3, 17, 17]),
        ("Data", "transform_param { crop_h: 20 crop_w: 30 }", [1, 3, 20, 30]),
        ("DenseImageData", "", [1, 3, 360, 480]),
        (
            "VideoData",
            "video_data_param { new_length: 5 num_segments: 3 } transform_param { crop_size: 9 }",
            [1, 30, 9, 9],
        ),
        ("Python", 'python_param { module: "m" layer: "L" }', [1, 3, 224, 224]),
    ],
)
def test_sizes_come_from_the_data_layer(kind, text, size):
    net = deployed(DATA % (kind, text) + FC + LOSS)
    assert shapes(net) == {"data": size}
    assert outputs(net) == ["prob"]


@pytest.mark.parametrize(
    ("field", "height"), [("scale: 2", 352), ("upsample_h: 90 upsample_w: 120", 360), ("scale: 2 pad_out_h: true", 360)]
)
def test_size_of_segnet_fits_its_upsampling(field, height):
    pool = """layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" top: "mask"
      pooling_param { pool: MAX kernel_size: 2 stride: 2 } }"""
    up = f'layer {{ name: "up" type: "Upsample" bottom: "pool" bottom: "mask" top: "up" upsample_param {{ {field} }} }}'
    assert shapes(deployed(DATA % ("DenseImageData", "") + pool + up)) == {"data": [1, 3, height, 480]}


@pytest.mark.parametrize(
    "text",
    [
        'type: "Convolution3D" convolution3d_param { num_output: 2 kernel_size: 3 kernel_depth: 3 }',
        'type: "NdConvolution" convolution_param { num_output: 2 kernel_shape { dim: 3 dim: 3 dim: 3 } }',
    ],
)
def test_clips_are_assumed_for_layers_of_three_axes(text):
    conv = f'layer {{ name: "conv" {text} bottom: "data" top: "conv" }}'
    data = DATA % ("Python", 'python_param { module: "m" layer: "L" }')
    assert shapes(deployed(data + conv)) == {"data": [1, 3, 16, 112, 112]}
    assert shapes(deployed(data + conv, (1, None, 32, 40))) == {"data": [1, 3, 16, 32, 40]}


def test_several_data_layers():
    text = "dummy_data_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } }"
    labels = 'layer { name: "l" type: "DummyData" top: "label" dummy_data_param { shape { dim: 1 } } }\n'
    net = deployed(f'layer {{ name: "data" type: "DummyData" top: "data" {text} }}\n' + labels + FC + LOSS)
    assert shapes(net) == {"data": [1, 3, 8, 8]}


def test_bottom_of_a_regression_loss_is_an_output():
    box = FC.replace("fc", "box")
    losses = LOSS + 'layer { name: "l2" type: "SmoothL1Loss" bottom: "box" bottom: "label" top: "l2" loss_weight: 0.5 }'
    net = deployed(DATA % ("Data", "transform_param { crop_size: 8 }") + FC + box + losses)
    assert outputs(net) == ["box", "prob"]


def test_unknown_losses_are_removed():
    net = deployed(
        DATA % ("Data", "transform_param { crop_size: 8 }") + FC + LOSS.replace("SoftmaxWithLoss", "FancyLoss")
    )
    assert outputs(net) == ["fc"]


UNKNOWN = 'layer { name: "odd" type: "Unheard" bottom: "conv" top: "odd" }\n'


def test_cut_excludes_unknown_types(tmp_path):
    param = deployed(INPUT % (1, 8, 8) + CONV + UNKNOWN)
    assert outputs(cut(param, None, "conv")) == ["conv"]
    assert outputs(cut(param, "conv", "conv")) == ["conv"]
    assert usable_part(param, ["odd"]) == "\nThe layers before can be used alone: -on conv"


def test_error_has_line_and_hint(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(INPUT % (1, 8, 8) + CONV + UNKNOWN)
    with pytest.raises(Exception) as caught:
        deploy_net(str(path), None, build_only=True)
    assert str(caught.value) == (
        f"{path}:3: layer 'odd' (Unheard): unknown layer type 'Unheard'\nThe layers before can be used alone: -on conv"
    )


def test_layer_that_selects_proposals_becomes_a_split():
    text = (
        INPUT % (1, 8, 8)
        + CONV
        + 'layer { name: "t" type: "Python" bottom: "conv" bottom: "gt" top: "rois" python_param '
    )
    text += '{ module: "rpn.proposal_target_layer" layer: "ProposalTargetLayer" } }\n'
    text += FC.replace('bottom: "data"', 'bottom: "rois"')
    text = text.replace('type: "Input" top: "data"', 'type: "DummyData" top: "data" top: "gt"').replace(
        "input_param", "dummy_data_param"
    )
    net = deployed(text + LOSS.replace('"label"', '"gt"'))
    assert [(layer.name, layer.type) for layer in net.layer][-3:] == [
        ("t", "Split"),
        ("fc", "InnerProduct"),
        ("prob", "Softmax"),
    ]


def test_fillers_that_mean_a_scale_are_kept():
    norm = (
        'layer { name: "n" type: "BatchNorm" bottom: "data" top: "n" '
        "batch_norm_param { filler { value: 1 } bias_filler { } } }"
    )
    net = Net.from_param(deployed(INPUT % (1, 4, 4) + norm), caffe_pb2.TEST, build_only=True)
    assert [blob.shape for blob in net.params["n"]] == [(3,), (3,), (1,), (3,), (3,)]


def kinds(text):
    return [(layer.type, list(layer.top)) for layer in deployed(text).layer]


DUMMY = 'layer { name: "data" type: "DummyData" top: "data" dummy_data_param { shape { dim: [1, 3, 4, 4] } } }\n'
SCORE = 'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 2 } }\n'


def test_a_python_layer_with_a_loss_weight_is_a_loss():
    loss = (
        'layer { name: "loss" type: "Python" bottom: "fc" bottom: "fc" top: "loss" loss_weight: 1 '
        'python_param { module: "pyloss" layer: "EuclideanLossLayer" } }'
    )
    assert kinds(DUMMY + SCORE + loss) == [("Input", ["data"]), ("InnerProduct", ["fc"])]


def test_detectnets_clusters_are_left_to_the_application():
    cluster = (
        'layer { name: "cluster" type: "Python" bottom: "fc" top: "boxes" '
        'python_param { module: "caffe.layers.detectnet.clustering" layer: "ClusterDetections" } }\n'
        'layer { name: "loss" type: "L1Loss" bottom: "fc" bottom: "fc" top: "loss" }'
    )
    assert kinds(DUMMY + SCORE + cluster) == [("Input", ["data"]), ("InnerProduct", ["fc"])]


def test_losses_of_old_forks_are_losses():
    text = (
        'input: "data" input_dim: 1 input_dim: 3 input_dim: 4 input_dim: 4\n'
        'layers { name: "fc" type: INNER_PRODUCT bottom: "data" top: "fc" inner_product_param { num_output: 2 } }\n'
        'layers { name: "l" type: TRANSFORM_SOFTMAX_LOSS bottom: "fc" bottom: "label" }\n'
        'layers { name: "a" type: TRANSFORM_ACCURACY bottom: "fc" bottom: "label" top: "a" }\n'
    )
    assert [kind for kind, _ in kinds(text)] == ["Input", "InnerProduct"]


def test_a_fixed_reshape_before_a_loss():
    """The batch of the reshapes is found with a net that is only built; its loss has no gradient."""
    param = deployed(
        """layer { name: "x" type: "DummyData" top: "x" top: "t" dummy_data_param { shape { dim: 4 dim: 6 } shape { dim: 4 } } }
        layer { name: "r" type: "Reshape" bottom: "x" top: "r" reshape_param { shape { dim: 4 dim: 2 dim: 3 } } }
        layer { name: "f" type: "InnerProduct" bottom: "r" top: "f" inner_product_param { num_output: 2 } }
        layer { name: "l" type: "SoftmaxWithLoss" bottom: "f" bottom: "t" top: "l" loss_weight: 2 }"""
    )
    assert outputs(param) == ["prob"]
    assert shapes(param)["x"] == [1, 6]


def test_clips_of_c3d_have_five_axes():
    video = (
        'layer { name: "data" type: "VideoData" top: "data" top: "label" transform_param { crop_size: 32 } '
        'video_data_param { source: "list" batch_size: 4 new_length: 8 new_height: 40 new_width: 50 %s } }\n'
        'layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { global_pooling: true pool: AVE } }'
    )
    assert shapes(deployed(video % "use_image: true"))["data"] == [1, 3, 8, 32, 32]
    assert shapes(deployed(video % "modality: RGB"))["data"] == [1, 24, 32, 32]  # TSN stacks the frames


def test_clips_of_c3d_with_a_truth_for_each_voxel_have_16_frames():
    text = """layers { name: "data" type: VIDEO_WITH_VOXEL_TRUTH_DATA top: "data" top: "truth"
        image_data_param { source: "list" crop_size: 24 } }
      layers { name: "conv" type: CONVOLUTION3D bottom: "data" top: "conv" convolution_param { num_output: 4
        kernel_size: 3 kernel_depth: 3 stride: 2 temporal_stride: 2 } }
      layers { name: "up" type: DECONVOLUTION3D bottom: "conv" top: "up" convolution_param { num_output: 2
        kernel_size: 4 kernel_depth: 2 stride: 2 temporal_stride: 2 } }
      layers { name: "loss" type: EUCLIDEAN_LOSS bottom: "up" bottom: "truth" }"""
    net = Net.from_param(deployed(text), caffe.TEST, build_only=True)
    sizes = [net.blobs[name].shape for name in ("data", "conv", "up")]
    assert sizes == [(1, 3, 16, 24, 24), (1, 4, 7, 11, 11), (1, 2, 14, 24, 24)]
