"""Every command in the README names an existing file and uses options that its --help lists.

Commands are the lines of ```sh blocks and, in ```console blocks, the lines that start with `$ `; the rest is output.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support.checkout import ROOT

SYSTEM_COMMANDS = {"git", "cd", "sudo", "apt-get", "pip", "export", "tail", "less", "tar", "ls", "cat", "mkdir", "cp"}
DISPATCHERS = {"caffe", "ncs", "agegender"}
TOOLS = {"convert_imageset", "compute_image_mean"}
TOOLS |= {"upgrade_net_proto_text", "upgrade_net_proto_binary", "upgrade_solver_proto_text"}
NO_HELP = {"test.sh": "pytest's own options", "setup.sh": "--with-tests"}


def commands(text):
    """Yield the commands in the fenced blocks of a Markdown text, with continued lines joined and without comments."""
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
    """Yield the simple commands of `a | b && c > file`, without redirections and leading NAME=value."""
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


def python_command(words):
    """The command that a script ends with, or the installed program and its subcommand."""
    if words[0] in DISPATCHERS | TOOLS:
        subcommand = list(words[1:2]) if words[0] in DISPATCHERS else []
        return [str(Path(sys.executable).with_name(words[0])), *subcommand]
    path = ROOT / words[0]
    assert path.is_file(), f"README names {words[0]}, which does not exist"
    assert os.access(path, os.X_OK), f"{words[0]} is not executable"
    if path.suffix == ".py":
        return [sys.executable, str(path)]
    text = path.read_text(encoding="utf-8")
    other_script = re.search(r'^exec "\$\(dirname "\$0"\)/(\S+)" "\$@"$', text, re.M)
    if other_script:
        return python_command(["./" + other_script[1]])
    last_line = re.search(r'^exec "\$PYTHON" (.*)"\$@"$', text, re.M)
    assert last_line, f'{words[0]} should end in `exec "$PYTHON" -m agegender COMMAND "$@"`'
    return [sys.executable, *shlex.split(last_line[1])]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_readme_command_is_valid(words):
    if words[0] in SYSTEM_COMMANDS:
        return
    if words[0] in ("python", "python3", ".venv/bin/python"):
        words = words[1:]
        command = [sys.executable, *words[:3]] if words[0] == "-m" else python_command(words)
    elif Path(words[0]).name in NO_HELP:
        assert os.access(ROOT / words[0], os.X_OK)
        return
    else:
        command = python_command(words)
    result = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    for word in words[1:]:
        if re.match(r"--?[a-zA-Z]", word):
            name = word.split("=")[0].lstrip("-")
            flag = "--" + name if len(name) > 1 else "-" + name
            assert re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", result.stdout), f"{words[0]}: no {flag}"


def test_readme_shows_the_two_main_commands():
    assert {"./run.sh", "./test.sh"} <= {words[0] for words in COMMANDS}


def test_commands_are_parsed():
    text = "```sh\nA=1 ./x.sh --a b # why\n./y \\\n  -c\n```\n"
    text += "```console\n$ caffe train | tail -n 1\noutput\n```\n```\n./no\n```\n"
    assert list(commands(text)) == [
        ["./x.sh", "--a", "b"],
        ["./y", "-c"],
        ["caffe", "train"],
        ["tail", "-n", "1"],
    ]


def test_readme_links_point_to_files():
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", README):
        if not re.match(r"\w+:", target):
            assert (ROOT / target).exists(), target
