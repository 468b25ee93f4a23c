"""Our layers and solvers against what real BVLC Caffe computed (tests/golden, its README tells how it was made).

Each case runs twice: through the passes that make nets fast, and plainly, a layer at a time.
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

import check_layers  # noqa: E402  (these set GLOG_minloglevel, which would silence other tests' logs)
import check_solvers  # noqa: E402

os.environ.pop(NAME, None)
if LEVEL is not None:
    os.environ[NAME] = LEVEL

LAYERS = sorted((GOLDEN / "layers").glob("*.npz"))
SOLVERS = sorted((GOLDEN / "solvers").glob("*.npz"))


@pytest.fixture(params=["fast", "plain"], autouse=True)
def _way(request):
    before = config.fast()
    config.set_optimize(request.param == "fast")
    yield
    config.set_optimize(before)


@pytest.mark.parametrize("path", LAYERS, ids=lambda p: p.stem)
def test_layer_computes_what_caffe_computed(path):
    check_layers.check(str(path))


@pytest.mark.parametrize("path", SOLVERS, ids=lambda p: p.stem)
def test_solver_goes_where_caffe_went_and_resumes_from_its_state(path):
    check_solvers.check(str(path))


def test_all_cases_are_there():
    assert (len(LAYERS), len(SOLVERS)) == (114, 17)
