"""caffe2ncs: Caffe models on today's Python, from training to a Neural Compute Stick, CPU, GPU and NPU.

>>> from caffe2ncs import Model
>>> model = Model("deploy.prototxt", "net.caffemodel")  # doctest: +SKIP
>>> model.predict("cat.jpg")[0].label  # doctest: +SKIP
'281'

Importing this package imports neither torch nor OpenCV; they are imported with the first name that needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from caffe.utils.cli.commands import version

if TYPE_CHECKING:
    from caffe2ncs.model import Model
    from caffe2ncs.results import Metrics, Result

__version__ = version()
__all__ = ["Metrics", "Model", "Result", "__version__"]

_MODULES = {"Model": "model", "Result": "results", "Metrics": "results"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        import importlib

        value = getattr(importlib.import_module(f"caffe2ncs.{_MODULES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'caffe2ncs' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
