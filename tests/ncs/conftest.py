"""The Myriad compiler for the tests that need it."""

import pytest

from caffe.errors import CaffeError
from ncs.myriad import toolchain


@pytest.fixture(scope="session")
def compiler():
    """The Toolchain from the user's cache; skips the test if it is not available."""
    try:
        return toolchain.toolchain()
    except CaffeError as error:
        pytest.skip(f"the Myriad compiler is not available: {str(error).splitlines()[0]}")
