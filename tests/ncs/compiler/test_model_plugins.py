"""Registered nets: the zoo and other packages provide them through entry points; unknown names are rejected."""

import types

import pytest

from ncs.cli import main
from ncs.compiler import model_plugins
from ncs.errors import NcsError


def register(monkeypatch, **providers):
    points = [types.SimpleNamespace(name=name, load=lambda module=module: module) for name, module in providers.items()]
    monkeypatch.setattr(model_plugins, "entry_points", lambda group: points if group == "ncs.models" else [])


def provider(*names):
    return types.SimpleNamespace(names=lambda: list(names), jobs=lambda *arguments: [arguments])


def test_zoo_is_registered():
    from agegender import zoo

    with pytest.raises(NcsError, match="did you mean 'googlenet'") as caught:
        model_plugins.jobs("goglenet", "graph")
    assert all(name in str(caught.value) for name in zoo.names())


def test_provider_of_a_name_is_used(monkeypatch):
    register(monkeypatch, a=provider("one", "two"), b=provider("three"))
    assert model_plugins.jobs("three", "folder", "w", "m") == [("three", "folder", "w", "m")]
    register(monkeypatch)
    with pytest.raises(NcsError, match="known: none"):
        model_plugins.jobs("one", "folder")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "--model NAME"),
        (["net.prototxt", "--model", "levi"], "cannot be combined with a network file"),
        (["--model", "levi", "-is", "3", "4", "--order", "RGB"], "cannot be combined with -is, --order RGB"),
    ],
)
def test_conflicting_options_are_rejected(argv, message, capsys):
    assert main(["compile", *argv]) == 1
    assert message in capsys.readouterr().err
