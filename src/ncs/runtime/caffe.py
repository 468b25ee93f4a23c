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
        self.device, self.batch_size = device, batch or 1
        self._net = deploy_net(prototxt, weights, (self.batch_size, None, None, None))
        self.input_shape = tuple(self._net.blobs[base.only_input(prototxt, self._net.inputs)].shape)
        self.output_shape = tuple(self._net.blobs[self._net.outputs[0]].shape)

    def _start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        net = self._net
        source, output = net.blobs[net.inputs[0]], net.blobs[net.outputs[0]]
        base.check_shape(batch, source.shape)
        source.reshape(*batch.shape)
        source.data[...] = batch
        net.forward_range(0, len(net.layers) - 1, record=False)
        result = base.rows(output.data, len(batch))
        return lambda: result


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
