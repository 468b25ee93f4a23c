"""Threads spin briefly, unless somebody has said how they wait."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("given", "told"),
    [({}, "1000 None"), ({"GOMP_SPINCOUNT": "7"}, "7 None"), ({"OMP_WAIT_POLICY": "active"}, "None active")],
    ids=["nothing", "count", "policy"],
)
def test_importing_caffe_sets_what_nobody_has_set(given, told):
    environment = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    code = "import caffe, os; print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_WAIT_POLICY'))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**environment, **given}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == told
