"""`caffe train`: signals, and flags without an effect."""

import os
import signal
from types import SimpleNamespace

import pytest

from caffe.tools import main, train


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_effect_none_ignores_the_signal(number):
    trainer = SimpleNamespace(stop_requested=False, snapshot_requested=False)
    before = signal.getsignal(number)
    with train._SignalHandlers(trainer, "none", "none"):
        os.kill(os.getpid(), number)  # the default handlers raise KeyboardInterrupt or end the process
    assert not trainer.stop_requested and not trainer.snapshot_requested
    assert signal.getsignal(number) == before


def test_effects_snapshot_and_stop():
    trainer = SimpleNamespace(stop_requested=False, snapshot_requested=False)
    with train._SignalHandlers(trainer, "snapshot", "stop"):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGHUP)
    assert trainer.stop_requested and trainer.snapshot_requested


@pytest.mark.parametrize("words, last", [(["-iterations=3"], 2), (["-max_iter", "3"], 3)])
def test_iterations_has_no_effect_on_training(tmp_path, monkeypatch, words, last, capsys):
    monkeypatch.chdir(tmp_path)
    data = 'layer { name: "d" type: "DummyData" top: "x" top: "t" dummy_data_param { shape { dim: 2 } } }'
    loss = 'layer { name: "l" type: "EuclideanLoss" bottom: "x" bottom: "t" }'
    (tmp_path / "net.prototxt").write_text(data + loss)
    (tmp_path / "solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 1 lr_policy: "fixed" max_iter: 2 snapshot_prefix: "s"'
    )
    assert main(["train", "-solver", "solver.prototxt", *words]) == 0
    assert (tmp_path / f"s_iter_{last}.caffemodel").exists()
    assert ("--iterations has no effect" in capsys.readouterr().err) == (last == 2)
