"""Python: a layer implemented by the user in Python."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Sequence
from typing import Any

from caffe.core.blob_vec import BlobVec
from caffe.errors import CaffeError, did_you_mean
from caffe.layers.base import Layer, Shape, register


class UserError(CaffeError):
    """An error in user code. Its cause is the original exception, whose class is a base class too, if possible."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError, a possible base class, would show the repr


@register
class Python(Layer):
    """A layer class of the user, derived from caffe.Layer, given by `module` and `layer` (python_layer.hpp).

    A net with this layer runs arbitrary code, so read an untrusted net and its modules before you build it.
    The module must be on PYTHONPATH; the layer receives `param_str` as an attribute. `setup` is called once, `reshape`
    before every forward, `forward` and `backward` when the net runs; all receive Blobs. `net.layers[i]` is the user's
    object. Exceptions in user code are raised as RuntimeError and, if possible, also as their own type.
    `share_in_parallel` has no effect, as there is one solver.
    """

    num_bottom = (0, None)
    repeatable = False  # the user's code may count or write
    num_top = (0, None)
    at_inference = True
    no_onnx = "it runs the user's Python code"

    def __init__(self, param, phase=0, device="cpu", generator=None):
        super().__init__(param, phase, device, generator)
        self.is_data = not param.bottom
        self._bottoms: Any = ()
        self._tops: Any = ()
        self.user = self._create_user_layer()
        self.blobs = self.user.blobs = BlobVec(self.user.blobs, self.device)

    def _create_user_layer(self):
        p = self.param.python_param
        self.need(
            p.module and p.layer,
            'python_param needs module and layer, received module: "%s" layer: "%s"',
            p.module,
            p.layer,
        )
        user = self._load_class(p.module, p.layer)(self.param)
        user.param_str = user.param_str_ = p.param_str  # param_str_ is the name of 2015, which scripts still use
        user.phase = self.phase
        user.type, user.name = self.type, self.name
        return user

    def _load_class(self, module, name):
        from caffe.pycaffe import Layer as Base

        try:
            namespace = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not (module + ".").startswith(error.name + "."):
                raise self._wrapped(f"import of module '{module}'", error) from error
            raise CaffeError(f"no Python module '{module}'; add its folder to PYTHONPATH") from error
        except (Exception, SystemExit) as error:  # SystemExit: a script that exits when it is imported
            raise self._wrapped(f"import of module '{module}'", error) from error
        layer_class = getattr(namespace, name, None)
        if not _is_layer_class(layer_class, Base):
            known = [k for k, v in vars(namespace).items() if _is_layer_class(v, Base) and v is not Base]
            path, hint = getattr(namespace, "__file__", "built in"), did_you_mean(name, known)
            raise CaffeError(f"module '{module}' ({path}) has no class '{name}' derived from caffe.Layer{hint}")
        return layer_class

    @property
    def public(self) -> Any:
        """The object that `net.layers` shows: the user's, whose methods scripts call."""
        return self.user

    # -- called by Net ---------------------------------------------------------------------------

    def setup_blobs(self, bottoms: list[Any], tops: list[Any]) -> None:
        self._bottoms, self._tops = bottoms, tops

    def setup(self, *bottoms: Shape) -> None:
        self._call("setup", self._bottoms, self._tops)

    def top_shapes(self, *bottoms: Shape) -> list[Shape]:
        self._call("reshape", self._bottoms, self._tops)
        return [top.shape for top in self._tops]

    def forward_blobs(self, bottoms: list[Any], tops: list[Any], record: bool) -> None:
        self._call("reshape", bottoms, tops)
        self._call("forward", bottoms, tops)

    def backward_blobs(self, tops: list[Any], propagate_down: Sequence[bool], bottoms: list[Any]) -> None:
        self._call("backward", tops, list(propagate_down), bottoms)

    # -- snapshots ---------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return the result of the user's `state()`, or {} if there is none."""
        return self._call("state") if hasattr(self.user, "state") else {}

    def restore(self, state: dict[str, Any]) -> None:
        """Pass `state` to the user's `restore`, if there is one."""
        if state and hasattr(self.user, "restore"):
            self._call("restore", state)

    def _call(self, method, *blobs):
        try:
            return getattr(self.user, method)(*blobs)
        except (Exception, SystemExit) as error:
            raise self._wrapped(method, error) from error

    def _wrapped(self, where, error):
        p = self.param.python_param
        trace = "".join(
            traceback.format_exception(type(error), error, error.__traceback__.tb_next or error.__traceback__)
        )
        text = f"layer '{self.name}': {p.module}.{p.layer} raised in {where}\n{trace.rstrip()}"
        if isinstance(error, SystemExit):  # a subclass of SystemExit would still end the program
            return UserError(text)
        try:
            return type(type(error).__name__, (UserError, type(error)), {})(text)
        except TypeError:  # the class cannot be combined with RuntimeError, or takes other arguments
            return UserError(text)


def _is_layer_class(value, base):
    return isinstance(value, type) and issubclass(value, base)
