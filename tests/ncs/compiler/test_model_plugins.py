"""Nets known by name: the zoo offers itself through an entry point, anybody else may, and a wrong name is told."""

import types

import pytest

from ncs.cli import main
from ncs.compiler import model_plugins
from ncs.errors import NcsError


def offer(monkeypatch, **providers):
    points = [types.SimpleNamespace(name=name, load=lambda module=module: module) for name, module in providers.items()]
    monkeypatch.setattr(model_plugins, "entry_points", lambda group: points if group == "ncs.models" else [])


def provider(*names):
    return types.SimpleNamespace(names=lambda: list(names), jobs=lambda *given: [given])


def test_the_zoo_is_known():
    from agegender import zoo

    with pytest.raises(NcsError, match="did you mean 'googlenet'") as caught:
        model_plugins.jobs("goglenet", "graph")
    assert all(name in str(caught.value) for name in zoo.names())


def test_who_knows_a_name_is_asked(monkeypatch):
    offer(monkeypatch, a=provider("one", "two"), b=provider("three"))
    assert model_plugins.jobs("three", "here", "w", "m") == [("three", "here", "w", "m")]
    offer(monkeypatch)
    with pytest.raises(NcsError, match="known: none"):
        model_plugins.jobs("one", "here")


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ([], "--model NAME"),
        (["net.prototxt", "--model", "levi"], "a network file cannot be given"),
        (["--model", "levi", "-is", "3", "4", "--order", "RGB"], "-is, --order RGB cannot be given"),
    ],
)
def test_what_contradicts_itself_is_refused(argv, told, capsys):
    assert main(["compile", *argv]) == 1
    assert told in capsys.readouterr().err
