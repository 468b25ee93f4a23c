"""The zoo: every net this toolkit re-creates, one file a family; the files of this folder are the registry."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from typing import TYPE_CHECKING

from agegender.errors import AgeGenderError
from agegender.workspace import NET_NAMES
from caffe.errors import did_you_mean

if TYPE_CHECKING:
    from agegender.zoo.model import Net


@functools.cache
def nets():
    """Name -> Net of every family file in this folder, sorted by name."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        for net in getattr(importlib.import_module(f"{__name__}.{module.name}"), "NETS", ()):
            if net.name in found:
                raise ValueError(f"two nets of the zoo are called {net.name}")
            found[net.name] = net
    return dict(sorted(found.items()))


def families():
    """Family -> its nets."""
    by_family = {}
    for net in nets().values():
        by_family.setdefault(net.family, []).append(net)
    return by_family


def names():
    """All that `named` takes, sorted."""
    return sorted(_meant())


def resolve(name):
    """The nets that `name` means: one net, all that share its weights file (`wideresnet` answers age and gender), or a
    family that has one net a task (`googlenet`).
    """
    meant = _meant()
    if name not in meant:
        raise AgeGenderError(
            "the zoo has no net '{}'{} (known: {})".format(
                name, did_you_mean(name, list(meant)), ", ".join(sorted(meant))
            )
        )
    return meant[name]


@functools.cache
def _meant():
    """{name: [nets]}; a net's own name comes before the stem of weights, that before a family."""
    meant = {}
    for family, members in families().items():
        if len({net.task for net in members}) == len(members):
            meant[family] = members
    for net in nets().values():
        meant[net.weights] = [other for other in nets().values() if other.weights == net.weights]
    meant.update((name, [net]) for name, net in nets().items())
    return meant


def script_net(name: str) -> Net:
    """Return AgeNet or GenderNet, the nets that the scripts train, test and compile.

    Raises
    ------
    AgeGenderError
        If `name` is neither.
    """
    if name not in NET_NAMES:
        hint = did_you_mean(name, NET_NAMES)
        raise AgeGenderError(f"unknown net '{name}'{hint} (expected one of {', '.join(NET_NAMES)})")
    return nets()[name]


def script_nets() -> list[Net]:
    """Return AgeNet and GenderNet."""
    return [script_net(name) for name in NET_NAMES]
