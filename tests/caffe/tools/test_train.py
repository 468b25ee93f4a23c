"""`caffe train`: signals, and flags without an effect."""

import signal
import subprocess
import sys
import textwrap

import pytest

from caffe.tools import main


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_effect_none_ignores_the_signal(number):
    """The default handlers raise KeyboardInterrupt or end the process."""
    run_in_child(f"""
        with train._SignalHandlers(trainer, "none", "none"):
            os.kill(os.getpid(), {int(number)})
        assert not trainer.stop_requested and not trainer.snapshot_requested
        assert signal.getsignal({int(number)}) == before[{int(number)}]
    """)


def test_effect_none_ignores_signals_while_the_libraries_load():
    """The signal arrives before the solver exists."""
    run_in_child("""
        train._run = lambda args: os.kill(os.getpid(), signal.SIGHUP) or 7
        flags = {"sigint_effect": "stop", "sighup_effect": "none", "workers": 1, "gpu": "", "batch": "each"}
        assert train.run(SimpleNamespace(**flags)) == 7
        assert signal.getsignal(signal.SIGHUP) == before[signal.SIGHUP]
    """)


def test_effects_snapshot_and_stop():
    run_in_child("""
        with train._SignalHandlers(trainer, "snapshot", "stop"):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGHUP)
        assert trainer.stop_requested and trainer.snapshot_requested
    """)


def run_in_child(code):
    """Run `code` in a process of its own: a signal that ends it must not end pytest."""
    prepare = """
        import os, signal
        from types import SimpleNamespace
        from caffe.tools import train
        trainer = SimpleNamespace(stop_requested=False, snapshot_requested=False)
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    """
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(prepare) + textwrap.dedent(code)], capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr


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


@pytest.mark.parametrize("words", [[], ["--gradient_checkpointing"]])
def test_the_log_says_the_peak_memory(tmp_path, monkeypatch, words, capsys):
    monkeypatch.chdir(tmp_path)
    data = 'layer { name: "d" type: "DummyData" top: "x" top: "t" dummy_data_param { shape { dim: 2 dim: 3 } } }'
    layers = "".join(
        f'layer {{ name: "i{n}" type: "InnerProduct" bottom: "{f"i{n - 1}" if n else "x"}" top: "i{n}" '
        "inner_product_param { num_output: 3 } }"
        for n in range(6)
    )
    (tmp_path / "net.prototxt").write_text(
        data + layers + 'layer { name: "l" type: "EuclideanLoss" bottom: "i5" bottom: "t" }'
    )
    (tmp_path / "solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 1 lr_policy: "fixed" max_iter: 3 snapshot_prefix: "s"'
    )
    assert main(["train", "-solver", "solver.prototxt", *words]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "Peak memory" in line]
    assert len(lines) == 1
    megabytes = float(lines[0].split("Peak memory ")[1].split(" MB")[0])
    assert 20 < megabytes < 20000
    assert ("computed twice" in lines[0]) == bool(words)
