"""Shell completion scripts for the programs: `agegender completion bash` prints one."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Mapping

SHELLS = ("bash", "zsh", "fish")


def script(shell: str, program: str, package: str, files: Mapping[str, str], shown: Callable[[str], str]) -> str:
    """Return the completion script of a program.

    Parameters
    ----------
    shell : str
        bash, zsh or fish.
    program : str
        The program's name.
    package : str
        Dotted name of the package of its commands.
    files : mapping
        The commands, as `commands.command_files` returns them.
    shown : callable
        Module name -> command name.
    """
    options = {shown(name): _options(package, name) for name in sorted(files)}
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](program, options)


def _options(package: str, command: str) -> list[str]:
    """Return the long options, and sub-commands, of a command."""
    parser = argparse.ArgumentParser()
    importlib.import_module(f"{package}.{command}").add_arguments(parser)
    words: set[str] = set()
    for action in parser._actions:
        words.update(word for word in action.option_strings if len(word) > 2)
        if isinstance(action, argparse._SubParsersAction):
            words.update(action.choices)
            for sub in action.choices.values():
                words.update(word for item in sub._actions for word in item.option_strings if len(word) > 2)
    return sorted(words)


def _bash(program: str, options: Mapping[str, list[str]]) -> str:
    cases = "\n".join(
        f'        {name}) COMPREPLY=($(compgen -W "{" ".join(words)}" -- "$cur")) ;;' for name, words in options.items()
    )
    return f"""_{program}() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}}
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{" ".join(options)}" -- "$cur"))
        return
    fi
    case ${{COMP_WORDS[1]}} in
{cases}
    esac
    [ ${{#COMPREPLY[@]}} -gt 0 ] || COMPREPLY=($(compgen -f -- "$cur"))
}}
complete -o filenames -F _{program} {program}
"""


def _zsh(program: str, options: Mapping[str, list[str]]) -> str:
    return "autoload -U +X bashcompinit && bashcompinit\n" + _bash(program, options)


def _fish(program: str, options: Mapping[str, list[str]]) -> str:
    lines = [f"complete -c {program} -n __fish_use_subcommand -f -a '{' '.join(options)}'"]
    for name, words in options.items():
        condition = f"'__fish_seen_subcommand_from {name}'"
        for word in words:
            flag = f"-l {word[2:]}" if word.startswith("--") else f"-o {word[1:]}" if word[0] == "-" else f"-a {word}"
            lines.append(f"complete -c {program} -n {condition} {flag}")
    return "\n".join(lines) + "\n"
