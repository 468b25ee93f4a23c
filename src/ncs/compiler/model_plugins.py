"""Nets that are known by name: installed packages offer them as entry points of the group `ncs.compiler.model_plugins`.

An entry point is a module with `names()` and `jobs(name, folder, weights, mean)` -> [(ncs.compiler.compile.Model, stem)].
So ncs compiles the nets of packages that stand on it, and imports none of them.
"""

from __future__ import annotations

from importlib.metadata import entry_points

from caffe.errors import did_you_mean
from ncs.errors import NcsError

GROUP = "ncs.compiler.model_plugins"


def jobs(name, folder, weights=None, mean=None):
    """[(Model, stem)] of all nets that `name` means, for ncs.compiler.compile.compile_models; results go into `folder`.

    `weights` and `mean` are files instead of the net's own. Raises NcsError when nobody knows the name.
    """
    known = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        provider = point.load()
        if name in provider.names():
            return provider.jobs(name, folder, weights, mean)
        known += provider.names()
    raise NcsError(
        "no net is called '{}'{} (known: {})".format(name, did_you_mean(name, known), ", ".join(known) or "none")
    )
