"""Lists of weights files: only the command line and the solver have them, pycaffe has single paths."""

import numpy as np
import pytest

import caffe
from caffe.errors import CaffeError
from caffe.weights import paths

NET = """layer { name: "d" type: "DummyData" top: "x" dummy_data_param { shape { dim: 1 dim: 2 } } }
layer { name: "i" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 1 bias_term: false } }
layer { name: "j" type: "InnerProduct" bottom: "x" top: "z" inner_product_param { num_output: 1 bias_term: false } }
"""


def test_split(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert paths.split("a.caffemodel, b c.caffemodel ,d") == ["a.caffemodel", "b c.caffemodel", "d"]
    (tmp_path / "a, b").write_text("")
    assert paths.split("a, b") == ["a, b"]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """n.prototxt, and one file of weights for each of its layers."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "n.prototxt").write_text(NET)
    net = caffe.Net("n.prototxt", caffe.TEST)
    for name, value in (("i", 1), ("j", 2)):
        net.params[name][0].data[...] = value
        text = "\n".join(line for line in NET.splitlines() if f'name: "{name}"' in line or '"d"' in line)
        (tmp_path / "one.prototxt").write_text(text)
        one = caffe.Net("one.prototxt", caffe.TEST)
        one.params[name][0].data[...] = value
        one.save(f"{name}.caffemodel")
    return tmp_path


def test_pycaffe_takes_the_whole_string_as_one_path(files):
    path = "weights.pretrained, end-to-end.caffemodel"
    net = caffe.Net("n.prototxt", caffe.TEST)
    net.params["i"][0].data[...] = 7
    net.save(path)
    for loaded in (
        caffe.Net("n.prototxt", path, caffe.TEST),
        caffe.Net("n.prototxt", caffe.TEST, weights=path),
        caffe.Net("n.prototxt", 1, weights=files / path),
    ):
        np.testing.assert_array_equal(loaded.params["i"][0].data, [[7, 7]])
    with pytest.raises(CaffeError, match="i.caffemodel,j.caffemodel"):
        net.copy_from("i.caffemodel,j.caffemodel")


@pytest.mark.parametrize("text", ["i.caffemodel,j.caffemodel", "i.caffemodel , j.caffemodel"])
def test_solver_and_command_line_take_lists(files, text, capsys):
    (files / "s.prototxt").write_text(f'net: "n.prototxt" base_lr: 0 lr_policy: "fixed" weights: "{text}"')
    solver = caffe.get_solver("s.prototxt")
    assert [solver.net.params[name][0].data[0, 0] for name in "ij"] == [1, 2]
    from caffe.tools import main

    (files / "t.prototxt").write_text(
        'net: "n.prototxt" base_lr: 0 lr_policy: "fixed" max_iter: 1 snapshot_prefix: "t"'
    )
    assert main(["train", "-solver=t.prototxt", "-weights", text]) == 0
    result = caffe.Net("n.prototxt", "t_iter_1.caffemodel", caffe.TEST)
    assert [result.params[name][0].data[0, 0] for name in "ij"] == [1, 2]
    assert main(["test", "-model=n.prototxt", "-weights", text, "-iterations=1"]) == 0
