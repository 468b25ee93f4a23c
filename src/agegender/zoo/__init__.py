"""The model zoo: one file per family of nets; the NETS of every file in this folder form the registry."""

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
def nets() -> dict[str, Net]:
    """All nets of the zoo by name, sorted."""
    registry = {}
    for module in pkgutil.iter_modules(__path__):
        for net in getattr(importlib.import_module(f"{__name__}.{module.name}"), "NETS", ()):
            if net.name in registry:
                raise ValueError(f"two nets of the zoo are named {net.name}")
            registry[net.name] = net
    return dict(sorted(registry.items()))


def families() -> dict[str, list[Net]]:
    """The nets of every family."""
    by_family: dict[str, list[Net]] = {}
    for net in nets().values():
        by_family.setdefault(net.family, []).append(net)
    return by_family


def names() -> list[str]:
    """All names that `resolve` accepts, sorted."""
    return sorted(_nets_by_name())


def resolve(name: str) -> list[Net]:
    """The nets that a name stands for.

    Parameters
    ----------
    name : str
        A net; the stem of a weights file, for all nets that share it (`wideresnet` predicts age and gender); or a
        family that has one net per task (`googlenet`).

    Raises
    ------
    AgeGenderError
        If the name is unknown.
    """
    by_name = _nets_by_name()
    if name not in by_name:
        hint = did_you_mean(name, list(by_name))
        raise AgeGenderError(f"the zoo has no net '{name}'{hint} (known: {', '.join(sorted(by_name))})")
    return by_name[name]


@functools.cache
def _nets_by_name():
    """{name: [nets]}; net names take precedence over stems of weights, and those over families."""
    by_name = {}
    for family, members in families().items():
        if len({net.task for net in members}) == len(members):
            by_name[family] = members
    for net in nets().values():
        by_name[net.weights] = [other for other in nets().values() if other.weights == net.weights]
    by_name.update((name, [net]) for name, net in nets().items())
    return by_name


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
