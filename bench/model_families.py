#!/usr/bin/env python
"""Measures what works with public model families, and writes docs/models.md.

bench/model_families.py DIR: DIR has the checkouts, as DIR/OWNER/REPOSITORY/PATH, of which only the prototxt files of
FAMILIES are read. Every net gets seeded weights; ONNX Runtime, OpenVINO, OpenCV and kendryte-caffe must give the outputs of our Net
within 1e-3 of the largest value. Each net runs in a process of its own. Nets that are not in DIR keep their old line.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import model_page

PAGE = Path(__file__).resolve().parents[1] / "docs" / "models.md"
TIMEOUT = 1500
# family -> deploy file, train_val file or ""
FAMILIES = {
    "SE-ResNet-50": ("hujie-frank/SENet/models/SE-ResNet-50.prototxt", ""),
    "ShuffleNet": ("farmingyard/ShuffleNet/shufflenet_1x_g3_deploy.prototxt", ""),
    "MobileNet": ("shicai/MobileNet-Caffe/mobilenet_deploy.prototxt", ""),
    "MobileNet v2": ("shicai/MobileNet-Caffe/mobilenet_v2_deploy.prototxt", ""),
    "SqueezeNet 1.1": (
        "DeepScale/SqueezeNet/SqueezeNet_v1.1/deploy.prototxt",
        "DeepScale/SqueezeNet/SqueezeNet_v1.1/train_val.prototxt",
    ),
    "ResNet-50": ("KaimingHe/deep-residual-networks/prototxt/ResNet-50-deploy.prototxt", ""),
    "DenseNet-121": ("shicai/DenseNet-Caffe/DenseNet_121.prototxt", ""),
    "MTCNN, O-Net": ("kpzhang93/MTCNN_face_detection_alignment/code/codes/MTCNNv1/model/det3.prototxt", ""),
    "caffe-face": (
        "ydwen/caffe-face/face_example/face_deploy.prototxt",
        "ydwen/caffe-face/face_example/face_train_test.prototxt",
    ),
    "SphereFace": (
        "wy1iu/sphereface/train/code/sphereface_deploy.prototxt",
        "wy1iu/sphereface/train/code/sphereface_model.prototxt",
    ),
    "caffe_ocr, DenseNet": (
        "senlinuc/caffe_ocr/examples/ocr/densenet/densenet-no-blstm_deploy.prototxt",
        "senlinuc/caffe_ocr/examples/ocr/densenet/densenet-no-blstm_train-val.prototxt",
    ),
    "MobileNet-SSD": ("chuanqi305/MobileNet-SSD/deploy.prototxt", ""),
    "FaceBoxes": ("sfzhang15/FaceBoxes/models/faceboxes/deploy.prototxt", ""),
    "TextBoxes": ("MhLiao/TextBoxes/examples/TextBoxes/deploy.prototxt", ""),
    "SSD 300, VGG-16": ("BVLC/caffe/models/intel_optimized_models/ssd/VGGNet/VOC0712/SSD_300x300/deploy.prototxt", ""),
    "MobileNet-YOLO": ("eric612/MobileNet-YOLO/models/yolov2/mobilenet_yolo_deploy.prototxt", ""),
    "Faster R-CNN, VGG-16": (
        "rbgirshick/py-faster-rcnn/models/pascal_voc/VGG16/faster_rcnn_end2end/test.prototxt",
        "rbgirshick/py-faster-rcnn/models/pascal_voc/VGG16/faster_rcnn_end2end/train.prototxt",
    ),
    "R-FCN, ResNet-50": (
        "YuwenXiong/py-R-FCN/models/pascal_voc/ResNet-50/rfcn_end2end/test_agnostic.prototxt",
        "YuwenXiong/py-R-FCN/models/pascal_voc/ResNet-50/rfcn_end2end/train_agnostic_ohem.prototxt",
    ),
    "SegNet basic": (
        "alexgkendall/SegNet-Tutorial/Models/segnet_basic_inference.prototxt",
        "alexgkendall/SegNet-Tutorial/Models/segnet_basic_train.prototxt",
    ),
    "SegNet": (
        "alexgkendall/SegNet-Tutorial/Models/segnet_inference.prototxt",
        "alexgkendall/SegNet-Tutorial/Models/segnet_train.prototxt",
    ),
    "PSPNet-50": ("hszhao/PSPNet/evaluation/prototxt/pspnet50_ADE20K_473.prototxt", ""),
    "ICNet": ("hszhao/ICNet/evaluation/prototxt/icnet_cityscapes.prototxt", ""),
    "FCN-8s": ("shelhamer/fcn.berkeleyvision.org/voc-fcn8s/deploy.prototxt", ""),
    "ENet": ("TimoSaemann/ENet/prototxts/enet_deploy.prototxt", ""),
    "OpenPose, body 25": ("CMU-Perceptual-Computing-Lab/openpose/models/pose/body_25/pose_deploy.prototxt", ""),
    "C3D": (
        "facebook/C3D/C3D-v1.0/examples/c3d_feature_extraction/prototxt/c3d_sport1m_feature_extractor_frm.prototxt",
        "facebook/C3D/C3D-v1.0/examples/c3d_train_ucf101/conv3d_ucf101_train.prototxt",
    ),
}
COLUMNS = model_page.COLUMNS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of the checkouts: OWNER/REPOSITORY/...")
    parser.add_argument("--family", action="append", help="only this family; may be repeated")
    parser.add_argument("--without", action="append", default=[], choices=COLUMNS, help="a column that is not measured")
    parser.add_argument("--one", metavar="FILES", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        deploy, _, train = args.one.partition("|")
        _one(args.folder, deploy, train, args.without)
        return
    from caffe.utils.atomic_io import write_bytes

    results = model_page.read(PAGE, FAMILIES)
    for family, (deploy, train) in FAMILIES.items():
        present = any(name and (args.folder / name).is_file() for name in (deploy, train))
        if present and (not args.family or family in args.family):
            old = results.get(family, {})
            kept = {column: old.get(column, "") for column in args.without}
            found = _measured(args.folder, deploy, train, args.without)
            notes = [note for note in old.get("note", "").split("; ") if note.split(":")[0] in args.without]
            found["note"] = "; ".join(notes + [note for note in [found.get("note")] if note])
            results[family] = {**kept, **found, "file": deploy or train}
            write_bytes(PAGE, model_page.text(results, FAMILIES))


def _measured(folder: Path, deploy: str, train: str, without: list[str]) -> dict[str, str]:
    command = [sys.executable, __file__, str(folder), "--one", f"{deploy}|{train}"]
    command += [f"--without={column}" for column in without]
    found: dict[str, str] = {}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
        output, reason = done.stdout, "" if done.returncode == 0 else f"exit status {done.returncode}"
    except subprocess.TimeoutExpired as expired:
        output, reason = (expired.stdout or b"").decode(), f"not finished after {TIMEOUT} s"
    for line in output.splitlines():
        if line.startswith("{"):
            found.update(json.loads(line))
    if reason:
        found.setdefault("note", reason)
    return found


# -- one net, in a process of its own --------------------------------------------------------------


def _one(folder: Path, deploy: str, train: str, without: list[str]) -> None:
    """Print one JSON object per result."""
    notes: list[str] = []
    if train and "train" not in without and (folder / train).is_file():
        _report({"train": _trains(folder / train, notes)})
    if deploy and (folder / deploy).is_file():
        with tempfile.TemporaryDirectory() as scratch:
            _deployed(folder / deploy, Path(scratch), notes, without)
    _report({"note": "; ".join(dict.fromkeys(notes))})


def _report(values: dict[str, str]) -> None:
    print(json.dumps(values), flush=True)


def _first(error: BaseException) -> str:
    text = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
    return re.sub(r"\S*/", "", text).replace("|", "/")[:110]


def _trains(path: Path, notes: list[str]) -> str:
    from caffe.errors import CaffeError
    from caffe.layers import base
    from caffe.net import filter_and_split
    from caffe.proto import caffe_pb2
    from caffe.proto.read import read_net

    state = filter_and_split.net_state(caffe_pb2.TRAIN, 0, [])
    for layer in read_net(str(path)).param.layer:
        if filter_and_split.included(layer, state):
            if layer.type == "Python":
                notes.append(f"training: Python layer {layer.python_param.module}.{layer.python_param.layer}")
                return "with its Python code"
            try:
                base.check(layer, caffe_pb2.TRAIN)
            except CaffeError as error:
                notes.append(f"training: {_first(error)}")
                return "no"
    return "yes"


def _deployed(path: Path, scratch: Path, notes: list[str], without: list[str]) -> None:
    import numpy as np

    from caffe.convert.deploy import deploy
    from caffe.net.net import Net
    from caffe.proto import caffe_pb2, text
    from caffe.proto.read import read_net

    try:
        param = deploy(read_net(str(path)).param, (1, None, None, None))
        net = Net.from_param(param, caffe_pb2.TEST)
    except Exception as error:
        notes.append(_first(error))
        _report({"read": "no"})
        return
    _report({"read": "yes"})
    if set(model_page.COLUMNS[2:]) <= set(without):
        return
    _set_weights(net)
    rng = np.random.default_rng(4)
    for name in net.inputs:
        shape = net.blobs[name].data.shape
        info = name == "im_info"
        net.blobs[name].data[...] = [list(net.blobs["data"].data.shape[2:]) + [1]] if info else rng.normal(0, 1, shape)
    feeds = {name: net.blobs[name].data.copy() for name in net.inputs}  # before the pass: a layer may change its bottom
    net.forward()
    expected = {name: net.blobs[name].data.copy() for name in net.outputs}
    files = scratch / "net.prototxt", scratch / "net.caffemodel"
    files[0].write_text(text.format(param))
    net.save(str(files[1]))
    import model_peers

    vary = _tops_of_varying_rows(net)
    runs = {"onnx": _onnx, "openvino": _openvino, "opencv": model_peers.opencv, "kendryte": model_peers.kendryte}
    for column, run in {**runs, "blob": _blob}.items():  # the blob last: it takes longest
        if column in without:
            continue
        try:
            result = run(net, files, feeds, scratch)
            if result is None:
                _report({column: "yes"})
                continue
            errors = [_error(result[name], value, name in vary) for name, value in expected.items()]
            notes += [f"{column}: outputs differ by {max(errors):.1g}"] if max(errors) > 1e-3 else []
            _report({column: "yes" if max(errors) <= 1e-3 else "differs"})
        except Exception as error:
            notes.append(f"{column}: {_first(error)}")
            _report({column: "no"})


def _set_weights(net) -> None:
    """Set seeded weights, scales of 1, biases of 0, and statistics of 0 and 1."""
    import numpy as np

    rng = np.random.default_rng(3)
    constants = {"BatchNorm": (0, 1, 1), "BN": (1, 0, 0, 1), "PReLU": (0.25,)}
    for layer in net.layers:
        for number, blob in enumerate(getattr(layer, "blobs", ())):
            if layer.type in constants:  # with scale_bias, BatchNorm has a scale and a bias as well
                blob.data[...] = (*constants[layer.type], 1, 0)[number]
            elif len(blob.shape) < 2:
                blob.data[...] = 1 if number == 0 else 0
            else:
                blob.data[...] = rng.normal(0, (2 / int(np.prod(blob.shape[1:]))) ** 0.5, blob.shape)


def _tops_of_varying_rows(net) -> set[str]:
    """Return the blobs whose number of rows depends on values: the regions of Proposal, and what is computed of them."""
    found: set[str] = set()
    for layer in net.layers:
        if getattr(layer, "rows_vary", False) or found.intersection(layer.param.bottom):
            found.update(layer.param.top)
    return found


def _error(received, expected, rows_vary=False) -> float:
    """Return the largest difference relative to the largest value; of detections and regions see `_unmatched`."""
    import numpy as np

    received = np.asarray(received)
    detections = expected.shape[-1] == 7 and expected.ndim == 4 and expected.shape[:2] == (1, 1)
    if rows_vary and not detections and expected.size:
        width, largest = expected[0].size, max(np.abs(expected).max(), 1e-6)
        # an operation with a fixed number of rows has further ones, so only those that are missing count
        found = received.reshape(-1, width) / largest
        missing = sum(np.abs(found - row / largest).max(1).min() > 1e-3 for row in expected.reshape(-1, width))
        return max(missing / len(expected) - 0.03, 0.0)
    if detections:
        return _unmatched(_rows(received.reshape(-1, 7)), _rows(expected.reshape(-1, 7)))
    if received.size != expected.size:
        return 1.0
    return float(np.abs(received.reshape(expected.shape) - expected).max() / max(np.abs(expected).max(), 1e-6))


def _unmatched(received, expected) -> float:
    """Return the fraction of detections without a counterpart, less a tolerance of 3 % for scores that are nearly equal."""
    near = [[(abs(other - row) / abs(row).clip(1)).max() < 2e-3 for other in received] for row in expected]
    missing = sum(not any(row) for row in near)
    missing += max(len(received) - len(expected), 0)
    return max(missing / max(len(expected), 1) - 0.03, 0.0)


def _rows(rows):
    """Return the rows before the first one without an item or a label."""
    import numpy as np

    ends = np.flatnonzero((rows[:, 0] < 0) | (rows[:, 1] < 0))
    return rows[: ends[0]] if len(ends) else rows


def _onnx(net, files, feeds, scratch):
    import onnxruntime

    from caffe.convert.onnx_export import export_net

    export_net(net, scratch / "net.onnx")
    session = onnxruntime.InferenceSession(str(scratch / "net.onnx"), providers=["CPUExecutionProvider"])
    names = [port.name for port in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds)))


def _openvino(net, files, feeds, scratch):
    import openvino

    from ncs.compiler import native_ops
    from ncs.compiler.ir import write_ir

    path = str(scratch / "net.xml")
    if native_ops.native_layers(net):
        native_ops.write_ir(net, path, fp16=False)
    else:
        write_ir(str(scratch / "net.onnx"), path, fp16=False)
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = compiled(feeds)
    return {name: results[port] for port in compiled.outputs for name in port.names}


def _blob(net, files, feeds, scratch):
    command = [sys.executable, "-m", "ncs", "compile", str(files[0]), "-w", str(files[1]), "--no-ir", "-q"]
    done = subprocess.run([*command, "-o", str(scratch / "out")], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or "not compiled")


if __name__ == "__main__":
    main()
