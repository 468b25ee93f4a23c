"""mvNCCompile, mvNCCheck and mvNCProfile: the flags and files of the NCSDK's tools."""

import os
import subprocess
import sysconfig

import numpy as np
import pytest

import caffe
from ncs import ncsdk_tools as tools
from ncs.compiler import ncsdk
from ncs.simulator import Simulator

NET = (
    'name: "tiny" input: "data" input_shape { dim: 1 dim: 3 dim: 12 dim: 10 }\n'
    'layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" '
    'convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: "xavier" } } }\n'
    'layer { name: "fc" type: "InnerProduct" bottom: "conv1" top: "fc" '
    'inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }\n'
    'layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }\n'
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deploy.prototxt").write_text(NET)
    caffe.set_random_seed(3)
    caffe.Net("deploy.prototxt", caffe.TEST).save("net.caffemodel")
    return tmp_path


def test_compile_writes_one_file_named_graph(folder, capsys):
    arguments = ["deploy.prototxt", "-w", "net.caffemodel", "-s", "4", "-in", "data", "-on", "prob", "-is", "10", "12"]
    assert tools.compile_main([*arguments, "--new-parser", "--accuracy_adjust=ALL:256"]) == 0
    streams = capsys.readouterr()
    assert streams.out == f"graph: {os.path.getsize('graph')} bytes\n"
    assert "no effect here: --new-parser --accuracy_adjust=ALL:256" in streams.err
    assert sorted(os.listdir()) == ["deploy.prototxt", "graph", "net.caffemodel"]
    net = caffe.Net("deploy.prototxt", caffe.TEST, weights="net.caffemodel")
    net.blobs["data"].data[...] = np.random.default_rng(1).normal(size=(1, 3, 12, 10))
    expected = net.forward()["prob"]
    simulator = Simulator.from_file("graph")
    result = simulator.run({"data": net.blobs["data"].data})["prob"]
    np.testing.assert_allclose(np.ravel(result), np.ravel(expected), atol=2e-3)


def test_check_and_profile(folder, capsys):
    arguments = ["deploy.prototxt", "-w", "net.caffemodel", "-s", "4"]
    assert tools.check_main([*arguments, "-metric", "top1", "-d", "FP16"]) == 0
    streams = capsys.readouterr()
    assert "Obtained Min Pixel Accuracy" in streams.out and "-metric top1" in streams.err
    assert tools.profile_main([*arguments, "-o", "report.html"]) == 0
    assert "Detailed Per Layer Profile" in capsys.readouterr().out and os.path.isfile("report.html")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["frozen.pb"], "[Error 1] frozen.pb: expected a prototxt"),
        (["deploy.prototxt", "-s", "4,8"], "[Error 27] -s: expected one number"),
        (["deploy.prototxt", "--no-blob"], "--no-blob: expected one network and one graph"),
        (["none.prototxt"], "none.prototxt"),
    ],
)
def test_what_gives_no_graph_is_an_error(folder, capsys, arguments, message):
    assert tools.compile_main(arguments) != 0
    assert message in capsys.readouterr().err and not os.path.exists("graph")


def test_the_ncsdk_option_does_not_find_the_command_of_this_package(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", sysconfig.get_path("scripts"))
    assert ncsdk.find_program() is None
    other = tmp_path / "mvNCCompile"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", sysconfig.get_path("scripts") + os.pathsep + str(tmp_path))
    assert ncsdk.find_program() == str(other)


def test_the_tools_are_installed():
    for name in ("mvNCCompile", "mvNCCheck", "mvNCProfile"):
        program = os.path.join(sysconfig.get_path("scripts"), name)
        result = subprocess.run([program, "--help"], capture_output=True, text=True, check=True)
        assert result.stdout.startswith(f"usage: {name} ")
