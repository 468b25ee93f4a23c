"""A small root for the workbench: databases, a trained run, an evaluation and a compiled model."""

import os

import cv2
import numpy as np

from agegender.synthetic_faces import draw
from agegender.training.run import working_directory
from agegender.workbench.server.scan import Item
from caffe.data import datum
from caffe.data.db import create_db
from caffe.data.mean import write_mean

SIDE = 32
RUN = "models/demo/train"
TRAIN, TEST = "data/lmdb/age_train_lmdb", "data/lmdb/age_test_lmdb"
EVALUATION = "models/demo/evaluations/last"
MODEL = "graph/age"
NET = """name: "demo"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { mean_file: "data/mean/mean.binaryproto" scale: 0.01 }
  data_param { source: "data/lmdb/age_train_lmdb" backend: LMDB batch_size: 8 } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { mean_file: "data/mean/mean.binaryproto" scale: 0.01 }
  data_param { source: "data/lmdb/age_test_lmdb" backend: LMDB batch_size: 6 } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 5 stride: 4 weight_filler { type: "xavier" } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "fc" type: "InnerProduct" bottom: "conv1" top: "fc"
  inner_product_param { num_output: 9 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""
SOLVER = """net: "models/demo/train_val.prototxt"
test_iter: 2 test_interval: 10 base_lr: 0.01 lr_policy: "step" gamma: 0.5 stepsize: 10 momentum: 0.9
display: 2 max_iter: 20 snapshot: 10 snapshot_prefix: "models/demo/train" solver_mode: CPU random_seed: 1
"""


def identifier(kind, path):
    """The id of an item in addresses."""
    return Item(kind, path).id


def face(age, number):
    return cv2.resize(draw(age, number % 2 == 0, (age, number)), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def write_database(path, count, encoded=False):
    """Write `count` faces of nine age classes; the last repeats the first with another label."""
    with create_db(path) as db:
        for number in range(count):
            label = number % 9
            image = face(10 * (0 if number == count - 1 else label) + 5, 0 if number == count - 1 else number)
            key = b"%05d_face.png" % number
            if encoded:
                db.put(key, datum.encode(None, label, bytes(cv2.imencode(".png", image)[1])))
            else:
                db.put(key, datum.encode(np.ascontiguousarray(image.transpose(2, 0, 1)), label))


def write_inputs(root):
    """Write databases, mean, net and solver below `root`."""
    os.makedirs(os.path.join(root, "models/demo"))
    with working_directory(root):
        os.makedirs("data/lmdb")
        write_database(TRAIN, 27)
        write_database(TEST, 12, encoded=True)
        write_mean("data/mean/mean.binaryproto", np.full((3, SIDE, SIDE), 120, np.float32))
        for name, text in (("train_val", NET), ("solver", SOLVER)):
            with open(f"models/demo/{name}.prototxt", "w", encoding="utf-8") as stream:
                stream.write(text)


def write_root(root):
    """Write everything: the inputs, a training of 20 iterations, an evaluation, and a compiled model without blob."""
    from agegender.inference.labels import AGE_TRINGN
    from agegender.workbench.tasks import evaluate
    from caffe.tools import main as caffe_main
    from ncs.cli import main as ncs_main

    write_inputs(root)
    with working_directory(root):
        assert caffe_main(["train", "--solver", "models/demo/solver.prototxt"]) == 0
        with open("models/demo/labels.txt", "w", encoding="utf-8") as stream:
            stream.write("\n".join(AGE_TRINGN.names) + "\n")
        net, weights = "models/demo/train_val.prototxt", RUN + "_iter_20.caffemodel"
        options = ["--net", net, "--weights", weights, "--database", TEST, "--labels", "models/demo/labels.txt"]
        evaluate.main([*options, "--out", EVALUATION])
        os.makedirs("graph")
        mean = ["--mean", "data/mean/mean.binaryproto", "--scale", "0.01", "--labels", "models/demo/labels.txt"]
        assert ncs_main(["compile", net, "-w", weights, "-o", MODEL, "--no-blob", *mean]) == 0
        os.makedirs("data/faces")
        for number in range(3):
            cv2.imwrite(f"data/faces/{number}.png", face(25, number))
