"""Layers and solvers against the results of real BVLC Caffe (tests/golden; its README describes how to record them).

Each case runs twice: with the optimization passes, and layer by layer.
"""

import os
import sys
from pathlib import Path

import pytest

from caffe.core import config

GOLDEN = Path(__file__).parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))

NAME = "GLOG_minloglevel"
LEVEL = os.environ.get(NAME)

import check_layers  # noqa: E402  (both set GLOG_minloglevel, which would silence the logs of other tests)
import check_solvers  # noqa: E402

os.environ.pop(NAME, None)
if LEVEL is not None:
    os.environ[NAME] = LEVEL

LAYERS = sorted((GOLDEN / "layers").glob("*.npz"))
SOLVERS = sorted((GOLDEN / "solvers").glob("*.npz"))


@pytest.fixture(params=["fast", "plain"], autouse=True)
def _optimize(request):
    previous = config.fast()
    config.set_optimize(request.param == "fast")
    yield
    config.set_optimize(previous)


@pytest.mark.parametrize("path", LAYERS, ids=lambda p: p.stem)
def test_layer_agrees_with_caffe(path):
    check_layers.check(str(path))


@pytest.mark.parametrize("path", SOLVERS, ids=lambda p: p.stem)
def test_solver_agrees_with_caffe_and_resumes_from_its_state(path):
    check_solvers.check(str(path))


def test_all_cases_exist():
    assert (len(LAYERS), len(SOLVERS)) == (114, 17)
