"""The trained Caffe Net as a runner: float32, the reference for every device."""

from __future__ import annotations

from typing import Any, Callable  # noqa: UP035 - the device side supports Python 3.7

import numpy as np

from ncs.runtime import base


class Caffe(base.Runner):
    """Runs the prototxt and caffemodel that a manifest names as parents, or that are given as a list of two paths."""

    takes_batch = True

    def __init__(self, source: Any, device: str = "CAFFE", batch: int = 0) -> None:
        from ncs.compiler.compile import deploy_net

        prototxt, weights = _files(source)
        manifest = _manifest(source)
        model = base.Model.of(manifest) if manifest else base.Model({}, name=prototxt)
        self.device = device
        self._net = deploy_net(prototxt, weights, (batch or 1, None, None, None))
        self._input = self.set_inputs(model, {name: tuple(self._net.blobs[name].shape) for name in self._net.inputs})
        self._outputs = self.set_outputs(model, list(self._net.outputs))
        self.output_shape = tuple(self._net.blobs[self._outputs[0]].shape) if len(self._outputs) == 1 else ()

    def _start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        net = self._net
        for name, array in self.feeds(batch, self._input).items():
            net.blobs[name].reshape(*array.shape)
            net.blobs[name].data[...] = array
        net.forward_range(0, len(net.layers) - 1, record=False)
        result = base.rows([net.blobs[name].data for name in self._outputs], len(batch))
        return lambda: result


def _manifest(source: Any) -> Any:
    """Return the manifest that a source is or names, or None for a list of files."""
    from ncs.runtime.manifest import Manifest

    if isinstance(source, (list, tuple)):
        return None
    return source if isinstance(source, Manifest) else Manifest.read(source)


def _files(source: Any) -> tuple[str, str]:
    """Return the paths of the prototxt and the caffemodel."""
    import os

    from ncs.errors import NcsError
    from ncs.runtime.manifest import Manifest

    if isinstance(source, (list, tuple)):
        files = {os.path.splitext(path)[1][1:]: path for path in map(os.fspath, source)}
    else:
        if not isinstance(source, Manifest) and not os.fspath(source).endswith(".json"):
            raise NcsError(f"{source}: device CAFFE needs a manifest (.json), or a list of prototxt and caffemodel")
        manifest = source if isinstance(source, Manifest) else Manifest.read(source)
        files = {kind: os.path.join(manifest.folder, entry.file) for kind, entry in manifest.parents.items()}
    for kind in ("prototxt", "caffemodel"):
        if not os.path.isfile(files.get(kind, "")):
            raise NcsError(
                f"device CAFFE needs the {kind} the model was compiled from: no file '{files.get(kind, '')}'"
            )
    return files["prototxt"], files["caffemodel"]
