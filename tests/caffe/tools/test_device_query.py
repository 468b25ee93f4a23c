"""caffe device_query: what is there, and what is not."""

import torch

from caffe import tools


def test_the_cpu_is_told(capfd):
    assert tools.main(["device_query"]) == 0
    err = capfd.readouterr().err
    assert "Querying GPUs all" in err and torch.backends.cpu.get_cpu_capability() in err


def test_a_device_that_is_not_there(capsys):
    assert tools.main(["device_query", "--gpu", "99"]) == 1
    assert "no device 99" in capsys.readouterr().err
