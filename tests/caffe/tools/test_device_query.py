"""caffe device_query: available and missing devices."""

import torch

from caffe import tools


def test_cpu_is_shown(capfd):
    assert tools.main(["device_query"]) == 0
    err = capfd.readouterr().err
    assert "Querying GPUs all" in err and torch.backends.cpu.get_cpu_capability() in err


def test_missing_device(capsys):
    assert tools.main(["device_query", "--gpu", "99"]) == 1
    assert "no device 99" in capsys.readouterr().err
