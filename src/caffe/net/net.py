"""Net: pycaffe's interface of a net: dictionaries of blobs and weights, forward and backward by name, weight files.

Follows Caffe's python/caffe/pycaffe.py and _caffe.cpp.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from caffe.core.blob_vec import BlobVec
from caffe.errors import CaffeError, did_you_mean
from caffe.layers import base
from caffe.net.base_net import BaseNet
from caffe.proto.read import read_net
from caffe.weights import snapshot


class Net(BaseNet):
    """A network read from a prototxt, in phase TRAIN or TEST.

    The older form ``Net(network_file, weights, phase)`` works as well.

    Parameters
    ----------
    network_file : str
        Path of the prototxt, or of a .caffemodel, whose net is taken.
    phase : int
        ``caffe.TRAIN`` or ``caffe.TEST``.
    level : int
        NetState level, compared with `min_level` and `max_level` of the layers' rules.
    stages : list of str, optional
        NetState stages, compared with `stage` and `not_stage` of the layers' rules.
    weights : str, optional
        Path of a .caffemodel or .h5 file.
    dialect : str, optional
        The fork of Caffe whose field numbers a .caffemodel as network_file has (`caffe.proto.dialects.names()`);
        default: SSD's.

    Raises
    ------
    CaffeError
        All errors of the prototxt at once, each with its file and line.
    """

    _openvino: Any = None  # runs `forward`, see caffe.convert.openvino_forward

    def __init__(
        self,
        network_file: str | os.PathLike[str],
        phase: Any,
        *rest: int,
        level: int = 0,
        stages: Sequence[str] | None = None,
        weights: Any = None,
        dialect: str | None = None,
    ) -> None:
        if rest:  # Net(file, weights, phase)
            phase, weights = rest[0], phase
        file = read_net(network_file, dialect)
        super().__init__(file.param, file.where, int(phase), level, stages or ())
        if weights is not None:
            self.copy_from(weights)

    @classmethod
    def from_param(
        cls,
        param: Any,
        phase: int,
        level: int = 0,
        stages: Sequence[str] = (),
        where: Sequence[str] | None = None,
        build_only: bool = False,
    ) -> Net:
        """Create a Net from a NetParameter in memory.

        Parameters
        ----------
        param : NetParameter
            In the current (V2) format.
        phase, level, stages
            The NetState, as for ``Net(...)``.
        where : list of str, optional
            The source location of each layer, for error messages.
        build_only : bool
            Infer shapes only, without importing torch: the net takes weights and can be exported, but not run.
        """
        net = cls.__new__(cls)
        locations = where or [f"<net>:layer {i + 1}" for i in range(len(param.layer))]
        BaseNet.__init__(net, param, locations, phase, level, stages, build_only)
        return net

    # -- contents -------------------------------------------------------------------------------

    @property
    def blob_loss_weights(self) -> OrderedDict[str, float]:
        """OrderedDict of loss weights by blob name."""
        weights = OrderedDict((name, 0.0) for name in self._blobs)
        for node in self.nodes:
            weights.update((name, w) for name, w in zip(node.tops, node.losses) if w)
        return weights

    @property
    def layers(self) -> list[Any]:
        """The layers in order, each with `type` and `blobs`; a Python layer is the user's own object."""
        self.complete_blobs()  # the weights may be about to change
        return [node.layer.public for node in self.nodes]

    @property
    def layer_dict(self) -> OrderedDict[str, Any]:
        """OrderedDict of layers by name."""
        self.complete_blobs()
        return OrderedDict((node.layer.name, node.layer.public) for node in self.nodes)

    @property
    def params(self) -> OrderedDict[str, BlobVec]:
        """OrderedDict of weight blobs by layer name, for layers with weights."""
        self.complete_blobs()
        return OrderedDict((node.layer.name, BlobVec(node.layer.blobs)) for node in self.nodes if node.layer.blobs)

    @property
    def inputs(self) -> list[str]:
        """Names of the tops of Input layers."""
        return list(self.input_names)

    @property
    def outputs(self) -> list[str]:
        """Names of the blobs that no layer reads, in alphabetical order as in Caffe."""
        return list(self.output_names)

    @property
    def top_names(self) -> OrderedDict[str, list[str]]:
        """OrderedDict of top names by layer name."""
        return OrderedDict((node.layer.name, list(node.tops)) for node in self.nodes)

    @property
    def bottom_names(self) -> OrderedDict[str, list[str]]:
        """OrderedDict of bottom names by layer name."""
        return OrderedDict((node.layer.name, list(node.bottoms)) for node in self.nodes)

    @property
    def _layer_names(self):
        return [node.layer.name for node in self.nodes]

    @property
    def _blob_names(self):
        return list(self._blobs)

    @property
    def _inputs(self):
        return [self._blob_names.index(name) for name in self.input_names]

    @property
    def _outputs(self):
        return [self._blob_names.index(name) for name in self.output_names]

    def _top_ids(self, layer):
        """Return the indices in `_blob_names` of the tops of the layer at index `layer`, as pycaffe's `_top_ids`."""
        return self._blob_ids(self.nodes[layer].tops)

    def _bottom_ids(self, layer):
        """Return the indices in `_blob_names` of the bottoms of the layer at index `layer`."""
        return self._blob_ids(self.nodes[layer].bottoms)

    def _blob_ids(self, names):
        numbers = {name: number for number, name in enumerate(self._blobs)}
        return [numbers[name] for name in names]

    @property
    def _blob_loss_weights(self):
        return list(self.blob_loss_weights.values())

    def _forward(self, start, end):
        """Run layers `start` to `end` (indices, inclusive), as pycaffe's `_forward`; timing scripts call it."""
        return self.forward_range(start, end)

    def _backward(self, start, end):
        """Run backward from layer index `start` down to `end`, as pycaffe's `_backward`."""
        self.backward_range(start, end)

    def _index(self, layer):
        names = self._layer_names
        if layer not in names:
            raise CaffeError(f"the net has no layer '{layer}'{did_you_mean(str(layer), names)}")
        return names.index(layer)

    # -- running --------------------------------------------------------------------------------

    def forward(
        self, blobs: Iterable[str] | None = None, start: str | None = None, end: str | None = None, **kwargs: Any
    ) -> dict[str, np.ndarray]:
        """Run the net forward.

        Parameters
        ----------
        blobs : list of str, optional
            Names of further blobs to return.
        start, end : str, optional
            Names of the first and the last layer to run (default: the whole net).
        **kwargs : array_like
            Data of all input blobs by name, copied in before the run.

        Returns
        -------
        dict of str to ndarray
            Data of the output blobs (of the tops of `end`, if given) and of `blobs`; views of the blobs' memory.
        """
        first = 0 if start is None else self._index(start)
        last = len(self.nodes) - 1 if end is None else self._index(end)
        names = set(self.outputs if end is None else self.nodes[last].tops) | set(blobs or [])
        if kwargs:
            if set(kwargs) != set(self.inputs):
                raise CaffeError(f"input blob arguments {sorted(kwargs)} do not match the net's inputs {self.inputs}")
            for name, array in kwargs.items():
                self._set_input(name, array)
        if not self._forward_on_openvino(first, last):
            self.forward_range(first, last)
        return {name: self._blob(name).data for name in names}

    def _forward_on_openvino(self, first, last):
        """Run the whole net on OpenVINO; return False, with nothing done, where the layers must run."""
        if first > 0 or last < len(self.nodes) - 1 or self.phase != base.TEST or self.build_only:
            return False
        engine = self._openvino_forward()
        if engine.run():
            return True
        engine.discard()
        return False

    def _openvino_forward(self):
        if self._openvino is None:
            from caffe.convert.openvino_forward import OpenVinoForward

            self._openvino = OpenVinoForward(self)
        return self._openvino

    def complete_blobs(self) -> None:
        """Give every blob its value, if `forward` has computed the outputs only."""
        if self._openvino is not None:
            self._openvino.complete()

    def leave_openvino(self) -> None:
        """Run the layers themselves in every later `forward`: for weights that change, and for bit-equal results."""
        if self.phase == base.TEST and not self.build_only:
            self._openvino_forward().stop()

    def _set_input(self, name, array):
        blob = self._blobs[name]
        if len(array) != (blob.shape[0] if blob.shape else 1):
            raise CaffeError(f"input '{name}' has {len(array)} items, the net's batch is {blob.shape[:1]}")
        blob.data[...] = array

    def backward(
        self, diffs: Iterable[str] | None = None, start: str | None = None, end: str | None = None, **kwargs: Any
    ) -> dict[str, np.ndarray]:
        """Run the net backward.

        Parameters
        ----------
        diffs : list of str, optional
            Names of further blobs whose diffs to return.
        start, end : str, optional
            Names of the first and the last layer to run, from back to front (default: the whole net).
        **kwargs : array_like
            Diffs of all output blobs (of the tops of `start`, if given) by name, copied in before the run.

        Returns
        -------
        dict of str to ndarray
            Diffs of the input blobs (of the bottoms of `end`, if given) and of `diffs`.
        """
        first = len(self.nodes) - 1 if start is None else self._index(start)
        last = 0 if end is None else self._index(end)
        names = set(self.inputs if end is None else self.nodes[last].bottoms) | set(diffs or [])
        if kwargs:
            allowed = set(self.outputs if start is None else self.nodes[first].tops)
            if set(kwargs) != allowed:
                raise CaffeError(f"top diff arguments {sorted(kwargs)} do not match {sorted(allowed)}")
            for name, array in kwargs.items():
                if len(array) != (self._blobs[name].shape or (1,))[0]:
                    shape = self._blobs[name].shape
                    raise CaffeError(f"diff of '{name}' has {len(array)} items, its blob has shape {shape}")
                self._blobs[name].diff[...] = array
        self.backward_range(first, last)
        return {name: self._blob(name).diff for name in names}

    def _blob(self, name):
        if name not in self._blobs:
            raise CaffeError(f"the net has no blob '{name}'{did_you_mean(str(name), self._blobs)}")
        return self._blobs[name]

    def forward_all(self, blobs: Iterable[str] | None = None, **kwargs: Any) -> dict[str, np.ndarray]:
        """Run any number of items forward in batches.

        Parameters
        ----------
        blobs : list of str, optional
            Names of further blobs to return.
        **kwargs : array_like
            Data of all input blobs by name, N x ... for any N.

        Returns
        -------
        dict of str to ndarray
            Data of the output blobs and of `blobs`, N x ..., without the padding of the last batch.
        """
        outputs: dict[str, list[Any]] = {name: [] for name in set(self.outputs) | set(blobs or [])}
        for batch in self._batches(kwargs):
            for name, array in self.forward(blobs=blobs, **batch).items():
                outputs[name].extend(np.atleast_1d(array).copy())  # a scalar output has one value per batch
        count = len(next(iter(kwargs.values())))
        return {name: np.asarray(rows)[:count] for name, rows in outputs.items()}

    def forward_backward_all(
        self, blobs: Iterable[str] | None = None, diffs: Iterable[str] | None = None, **kwargs: Any
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Run any number of items forward and backward in batches.

        Parameters
        ----------
        blobs, diffs : list of str, optional
            Names of further blobs whose data or diffs to return.
        **kwargs : array_like
            Data of all input blobs and, optionally, diffs of all output blobs, N x ... for any N.

        Returns
        -------
        dict, dict
            Data of the output blobs and of `blobs`; diffs of the input blobs and of `diffs`. All N x ....
        """
        all_outs: dict[str, list[Any]] = {name: [] for name in set(self.outputs) | set(blobs or [])}
        all_diffs: dict[str, list[Any]] = {name: [] for name in set(self.inputs) | set(diffs or [])}
        data = {name: kwargs[name] for name in self.inputs if name in kwargs}
        top = {name: kwargs[name] for name in self.outputs if name in kwargs}
        forwards, backwards = self._batches(data), self._batches(top) if top else None
        for batch in forwards:
            outs = self.forward(blobs=blobs, **batch)
            grads = self.backward(diffs=diffs, **(next(backwards) if backwards else {}))
            for store, part in ((all_outs, outs), (all_diffs, grads)):
                for name, array in part.items():
                    store[name].extend(np.atleast_1d(array).copy())
        count = len(next(iter(data.values())))
        trim = lambda store: {name: np.asarray(rows)[:count] for name, rows in store.items()}  # noqa: E731
        return trim(all_outs), trim(all_diffs)

    def _batch(self, blobs):
        """Yield the arrays of `blobs` in batches of the net's size, the last one padded, as pycaffe's `_batch`."""
        return self._batches(blobs, next(iter(self._blobs.values())).shape[0])

    def _batches(self, arrays, size=None):
        size = size or self._blobs[self.inputs[0]].shape[0]
        count = len(next(iter(arrays.values())))
        for first in range(0, count, size):
            batch = {name: np.asarray(a[first : first + size]) for name, a in arrays.items()}
            missing = size - len(next(iter(batch.values())))
            if missing:  # pad the last batch with zeros
                batch = {k: np.concatenate([a, np.zeros((missing, *a.shape[1:]), a.dtype)]) for k, a in batch.items()}
            yield batch

    def set_input_arrays(self, data: Any, labels: Any) -> None:
        """Set the records of the MemoryData layer.

        Parameters
        ----------
        data : array_like
            N x C x H x W float32, N a multiple of the layer's batch size.
        labels : array_like
            N float32.
        """
        for node in self.nodes:
            if hasattr(node.layer, "set_arrays"):
                return node.layer.set_arrays(np.asarray(data), np.asarray(labels))
        raise CaffeError("set_input_arrays needs a net whose first layer is a MemoryData layer")

    def _set_input_arrays(self, data, labels):
        """Call `set_input_arrays`; pycaffe's older name."""
        self.set_input_arrays(data, labels)

    def before_forward(self, function: Callable[[int], Any]) -> None:
        """Call `function(layer index)` before each layer's forward."""
        self._callbacks.setdefault("before_forward", []).append(function)

    def after_forward(self, function: Callable[[int], Any]) -> None:
        """Call `function(layer index)` after each layer's forward."""
        self._callbacks.setdefault("after_forward", []).append(function)

    def before_backward(self, function: Callable[[int], Any]) -> None:
        """Call `function(layer index)` before each layer's backward."""
        self._callbacks.setdefault("before_backward", []).append(function)

    def after_backward(self, function: Callable[[int], Any]) -> None:
        """Call `function(layer index)` after each layer's backward."""
        self._callbacks.setdefault("after_backward", []).append(function)

    # -- weights and files ----------------------------------------------------------------------

    def weight_arrays(self) -> OrderedDict[str, list[np.ndarray]]:
        """Return an OrderedDict of lists of float32 arrays by layer name, as stored in a snapshot."""
        return OrderedDict((name, [b.data for b in blobs]) for name, blobs in self.params.items())

    def copy_from(self, path: str | os.PathLike[str]) -> None:
        """Copy weights from a file into the layers of the same names.

        Layers that the file does not contain keep their values.

        Parameters
        ----------
        path : str
            A .caffemodel or .h5 file; a comma is part of the path, as in pycaffe.

        Raises
        ------
        CaffeError
            If shapes differ; nothing is copied from that file, and the message lists every mismatch.
        """
        self.copy_weights(snapshot.read_weights(path), os.fspath(path))

    def copy_weights(self, weights: Mapping[str, Sequence[np.ndarray]], path: str) -> None:
        """Copy weights that were read from `path` (see `snapshot.read_weights`), as `copy_from` does."""
        errors, pairs = [], []
        layers = {node.layer.name: node.layer for node in self.nodes}
        for name, blobs in self.params.items():
            arrays = weights.get(name)
            if arrays is None:
                continue
            arrays = self._with_shared(name, layers[name].fitted(arrays), len(blobs))
            if len(arrays) != len(blobs):
                errors.append(f"layer '{name}': the file has {len(arrays)} weight blobs, the net {len(blobs)}")
                continue
            for i, (blob, array) in enumerate(zip(blobs, arrays)):
                if array is None:
                    if self._owns(name, i):
                        errors.append(f"layer '{name}', blob {i}: not in the file")
                elif not snapshot.shape_equals(array.shape, blob.shape):
                    shape = tuple(array.shape)
                    errors.append(f"layer '{name}', blob {i}: the file has shape {shape}, the net {blob.shape}")
                else:
                    pairs.append((blob, array))
        if errors:
            details = "\n  ".join(errors)
            raise CaffeError(
                f"{path} does not fit the net:\n  {details}\n(to train such a layer from scratch, give it another name)"
            )
        for blob, array in pairs:
            blob.assign(array)

    def _owns(self, layer, index):
        """Return whether the layer owns its weight blob `index`, rather than sharing that of an earlier layer."""
        return any(weight.layer == layer and weight.index == index for weight in self.learnable_weights)

    def _with_shared(self, layer, arrays, count):
        """Return `arrays`, with None for shared blobs at the end: Caffe's HDF5 files hold them at their owner only."""
        missing = range(len(arrays), count)
        return [*arrays, *[None] * len(missing)] if not any(self._owns(layer, i) for i in missing) else arrays

    def share_with(self, other: Any) -> None:
        """Share the weights of `other` (Net) by layer name; afterwards both nets use the same memory."""
        for net in (self, other):
            net.leave_openvino()
        owners = other.params
        for name, blobs in self.params.items():
            for blob, owner in zip(blobs, owners.get(name, [])):
                if blob.shape != owner.shape:
                    raise CaffeError(f"layer '{name}': cannot share weights of shape {owner.shape} with {blob.shape}")
                blob.share_data(owner)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a .caffemodel (binary NetParameter with the weights)."""
        snapshot.write_caffemodel(path, self.param, self.weight_arrays())

    def save_hdf5(self, path: str | os.PathLike[str], write_diff: bool = False) -> None:
        """Write the weights, and with `write_diff` their diffs, as HDF5 in Caffe's layout."""
        names = [layer.name for layer in self.param.layer]  # a layer without weights gets an empty group
        diffs = {name: [b.diff for b in self.params.get(name, ())] for name in names} if write_diff else None
        weights: dict[str, list[Any]] = {name: [] for name in names}
        for name, arrays in self.weight_arrays().items():  # a shared blob is stored with its owner only, as in Caffe
            weights[name] = [array if self._owns(name, i) else None for i, array in enumerate(arrays)]
        snapshot.write_hdf5(path, weights, diffs)

    def load_hdf5(self, path: str | os.PathLike[str]) -> None:
        """Copy weights by layer name from an HDF5 file."""
        self.copy_from(path)
