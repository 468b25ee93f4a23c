"""Makes tests/ncs importable, so that `import onnx_nets` works; the Myriad compiler for the tests that need it."""

import sys
from pathlib import Path

import pytest

from caffe.errors import CaffeError
from ncs.myriad import toolchain

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def compiler():
    """The Toolchain from the user's cache; a machine without a network or of another kind skips, saying so."""
    try:
        return toolchain.toolchain()
    except CaffeError as error:
        pytest.skip(f"the Myriad compiler cannot be had here: {str(error).splitlines()[0]}")
