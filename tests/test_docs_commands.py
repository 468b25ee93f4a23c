"""Commands of the guides run on small files with the guides' names, in one process and in the order of the list."""

import os

import cv2
import numpy as np
import pytest
from support import doc_commands

import caffe
from agegender.synthetic_faces import draw
from caffe.tools import main as caffe_main
from ncs.cli import main as ncs_main

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 16 dim: 16 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "conv2" type: "Convolution" bottom: "conv1" top: "conv2"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "fc7" type: "InnerProduct" bottom: "conv2" top: "fc7"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc7" top: "prob" }
"""
TRAIN = """
layer { name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: 4 dim: 6 } shape { dim: 4 } data_filler { type: "gaussian" }
    data_filler { value: 1 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy"
  include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""
SOLVER = """net: "train_net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 20 display: 5
test_iter: 1 test_interval: 10 snapshot_prefix: "train" solver_mode: CPU"""
OLD = 'layers { name: "data" type: DATA top: "data" } layers { name: "drop" type: DROPOUT bottom: "data" top: "data" }'

# command -> a file that it must write, or a text that it must print
CONVERT = "convert_imageset --resize_height 256 --resize_width 256 --shuffle faces/ list.txt faces_lmdb"
COMMANDS = {
    CONVERT: "faces_lmdb/data.mdb",
    "convert_imageset --resize_height 256 --resize_width 256 --shards 2 faces/ list.txt faces_shards": "faces_shards",
    "caffe merge_db faces_merged faces_shards": "faces_merged/data.mdb",
    "compute_image_mean faces_lmdb mean.binaryproto": "mean.binaryproto",
    "upgrade_net_proto_text old.prototxt new.prototxt": "new.prototxt",
    "caffe train -solver solver.prototxt": "train_iter_20.caffemodel",
    "caffe train --solver solver.prototxt --workers 2": "train_iter_20.caffemodel",
    "caffe parse_log train.log out/": "out/train.log.train",
    "caffe plot_training_log 0 curve.png train.log": "curve.png",
    "caffe summarize net.prototxt": "conv2",
    "caffe draw_net net.prototxt net.png": "net.png",
    "caffe time --model net.prototxt --iterations 10": "Average Forward pass",
    "ncs compile net.prototxt -w net.caffemodel": "net.blob",
    "ncs inspect net.blob --stages": "prob",
    "ncs inspect net.blob --json": '"stages"',
    "ncs compile net.prototxt -w net.caffemodel -s 4,8 -o out/net": "out/net_8shave.blob",
    "ncs compile net.prototxt -w net.caffemodel -s 4,8 --archive net.blobs": "net.blobs",
    "ncs compile net.prototxt -w net.caffemodel -in conv2 -on fc7": "net.onnx",
    "ncs compile net.prototxt -w net.caffemodel -ip U8 --mean 104,117,123 --scale 0.017": "net.json",
    "ncs compile net.onnx -s 6 -ip U8 -op FP16": "net.blob",
    "ncs compile net.prototxt -w net.caffemodel --target oak -o oak/net": "oak/net.tar.xz",
    "ncs bundle oak/net.json --target oak -o camera": "camera/oak_camera.py",
    "ncs profile net.prototxt -w net.caffemodel": "output_report.html",
    "ncs profile net.blob": "MMACs",
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A directory with the files that the commands name."""
    folder = tmp_path_factory.mktemp("guides")
    (folder / "faces").mkdir()
    (folder / "out").mkdir()
    for index in range(3):
        cv2.imwrite(str(folder / "faces" / f"{index}.png"), draw(20 + index, True, (7, index)))
    (folder / "list.txt").write_text("".join(f"{index}.png {index}\n" for index in range(3)))
    texts = {"net": NET, "train_net": TRAIN, "solver": SOLVER, "old": OLD}
    for name, text in texts.items():
        (folder / f"{name}.prototxt").write_text(text)
    net = caffe.Net(str(folder / "net.prototxt"), caffe.TEST)
    net.save(str(folder / "net.caffemodel"))
    np.save(folder / "mean.npy", np.full((3, 16, 16), 100, np.float32))
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_guides_runs(command, directory, monkeypatch, capfd):
    shown = [
        words for path in doc_commands.pages() for words in doc_commands.commands(path.read_text(encoding="utf-8"))
    ]
    assert command.split() in shown, "no page shows it"
    monkeypatch.chdir(directory)
    program, *arguments = command.split()
    run = {"caffe": caffe_main, "ncs": ncs_main}.get(program, lambda words: caffe_main([program, *words]))
    result = COMMANDS[command]
    if os.path.isfile(result):
        os.unlink(result)
    assert not run(arguments)
    output = capfd.readouterr()
    assert os.path.isfile(result) or result in output.out + output.err
