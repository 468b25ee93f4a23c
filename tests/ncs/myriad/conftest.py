"""The Myriad compiler for the tests that need it, from the user's cache; skipped where it cannot be had."""

import pytest

from caffe.errors import CaffeError
from ncs.myriad import toolchain


@pytest.fixture(scope="session")
def compiler():
    """The Toolchain; a machine without a network or of another kind skips, saying so."""
    try:
        return toolchain.toolchain()
    except CaffeError as error:
        pytest.skip("the Myriad compiler cannot be had here: %s" % str(error).splitlines()[0])
