"""The zoo: every net this toolkit re-creates, one file a family; the files of this folder are the registry."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from agegender.errors import AgeGenderError
from caffe.errors import did_you_mean


@functools.cache
def nets():
    """Name -> Net of every family file in this folder, sorted by name."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        for net in getattr(importlib.import_module("%s.%s" % (__name__, module.name)), "NETS", ()):
            if net.name in found:
                raise ValueError("two nets of the zoo are called %s" % net.name)
            found[net.name] = net
    return dict(sorted(found.items()))


def families():
    """Family -> its nets."""
    by_family = {}
    for net in nets().values():
        by_family.setdefault(net.family, []).append(net)
    return by_family


def named(name):
    """The nets that `name` means: one net, or all that share its weights file (`wideresnet` answers age and gender)."""
    known = nets()
    if name in known:
        return [known[name]]
    together = [net for net in known.values() if net.weights == name]
    if not together:
        choices = sorted({*known, *(net.weights for net in known.values())})
        raise AgeGenderError(
            "the zoo has no net '%s'%s (known: %s)" % (name, did_you_mean(name, choices), ", ".join(choices))
        )
    return together
