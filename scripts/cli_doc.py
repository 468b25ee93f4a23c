"""Generate the command-line reference from the programs' own --help.

The documentation build calls `pages`; run as a program it prints the three pages.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SRC = Path(__file__).resolve().parents[1] / "src"
PROGRAMS = {
    "agegender": "The face application: data sets, training, evaluation, compilation and prediction.",
    "caffe": "BVLC Caffe's tools with their flags. Those that were programs of their own still are: "
    "`convert_imageset`, `compute_image_mean`, `extract_features`, `parse_log`, `plot_training_log`, `draw_net` and "
    "the three `upgrade_*` tools.",
    "ncs": "Compile nets for Neural Compute Sticks and OpenVINO devices, inspect, verify and measure them.",
}


def pages() -> Iterator[tuple[str, str]]:
    """Yield (program, Markdown text) for each program."""
    for program in PROGRAMS:
        yield program, page(program)


def page(program: str) -> str:
    """Return the reference page of one program: its commands, each with its help and that of its actions."""
    overview = help_of(program)
    with ThreadPoolExecutor() as pool:
        sections = list(pool.map(lambda command: section(program, command), commands_in(overview)))
    return "\n\n".join([f"# {program}", PROGRAMS[program], _block(overview), *sections]) + "\n"


def section(program: str, command: str) -> str:
    """Return the part of a page about one command."""
    text = help_of(program, command)
    parts = [f"## {program} {command}", _block(text)]
    for action in actions_in(text):
        parts += [f"### {program} {command} {action}", _block(help_of(program, command, action))]
    return "\n\n".join(parts)


def help_of(*words: str) -> str:
    """Return what `words --help` prints, wrapped at 100 columns."""
    environment = {**os.environ, "PYTHONPATH": str(SRC), "COLUMNS": "100", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", words[0], *words[1:], "--help"]
    result = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, check=False)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{result.stderr}")
    return result.stdout.rstrip()


def commands_in(overview: str) -> list[str]:
    """Return the command names that a program's --help lists."""
    return re.findall(r"^  ([a-z][\w-]*) {2,}\S", overview, re.M)


def actions_in(text: str) -> list[str]:
    """Return the sub-commands that a command's --help lists under its positional arguments."""
    listed = re.search(r"^positional arguments:\n  (?:ACTION|\{\S+\})\n((?:    .*\n)+)", text, re.M)
    return re.findall(r"^    ([a-z][\w-]*)(?: {2,}|$)", listed[1], re.M) if listed else []


def _block(text: str) -> str:
    return f"```text\n{text}\n```"


if __name__ == "__main__":
    for _, text in pages():
        print(text)
