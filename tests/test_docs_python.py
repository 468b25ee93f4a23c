"""The code of the README, the index and the Python API guide runs from top to bottom.

Training is replaced by a check of its arguments (tests of the recipes train); everything else is real.
"""

import inspect
import json
import os
import runpy

import cv2
import numpy as np
import pytest
from support import doc_commands
from support.checkout import ROOT
from support.composite_photographs import photograph

import caffe
from agegender.synthetic_faces import draw
from caffe.tools import main as caffe_main

PAGE = ROOT / "docs" / "guides" / "python-api.md"
NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


@pytest.fixture()
def files(tmp_path, monkeypatch):
    """The files that the page names, in the current directory."""
    monkeypatch.chdir(tmp_path)
    os.makedirs("faces")
    for index, age in enumerate((3, 30, 70)):
        cv2.imwrite(f"faces/{index}.png", draw(age, male=index % 2 == 0, seed=(5, index)))
    cv2.imwrite("group.jpg", photograph(600, 300, [(40, 60, 200, 0), (330, 70, 180, 10)])[0])
    (tmp_path / "deploy.prototxt").write_text(NET)
    caffe.Net("deploy.prototxt", caffe.TEST).save("net.caffemodel")
    blob = caffe.io.array_to_blobproto(np.full((1, 3, 8, 8), 100, np.float32))
    (tmp_path / "mean.binaryproto").write_bytes(blob.SerializeToString())
    (tmp_path / "list.txt").write_text("".join(f"{index}.png {index % 2}\n" for index in range(3)))
    os.makedirs("data/lmdb")
    words = "convert_imageset --resize_height 128 --resize_width 128 faces/ list.txt data/lmdb/gender_test_lmdb"
    assert not caffe_main(words.split())
    return tmp_path


@pytest.fixture()
def calls(monkeypatch):
    """The arguments of Model.train, which is replaced."""
    from caffe2ncs import Model

    found, signature = [], inspect.signature(Model.train)

    def train(self, **options):
        found.append(signature.bind(self, **options).arguments)
        return self

    monkeypatch.setattr(Model, "train", train)
    return found


def run_page(path, folder):
    """Run the code of a page as one script; return its names."""
    script = folder / "page.py"
    script.write_text("\n".join(doc_commands.python_blocks(path.read_text(encoding="utf-8"))))
    return runpy.run_path(str(script))


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_the_first_pages_run(page, files, calls, capsys):
    names = run_page(ROOT / page, files)
    assert names["face"].box and "Male" in capsys.readouterr().out.replace("Female", "Male")
    assert page != "README.md" or (files / "graph" / "compact-dlib.blob").is_file() and calls[0]["recipe"] == "compact"


def test_the_guide_runs(files, calls, capsys):
    namespace = run_page(PAGE, files)
    assert [call.get("recipe") or call["solver"] for call in calls] == ["compact", "solver.prototxt"]
    results, face, metrics = (namespace[name] for name in ("results", "face", "metrics"))
    assert [os.path.basename(result.path) for result in results] == ["0.png", "1.png", "2.png"]
    assert face.box and set(json.loads(face.to_json())) >= {"label", "probability", "box"}
    assert cv2.imread("labelled.jpg").shape == face.plot().shape == cv2.imread("group.jpg").shape
    assert (
        metrics.confusion_matrix.sum() == 3 and 0 <= metrics.interval[0] <= metrics.accuracy <= metrics.interval[1] <= 1
    )
    for path in ("graph/compact-dlib.blob", "ir/compact-dlib.xml", "onnx/compact-dlib.onnx", "board/run_inference.py"):
        assert (files / path).is_file(), path
    assert "Confusion matrix" in capsys.readouterr().out
