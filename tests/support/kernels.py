"""Tests of the native kernels: what they need, and tensors in N x H x W x C memory."""

import numpy as np
import pytest
import torch

from caffe.kernels import build, library


def require():
    """Skip the calling test module where there is no C compiler; elsewhere the kernels must be available."""
    try:
        build.find_compiler()
    except build.CaffeError as error:
        pytest.skip(str(error), allow_module_level=True)
    assert library.is_available(), "python -m caffe.kernels.build, which tests/conftest.py runs, has failed"


def channels_last(array):
    return torch.from_numpy(np.ascontiguousarray(array, np.float32)).contiguous(memory_format=torch.channels_last)
