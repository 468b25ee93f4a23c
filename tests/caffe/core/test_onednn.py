"""Convolutions that oneDNN computes wrongly: memory outside the tensors stays as it is."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from differential.guard import guarded

TESTS = Path(__file__).parents[2]
FAULTY = (
    30190  # with AVX2, the weights' gradient of its channels-last 1x1 convolution with a stride wrote behind a block
)

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("cc"), reason="guarded memory needs Linux and a C compiler"
)


def run(program, folder):
    """Run a Python program with guarded tensors; return its status and standard error."""
    environment = {**guarded(folder), "OMP_NUM_THREADS": "1"}  # the fault needs one thread
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, cwd=TESTS)
    return done.returncode, done.stderr


def test_the_guard_notices_a_write_behind_a_tensor(tmp_path):
    program = "import ctypes, torch; x = torch.zeros(7); ctypes.memset(x.data_ptr() + 28, 0, 1); del x"
    status, error = run(program, tmp_path)
    assert status != 0
    assert "written outside a block of 28 bytes" in error


@pytest.mark.parametrize("number", [FAULTY, 5, 6])
def test_random_layers_write_into_their_tensors_only(number, tmp_path):
    program = (
        "from differential import random_nets; from differential.compare import differences; "
        f"print(differences(random_nets.single_layers({number}), {number}))"
    )
    status, error = run(program, tmp_path)
    assert status == 0, error
