"""A small MobileNet-SSD (depthwise convolutions, two scales) for images of 48 x 48 with two kinds of objects."""


def layer(text):
    return "layer { " + text + " }\n"


def _conv(name, bottom, outputs, kernel, stride=1, group=1):
    kind, extra = ("ConvolutionDepthwise", "") if group > 1 else ("Convolution", "")
    return layer(
        f'name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{name}" convolution_param {{ num_output: {outputs} '
        f"kernel_size: {kernel} pad: {kernel // 2} stride: {stride} {extra}"
        f'weight_filler {{ type: "msra" }} }}'
    )


def _block(name, bottom, inputs, outputs, stride):
    """A depthwise and a 1 x 1 convolution, each with ReLU."""
    return (
        _conv(name + "/dw", bottom, inputs, 3, stride, inputs)
        + layer(f'name: "{name}/dw/relu" type: "ReLU" bottom: "{name}/dw" top: "{name}/dw"')
        + _conv(name, name + "/dw", outputs, 1)
        + layer(f'name: "{name}/relu" type: "ReLU" bottom: "{name}" top: "{name}"')
    )


def _head(source, size, largest):
    text = ""
    for part, outputs in (("loc", 16), ("conf", 12)):
        name = f"{source}_mbox_{part}"
        text += _conv(name, source, outputs, 1)
        text += layer(
            f'name: "{name}_perm" type: "Permute" bottom: "{name}" top: "{name}_perm" '
            "permute_param { order: 0 order: 2 order: 3 order: 1 }"
        )
        text += layer(f'name: "{name}_flat" type: "Flatten" bottom: "{name}_perm" top: "{name}_flat"')
    return text + layer(
        f'name: "{source}_mbox_priorbox" type: "PriorBox" bottom: "{source}" bottom: "data" '
        f'top: "{source}_mbox_priorbox" prior_box_param {{ min_size: {size} max_size: {largest} aspect_ratio: 2 flip: true '
        "variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 offset: 0.5 }"
    )


def body():
    """Return the layers from "data" to "mbox_loc", "mbox_conf" and "mbox_priorbox"."""
    text = _conv("conv0", "data", 16, 3, 2) + layer('name: "conv0/relu" type: "ReLU" bottom: "conv0" top: "conv0"')
    text += (
        _block("conv1", "conv0", 16, 24, 2) + _block("conv2", "conv1", 24, 32, 2) + _block("conv3", "conv2", 32, 48, 2)
    )
    text += _head("conv2", 16, 20) + _head("conv3", 20, 26)
    for part, axis in (("loc_flat", 1), ("conf_flat", 1), ("priorbox", 2)):
        top = "mbox_" + part.split("_")[0]
        bottoms = " ".join(f'bottom: "{source}_mbox_{part}"' for source in ("conv2", "conv3"))
        text += layer(f'name: "{top}" type: "Concat" {bottoms} top: "{top}" concat_param {{ axis: {axis} }}')
    return text


def detections():
    """Return the layers from the scores to "detection_out"."""
    return (
        layer(
            'name: "scores" type: "Reshape" bottom: "mbox_conf" top: "scores" '
            "reshape_param { shape { dim: 0 dim: -1 dim: 3 } }"
        )
        + layer('name: "prob" type: "Softmax" bottom: "scores" top: "prob" softmax_param { axis: 2 }')
        + layer('name: "prob_flat" type: "Flatten" bottom: "prob" top: "prob_flat"')
        + layer(
            'name: "detection_out" type: "DetectionOutput" bottom: "mbox_loc" bottom: "prob_flat" bottom: "mbox_priorbox" '
            'top: "detection_out" detection_output_param { num_classes: 3 share_location: true code_type: CENTER_SIZE '
            "keep_top_k: 20 confidence_threshold: 0.05 nms_param { nms_threshold: 0.45 top_k: 50 } }"
        )
    )


def train_val(train, test):
    """Return the net for training on the LMDB `train`, and for testing on `test`."""
    text = ""
    for phase, source, batch, changes in (
        ("TRAIN", train, 16, "mirror: true expand_param { prob: 0.3 max_expand_ratio: 1.3 } "),
        ("TEST", test, 10, ""),
    ):
        text += layer(
            f'name: "data" type: "AnnotatedData" top: "data" top: "label" include {{ phase: {phase} }} '
            f"transform_param {{ mean_value: 60 scale: 0.01 {changes}resize_param {{ height: 48 width: 48 }} }} "
            f'data_param {{ source: "{source}" backend: LMDB batch_size: {batch} }} '
        )
    loss = layer(
        'name: "mbox_loss" type: "MultiBoxLoss" bottom: "mbox_loc" bottom: "mbox_conf" bottom: "mbox_priorbox" '
        'bottom: "label" top: "mbox_loss" include { phase: TRAIN } propagate_down: [true, true, false, false] multibox_loss_param { num_classes: 3 '
        "code_type: CENTER_SIZE neg_pos_ratio: 3 } "
    )
    evaluation = layer(
        'name: "eval" type: "DetectionEvaluate" bottom: "detection_out" bottom: "label" top: "eval" '
        "detection_evaluate_param { num_classes: 3 background_label_id: 0 overlap_threshold: 0.5 } "
    )
    testing = (detections() + evaluation).replace(" }\n", " include { phase: TEST } }\n")
    return text + body() + loss + testing


def deploy():
    """Return the net for detection."""
    data = layer('name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 48 dim: 48 } }')
    return data + body() + detections()


def solver(folder, iterations):
    """Write the net and its solver for the LMDBs train and test in `folder`; return the solver's path."""
    (folder / "train_val.prototxt").write_text(train_val(folder / "train", folder / "test"))
    (folder / "solver.prototxt").write_text(
        f'net: "{folder}/train_val.prototxt" type: "Adam" base_lr: 0.004 lr_policy: "multistep" gamma: 0.2 '
        f"stepvalue: {int(iterations * 0.75)} max_iter: {iterations} random_seed: 4 test_iter: 4 test_interval: 1000 "
        f'test_initialization: false eval_type: "detection" ap_version: "MaxIntegral" display: 50 '
        f'snapshot_prefix: "{folder}/ssd" snapshot_after_train: false\n'
    )
    return folder / "solver.prototxt"
