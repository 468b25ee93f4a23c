"""The first use of torch limits the spinning of OpenMP threads, unless the user has configured it."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({}, "1000 None"), ({"GOMP_SPINCOUNT": "7"}, "7 None"), ({"OMP_WAIT_POLICY": "active"}, "None active")],
    ids=["nothing", "count", "policy"],
)
def test_first_use_of_torch_keeps_user_settings(environment, expected):
    unset = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    code = "import os; from caffe.core.lazy_torch import torch; torch.float32; print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_WAIT_POLICY'))"
    process = subprocess.run(
        [sys.executable, "-c", code], env={**unset, **environment}, capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == expected
