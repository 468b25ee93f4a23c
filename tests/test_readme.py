"""Every command that the README shows names a file that exists and a verb whose --help knows its options.

Commands are the lines of ```sh blocks and, in ```console blocks, the lines behind `$ `; the rest is output.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support.checkout import ROOT

FOREIGN = {"git", "cd", "sudo", "apt-get", "pip", "export", "tail", "less", "tar", "ls", "cat", "mkdir", "cp"}
DISPATCHERS = {"caffe", "ncs", "agegender"}
TOOLS = {"convert_imageset", "compute_image_mean"}
TOOLS |= {"upgrade_net_proto_text", "upgrade_net_proto_binary", "upgrade_solver_proto_text"}
NO_HELP = {"test.sh": "pytest's own options", "setup.sh": "--with-tests"}


def commands(text):
    """Yield the commands in the fenced blocks of a Markdown text, continued lines joined, comments gone."""
    for language, block in re.findall(r"^```(\w*)[^\n]*\n(.*?)^```", text, re.M | re.S):
        if language not in ("sh", "bash", "console"):
            continue
        for line in block.replace("\\\n", " ").split("\n"):
            if language == "console":
                if not line.startswith("$ "):
                    continue
                line = line[2:]
            words = shlex.split(line, comments=True)
            yield from split_pipe(words)


def split_pipe(words):
    """Yield the single commands of `a | b && c > file`, without redirections and leading NAME=value."""
    command = []
    for word in words + ["|"]:
        if word in ("|", "&&", "||", ";"):
            while command and re.match(r"\w+=", command[0]):
                command.pop(0)
            if command:
                yield command
            command = []
        else:
            command.append(word)


README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted({tuple(command) for command in commands(README)})


def verb_command(words):
    """What runs the verb behind a command: the script's own last line, or the program as a module."""
    if words[0] in DISPATCHERS | TOOLS:
        verb = list(words[1:2]) if words[0] in DISPATCHERS else []
        return [str(Path(sys.executable).with_name(words[0])), *verb]
    path = ROOT / words[0]
    assert path.is_file(), f"README names {words[0]}, which does not exist"
    assert os.access(path, os.X_OK), f"{words[0]} is not executable"
    if path.suffix == ".py":
        return [sys.executable, str(path)]
    text = path.read_text(encoding="utf-8")
    behind = re.search(r'^exec "\$\(dirname "\$0"\)/(\S+)" "\$@"$', text, re.M)
    if behind:
        return verb_command(["./" + behind[1]])
    start = re.search(r'^exec "\$PYTHON" (.*)"\$@"$', text, re.M)
    assert start, f'{words[0]} should end in `exec "$PYTHON" -m agegender VERB "$@"`'
    return [sys.executable, *shlex.split(start[1])]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_of_the_readme_can_be_typed(words):
    if words[0] in FOREIGN:
        return
    if words[0] in ("python", "python3", ".venv/bin/python"):
        words = words[1:]
        command = [sys.executable, *words[:3]] if words[0] == "-m" else verb_command(words)
    elif Path(words[0]).name in NO_HELP:
        assert os.access(ROOT / words[0], os.X_OK)
        return
    else:
        command = verb_command(words)
    result = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    for word in words[1:]:
        if re.match(r"--?[a-zA-Z]", word):
            name = word.split("=")[0].lstrip("-")
            flag = "--" + name if len(name) > 1 else "-" + name
            assert re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", result.stdout), f"{words[0]}: no {flag}"


def test_the_two_commands_are_shown():
    shown = {words[0] for words in COMMANDS}
    assert {"./run.sh", "./test.sh"} <= shown


def test_commands_are_found_as_told():
    text = "```sh\nA=1 ./x.sh --a b # why\n./y \\\n  -c\n```\n"
    text += "```console\n$ caffe train | tail -n 1\noutput\n```\n```\n./no\n```\n"
    assert list(commands(text)) == [
        ["./x.sh", "--a", "b"],
        ["./y", "-c"],
        ["caffe", "train"],
        ["tail", "-n", "1"],
    ]


def test_links_of_the_readme_lead_to_files():
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", README):
        if not re.match(r"\w+:", target):
            assert (ROOT / target).exists(), target
