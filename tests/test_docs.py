"""Every command of the README and the documentation can be typed; those that finish quickly run.

A command must name a file that exists, or a program of ours, and options that its --help knows. Python blocks compile,
and their imports exist. Links lead to files.
"""

from __future__ import annotations

import ast
import functools
import importlib
import itertools
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from support import doc_commands
from support.checkout import ROOT

from ncs.bundle import device_side

FOREIGN = {"bash", "cat", "cd", "docker", "export", "git", "ls", "pip", "pre-commit", "source", "tail"}
FOREIGN |= {"lint-imports", "mypy", "ruff"}  # the tests' own tools
PROGRAMS = {"agegender", "caffe", "ncs"}
TOOLS = {"convert_annoset", "convert_imageset", "compute_image_mean", "upgrade_net_proto_text"}
NCSDK_TOOLS = {"mvNCCompile", "mvNCCheck", "mvNCProfile"}
ACTIONS = {"zoo", "adience", "imdb-wiki"}  # commands of agegender with sub-commands
NO_HELP = {"build_docs.sh", "setup.sh", "test.sh"}  # test.sh: pytest's options
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in doc_commands.pages()}
COMMANDS = sorted({tuple(words) for text in PAGES.values() for words in doc_commands.commands(text)})
OURS = [words for words in COMMANDS if words[0] not in FOREIGN]
QUICK = [
    "agegender train --list",
    "agegender zoo list",
    "agegender zoo show wideresnet",
    "caffe device_query",
    "ncs doctor --udev",
    "agegender imdb-wiki stats --help",
]
# bracketed so that a search of the sources for these words does not find this line
LITERARY = (
    r"\b(t[o]ld|a[n]ew|j[u]dged|d[r]awn_faces|t[w]ins?|w[h]oever|b[e]sides?|p[i]ctures?|f[i]lms?|v[e]rbs?|w[i]tness)\b"
)


def help_command(words: tuple[str, ...]) -> list[str]:
    """Return what must print the help of a command: the program with its command and action, or the script."""
    name = words[0]
    if name in PROGRAMS | TOOLS:
        count = 1 if name in TOOLS else 3 if len(words) > 2 and words[1] in ACTIONS else 2
        program = ["caffe"] if name in TOOLS else []
        return [sys.executable, "-m", *program, *words[:count]]
    if name in NCSDK_TOOLS:
        return [os.path.join(sysconfig.get_path("scripts"), name)]
    if name in ("python", "python3"):
        return [sys.executable, *(words[1:3] if words[1] == "-m" else [str(existing(words[1]))])]
    path = existing(name)
    assert os.access(path, os.X_OK), f"{name} is not executable"
    if path.suffix == ".py":
        return [sys.executable, str(path)]
    text = path.read_text(encoding="utf-8")
    behind = re.search(r'^exec "\$\(dirname "\$0"\)/(\S+)" "\$@"$', text, re.M)
    if behind:
        return help_command(("./" + behind[1],))
    start = re.search(r'^exec "\$PYTHON" (.*)"\$@"$', text, re.M)
    assert start, f'{name}: expected a last line `exec "$PYTHON" -m agegender COMMAND "$@"`'
    return [sys.executable, *shlex.split(start[1])]


def existing(name: str) -> Path:
    """Return the file of the checkout, or the source of a program in a bundle."""
    path = ROOT / name
    module = device_side.contents("oak").programs.get(name)
    if module and not path.exists():
        path = ROOT / "src" / (module.replace(".", "/") + ".py")
    assert path.exists(), f"{name} does not exist"
    return path


@functools.cache
def help_text(*command: str) -> str:
    """Return what `command --help` prints."""
    result = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize("words", OURS, ids=" ".join)
def test_a_command_can_be_typed(words):
    if Path(words[0]).name in NO_HELP:
        assert os.access(existing(words[0]), os.X_OK)
        return
    text = help_text(*help_command(words))
    for word in words[1:]:
        if re.match(r"--?[a-zA-Z]", word) and words[:2] != ("python", "-m"):
            name = word.split("=")[0].lstrip("-")
            assert re.search(rf"(?<![\w-])--?{re.escape(name)}(?![\w-])", text), f"{' '.join(words)}: no option {word}"


def test_positional_arguments_of_zoo_exist():
    from agegender import zoo

    for words in COMMANDS:
        named = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "--model" and words[0] != "caffe"]
        if words[:2] == ("agegender", "zoo") and words[2] in ("show", "download", "deploy", "evaluate"):
            named.append(words[3])
        for name in named:
            assert name.endswith((".caffemodel", ".json")) or zoo.resolve(name), name


def test_recipes_of_the_pages_exist():
    from agegender import recipes

    for words in COMMANDS:
        named = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "--recipe"]
        if words[:2] == ("agegender", "experiment"):
            listed = itertools.takewhile(lambda word: not word.startswith("-"), words[2:])
            named += [word.split(":")[0] for word in listed]
        for name in named:
            assert recipes.resolve(name), name


@pytest.mark.parametrize("command", QUICK)
def test_a_quick_command_runs(command, tmp_path):
    words = command.split()
    assert "--help" in words or tuple(words) in COMMANDS, "no page shows it"
    result = subprocess.run([sys.executable, "-m", *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout + result.stderr


def test_the_commands_of_the_synthetic_faces_run(tmp_path):
    """The path of the tutorial's section 3 for readers without an archive, with few faces."""
    for command in (
        "synthesize-faces --out data/synthetic_faces --count 20 --jobs 1",
        "build-dataset --faces data/synthetic_faces",
    ):
        words = [sys.executable, "-m", "agegender", *command.split()]
        result = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
    assert (tmp_path / "data" / "DEF" / "age_test.txt").is_file()


@pytest.mark.parametrize("page", PAGES)
def test_no_command_hides_in_another_block(page):
    assert doc_commands.hidden_commands(PAGES[page]) == []


@pytest.mark.parametrize("page", PAGES)
def test_python_blocks_compile_and_their_imports_exist(page):
    for code in doc_commands.python_blocks(PAGES[page]):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                for alias in node.names:
                    if not hasattr(module, alias.name):
                        importlib.import_module(f"{node.module}.{alias.name}")
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    importlib.import_module(alias.name)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    generated = {"docs/reference/commands"}  # built with the site
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", doc_commands.FENCE.sub("", PAGES[page])):
        path = Path(os.path.normpath(os.path.join(os.path.dirname(page), target)))
        if not re.match(r"\w+:", target) and path.parent.as_posix() not in generated:
            assert (ROOT / path).exists(), f"{page}: {target}"


@pytest.mark.parametrize("page", PAGES)
def test_pages_use_the_terms_of_the_field(page):
    found = re.findall(LITERARY, doc_commands.FENCE.sub("", PAGES[page]), re.I)
    assert not found, f"{page}: {found}"


def test_first_pages_install_and_activate():
    for page in ("README.md", "docs/index.md", "docs/guides/installation.md"):
        assert "source .venv/bin/activate" in PAGES[page] and "pip install ." in PAGES[page], page
        assert "--extra-index-url https://download.pytorch.org/whl/cpu" in PAGES[page], page
    assert "source .venv/bin/activate" in PAGES["docs/tutorial.md"]
    assert {"./run.sh", "./test.sh"} <= {words[0] for words in doc_commands.commands(PAGES["README.md"])}
    assert PAGES["README.md"].count("\n") <= 110


def test_every_environment_variable_is_documented():
    page = PAGES["docs/reference/environment.md"]
    pattern = re.compile(r"environ(?:\.get\(|\[)\"(\w+)\"|getenv\(\"(\w+)\"")
    for path in (ROOT / "src").rglob("*.py"):
        for names in pattern.findall(path.read_text(encoding="utf-8")):
            name = names[0] or names[1]
            quoted = f"`{name}" if name.endswith("_") else f"`{name}`"  # GLOG_ is a prefix
            assert quoted in page, f"{path}: {name}"


def test_decision_records_have_one_form_and_no_gaps():
    records = sorted((ROOT / "docs" / "adr").glob("0*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    index, navigation = PAGES["docs/adr/index.md"], (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert re.match(
            rf"# {int(path.name[:4])}\. \S.*\n\n\* \*\*Status:\*\* \w+.*\n\* \*\*Date:\*\* \d{{4}}-\d\d-\d\d\n", text
        ), path
        assert re.findall(r"^## (.*)", text, re.M) == ["Context", "Decision", "Consequences"], path
        assert f"({path.name})" in index and f"adr/{path.name}" in navigation, path


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in PAGES:
        if page.startswith("docs/") and page != "docs/adr/template.md":
            assert page[len("docs/") :] in navigation, page


def test_commands_are_found():
    text = "```sh\nA=1 ./x.sh --a b # why\n./y \\\n  -c\n```\n"
    text += "```console\n$ caffe train | tail -n 1\noutput\n```\n```\n./no.sh\n```\n\n    ncs compile x\n"
    assert list(doc_commands.commands(text)) == [
        ["./x.sh", "--a", "b"],
        ["./y", "-c"],
        ["caffe", "train"],
        ["tail", "-n", "1"],
    ]
    assert doc_commands.hidden_commands(text) == ["./no.sh", "ncs compile x"]
