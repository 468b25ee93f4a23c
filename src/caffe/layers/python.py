"""Python: a layer that the user wrote."""

import importlib
import traceback

from caffe.errors import CaffeError, did_you_mean
from caffe.layers.base import Layer, register
from caffe.net.pycaffe_api import Blobs


class UserError(CaffeError):
    """User code raised; the original is the cause, and its class a base of what is raised where Python allows
    that.
    """

    def __str__(self):
        return str(self.args[0])  # KeyError, which may be a base, would show the repr


@register
class Python(Layer):
    """A class derived from caffe.Layer, named by `module` and `layer`; `param_str` is handed to it
    (python_layer.hpp).

    Such a net is a program: it runs whatever the module does. Make nets of strangers only after reading them.
    The module must be on Python's path (PYTHONPATH). `setup` is called once, `reshape` before every forward,
    `forward` and `backward` as the net runs; all are given Blobs. `net.layers[i]` is the user's object. What
    user code raises arrives as RuntimeError and, where possible, as what it was. `share_in_parallel` is
    accepted: there is one solver.
    """

    num_bottom = (0, None)
    num_top = (0, None)
    no_onnx = "it runs the user's Python code"

    def __init__(self, param, phase=0, device="cpu", generator=None):
        super().__init__(param, phase, device, generator)
        self.is_data = not param.bottom
        self._bottoms = self._tops = ()
        self.user = self._make()
        self.blobs = self.user.blobs = Blobs(self.user.blobs, self.device)

    def _make(self):
        p = self.param.python_param
        self.need(
            p.module and p.layer,
            'python_param needs module and layer, received module: "%s" layer: "%s"',
            p.module,
            p.layer,
        )
        user = self._class(p.module, p.layer)(self.param)
        user.param_str = user.param_str_ = p.param_str  # the second is the name of 2015, which scripts still use
        user.phase = self.phase
        user.type, user.name = self.type, self.name
        return user

    def _class(self, module, name):
        from caffe.pycaffe import Layer as Base

        try:
            home = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not (module + ".").startswith(error.name + "."):
                raise self._wrapped(f"import of module '{module}'", error) from error
            raise CaffeError(f"no Python module '{module}'; its folder must be on PYTHONPATH") from error
        except (Exception, SystemExit) as error:  # a module that ends the program when it is imported, too
            raise self._wrapped(f"import of module '{module}'", error) from error
        kinds = {k: v for k, v in vars(home).items() if isinstance(v, type) and issubclass(v, Base) and v is not Base}
        found = getattr(home, name, None)
        if not (isinstance(found, type) and issubclass(found, Base)):
            raise CaffeError(
                "module '{}' ({}) has no class '{}' derived from caffe.Layer{}".format(
                    module, getattr(home, "__file__", "built in"), name, did_you_mean(name, kinds)
                )
            )
        return found

    @property
    def public(self):
        """What `net.layers` shows: the user's object, whose methods scripts call."""
        return self.user

    # -- what the net calls ----------------------------------------------------------------------

    def setup_blobs(self, bottoms, tops):
        self._bottoms, self._tops = bottoms, tops

    def setup(self, *bottoms):
        self._call("setup", self._bottoms, self._tops)

    def top_shapes(self, *bottoms):
        self._call("reshape", self._bottoms, self._tops)
        return [top.shape for top in self._tops]

    def forward_blobs(self, bottoms, tops, record):
        self._call("reshape", bottoms, tops)
        self._call("forward", bottoms, tops)

    def backward_blobs(self, tops, propagate_down, bottoms):
        self._call("backward", tops, list(propagate_down), bottoms)

    # -- snapshots ---------------------------------------------------------------------------------

    def state(self):
        """The user's `state()`, {} where there is none."""
        return self._call("state") if hasattr(self.user, "state") else {}

    def restore(self, state):
        """Hand `state` to the user's `restore`."""
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
        if isinstance(error, SystemExit):  # as a base it would end the program all the same
            return UserError(text)
        try:
            return type(type(error).__name__, (UserError, type(error)), {})(text)
        except TypeError:  # a class that cannot be a base beside RuntimeError, or wants other arguments
            return UserError(text)
