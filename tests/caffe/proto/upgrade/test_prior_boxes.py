"""PriorBox layers of FaceBoxes and TextBoxes are recognized by the number of predicted offsets."""

from caffe.proto.read import read_net_text


def net(offsets, priors, more=""):
    text = f"""layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: [1, 3, 64, 64] }} }} }}
layer {{ name: "a_mbox_loc" type: "Convolution" bottom: "data" top: "loc"
  convolution_param {{ num_output: {offsets} kernel_size: 1 }} }}
layer {{ name: "a_mbox_priorbox" type: "PriorBox" bottom: "data" bottom: "data" top: "box"
  prior_box_param {{ {priors} }} }} {more}"""
    [prior] = [layer for layer in read_net_text(text, "net.prototxt").param.layer if layer.type == "PriorBox"]
    return prior.prior_box_param


def test_faceboxes():
    sizes = "min_size: 32 min_size: 64 min_size: 128"
    assert net(84, sizes).faceboxes
    assert not net(12, sizes).faceboxes


def test_textboxes():
    ratios = "min_size: 30 aspect_ratio: 2 aspect_ratio: 3 flip: false"
    assert net(24, ratios).textboxes
    assert not net(12, ratios).textboxes
    assert not net(12, ratios).faceboxes
    assert not net(24, ratios + " denser_prior_boxes: true").textboxes


def test_offsets_of_each_class_are_not_textboxes():
    output = (
        'layer { name: "out" type: "DetectionOutput" bottom: "loc" top: "out" '
        "detection_output_param { num_classes: 2 share_location: false } }"
    )
    assert not net(24, "min_size: 30 aspect_ratio: 2 aspect_ratio: 3 flip: false", output).textboxes
