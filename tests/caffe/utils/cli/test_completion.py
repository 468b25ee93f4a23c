"""Shell completion: the scripts are valid, and complete commands and options."""

import shutil
import subprocess

import pytest

from agegender import cli


def completion(shell, capsys):
    assert cli.main(["completion", shell]) == 0
    return capsys.readouterr().out


def complete(script, *words):
    """Return what bash completes for the last of `words`."""
    quoted = " ".join(f"'{word}'" for word in words)
    code = (
        f'{script}\nCOMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _agegender; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    return subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_bash_completes_commands_and_options(capsys):
    script = completion("bash", capsys)
    assert complete(script, "agegender", "tr") == ["train"]
    assert complete(script, "agegender", "train", "--quic") == ["--quick"]
    assert complete(script, "agegender", "zoo", "down") == ["download"]


def test_every_command_is_in_every_script(capsys):
    for shell in ("bash", "zsh", "fish"):
        script = completion(shell, capsys)
        assert all(name in script for name in ("build-dataset", "predict", "synthesize-faces"))


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_accepts_the_script(capsys):
    script = completion("fish", capsys)
    subprocess.run(["fish", "--no-execute", "-c", script], check=True)


def test_unknown_shell_prints_the_usage(capsys):
    assert cli.main(["completion", "tcsh"]) == 2
    assert "bash|zsh|fish" in capsys.readouterr().err
