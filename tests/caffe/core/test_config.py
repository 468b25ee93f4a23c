"""Process-wide settings: reproducible seeds, and a clear error if there is no GPU."""

import pytest

from caffe.core import config
from caffe.errors import CaffeError


def test_equal_seeds_give_equal_streams():
    streams = []
    for _ in range(2):
        config.set_random_seed(5)
        streams.append([config.next_seed() for _ in range(3)])
    assert streams[0] == streams[1] and len(set(streams[0])) == 3


@pytest.mark.parametrize("text", ["x", "0,a", "-1", ""])
def test_invalid_device_list_raises(text):
    with pytest.raises(CaffeError, match="comma-separated list of ids, or all"):
        config.use_gpu(text)


def test_first_device_of_the_list_is_used(monkeypatch, capfd):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(config, "_state", dict(config._state))
    assert config.use_gpu("2,3") == 2
    assert config.device() == torch.device("cuda", 2)
    assert "one process uses one device, 2" in capfd.readouterr().err


def test_gpu_mode_without_cuda_raises(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(CaffeError, match="no CUDA device.*solver_mode: CPU"):
        config.use_gpu("all")
