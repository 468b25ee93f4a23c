"""The part of Net that pycaffe's users know: dictionaries of blobs and weights, forward and backward by name, files.

After Caffe's python/caffe/pycaffe.py and _caffe.cpp.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from caffe.core.blob import Blob
from caffe.errors import CaffeError, did_you_mean
from caffe.weights import snapshot


class Blobs(list):
    """A layer's weight blobs; a Python layer makes its own with `add_blob`."""

    def __init__(self, blobs, device="cpu"):
        super().__init__(blobs)
        self.device = device

    def add_blob(self, *shape):
        """Append a zero blob of `shape`."""
        self.append(Blob(shape, self.device))
        return self[-1]


class NetMethods:
    """pycaffe's methods; `Net` supplies `_nodes`, `_blobs`, forward_range and backward_range."""

    # -- what is in the net ---------------------------------------------------------------------

    @property
    def blobs(self):
        """OrderedDict of Blob by name, in the order in which the layers make them."""
        return self._blobs

    @property
    def blob_loss_weights(self):
        """OrderedDict of each blob's weight in the loss."""
        weights = OrderedDict((name, 0.0) for name in self._blobs)
        for node in self._nodes:
            weights.update((name, w) for name, w in zip(node.tops, node.losses) if w)
        return weights

    @property
    def layers(self):
        """The layers, in order; each has `type` and `blobs`. A Python layer is the user's own object."""
        return [node.layer.public for node in self._nodes]

    @property
    def layer_dict(self):
        """OrderedDict of layers by name."""
        return OrderedDict((node.layer.name, node.layer.public) for node in self._nodes)

    @property
    def params(self):
        """OrderedDict of the weight blobs by layer name, of the layers that have any."""
        return OrderedDict((node.layer.name, Blobs(node.layer.blobs)) for node in self._nodes if node.layer.blobs)

    @property
    def inputs(self):
        """Names of the blobs that Input layers make."""
        return list(self.input_names)

    @property
    def outputs(self):
        """Names of the blobs that no layer reads, in alphabetical order as Caffe has them."""
        return list(self.output_names)

    @property
    def top_names(self):
        """OrderedDict of top names by layer name."""
        return OrderedDict((node.layer.name, list(node.tops)) for node in self._nodes)

    @property
    def bottom_names(self):
        """OrderedDict of bottom names by layer name."""
        return OrderedDict((node.layer.name, list(node.bottoms)) for node in self._nodes)

    @property
    def _layer_names(self):
        return [node.layer.name for node in self._nodes]

    @property
    def _blob_names(self):
        return list(self._blobs)

    @property
    def _inputs(self):
        return [self._blob_names.index(name) for name in self.input_names]

    @property
    def _outputs(self):
        return [self._blob_names.index(name) for name in self.output_names]

    def _forward(self, start, end):
        """pycaffe's inner forward, by layer numbers (both included); scripts that time layers call it."""
        return self.forward_range(start, end)

    def _backward(self, start, end):
        """pycaffe's inner backward, from layer number `start` down to `end`."""
        self.backward_range(start, end)

    def _index(self, layer):
        names = self._layer_names
        if layer not in names:
            raise CaffeError(f"the net has no layer '{layer}'{did_you_mean(str(layer), names)}")
        return names.index(layer)

    # -- running --------------------------------------------------------------------------------

    def forward(self, blobs=None, start=None, end=None, **kwargs):
        """Run the net forward, from layer `start` to layer `end` where given (names, both included).

        Keyword arguments are input blobs by name, copied in first. Returns a dict of the output blobs' data (of `end`'s
        tops, where given), and of those in `blobs`.
        """
        first = 0 if start is None else self._index(start)
        last = len(self._nodes) - 1 if end is None else self._index(end)
        names = set(self.outputs if end is None else self._nodes[last].tops) | set(blobs or [])
        if kwargs:
            if set(kwargs) != set(self.inputs):
                raise CaffeError(f"input blob arguments {sorted(kwargs)} do not match the net's inputs {self.inputs}")
            for name, array in kwargs.items():
                self._feed(name, array)
        self.forward_range(first, last)
        return {name: self._blob(name).data for name in names}

    def _feed(self, name, array):
        blob = self._blobs[name]
        if len(array) != (blob.shape[0] if blob.shape else 1):
            raise CaffeError("input '%s' has %d items, the net's batch is %s" % (name, len(array), blob.shape[:1]))
        blob.data[...] = array

    def backward(self, diffs=None, start=None, end=None, **kwargs):
        """Run the net backward, from layer `start` down to layer `end` where given (names, both included).

        Keyword arguments are diffs of output blobs (of `start`'s tops) by name. Returns a dict of the inputs' diffs (of
        `end`'s bottoms), and of those of the blobs in `diffs`.
        """
        first = len(self._nodes) - 1 if start is None else self._index(start)
        last = 0 if end is None else self._index(end)
        names = set(self.inputs if end is None else self._nodes[last].bottoms) | set(diffs or [])
        if kwargs:
            allowed = set(self.outputs if start is None else self._nodes[first].tops)
            if set(kwargs) != allowed:
                raise CaffeError(f"top diff arguments {sorted(kwargs)} do not match {sorted(allowed)}")
            for name, array in kwargs.items():
                if len(array) != (self._blobs[name].shape or (1,))[0]:
                    raise CaffeError(
                        "diff of '%s' has %d items, its blob has shape %s" % (name, len(array), self._blobs[name].shape)
                    )
                self._blobs[name].diff[...] = array
        self.backward_range(first, last)
        return {name: self._blob(name).diff for name in names}

    def _blob(self, name):
        if name not in self._blobs:
            raise CaffeError(f"the net has no blob '{name}'{did_you_mean(str(name), self._blobs)}")
        return self._blobs[name]

    def forward_all(self, blobs=None, **kwargs):
        """Run any number of items through the net in batches; returns a dict of arrays of all items, padding removed."""
        outputs = {name: [] for name in set(self.outputs) | set(blobs or [])}
        for batch in self._batches(kwargs):
            for name, array in self.forward(blobs=blobs, **batch).items():
                outputs[name].extend(np.atleast_1d(array).copy())  # of a single number: one a batch
        count = len(next(iter(kwargs.values())))
        return {name: np.asarray(rows)[:count] for name, rows in outputs.items()}

    def forward_backward_all(self, blobs=None, diffs=None, **kwargs):
        """Run any number of items forward and backward in batches; returns (blobs, diffs) dicts of all items."""
        all_outs = {name: [] for name in set(self.outputs) | set(blobs or [])}
        all_diffs = {name: [] for name in set(self.inputs) | set(diffs or [])}
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

    def _batches(self, arrays):
        size = self._blobs[self.inputs[0]].shape[0]
        count = len(next(iter(arrays.values())))
        for at in range(0, count, size):
            part = {name: np.asarray(a[at : at + size]) for name, a in arrays.items()}
            missing = size - len(next(iter(part.values())))
            if missing:  # the last batch is filled up with zeros
                part = {k: np.concatenate([a, np.zeros((missing, *a.shape[1:]), a.dtype)]) for k, a in part.items()}
            yield part

    def set_input_arrays(self, data, labels):
        """Feed a MemoryData layer: `data` N x C x H x W and `labels` N, float32; N a multiple of its batch size."""
        for node in self._nodes:
            if hasattr(node.layer, "set_arrays"):
                return node.layer.set_arrays(np.asarray(data), np.asarray(labels))
        raise CaffeError("set_input_arrays needs a net whose first layer is a MemoryData layer")

    def before_forward(self, function):
        """Call `function(layer index)` before each layer's forward."""
        self._callbacks.setdefault("before_forward", []).append(function)

    def after_forward(self, function):
        """Call `function(layer index)` after each layer's forward."""
        self._callbacks.setdefault("after_forward", []).append(function)

    def before_backward(self, function):
        """Call `function(layer index)` before each layer's backward."""
        self._callbacks.setdefault("before_backward", []).append(function)

    def after_backward(self, function):
        """Call `function(layer index)` after each layer's backward."""
        self._callbacks.setdefault("after_backward", []).append(function)

    # -- weights and files ----------------------------------------------------------------------

    def weight_arrays(self):
        """OrderedDict of lists of float32 arrays by layer name: what a snapshot holds."""
        return OrderedDict((name, [b.data for b in blobs]) for name, blobs in self.params.items())

    def copy_from(self, path):
        """Copy weights by layer name from a .caffemodel or .h5 file (a comma list: one after the other).

        Layers the file does not have keep their values. Where shapes differ nothing is copied: an error names both.
        """
        for part in str(path).split(","):
            self._copy_weights(snapshot.read_weights(part), part)

    def _copy_weights(self, weights, path):
        faults, pairs = [], []
        for name, blobs in self.params.items():
            arrays = weights.get(name)
            if arrays is None:
                continue
            arrays = self.layer_dict[name].fitted(arrays)
            if len(arrays) != len(blobs):
                faults.append("layer '%s': the file has %d weight blobs, the net %d" % (name, len(arrays), len(blobs)))
                continue
            for i, (blob, array) in enumerate(zip(blobs, arrays)):
                if not snapshot.shape_equals(array.shape, blob.shape):
                    faults.append(
                        "layer '%s', blob %d: the file has shape %s, the net %s"
                        % (name, i, tuple(array.shape), blob.shape)
                    )
                else:
                    pairs.append((blob, array))
        if faults:
            raise CaffeError(
                "{} does not fit the net:\n  {}\n(to train such a layer anew, give it another name)".format(
                    path, "\n  ".join(faults)
                )
            )
        for blob, array in pairs:
            blob.assign(array)

    def share_with(self, other):
        """Use the weights of `other` (Net), by layer name: from now on both nets read the same memory."""
        theirs = other.params
        for name, blobs in self.params.items():
            for mine, owner in zip(blobs, theirs.get(name, [])):
                if mine.shape != owner.shape:
                    raise CaffeError(f"layer '{name}': cannot share weights of shape {owner.shape} with {mine.shape}")
                mine.share_data(owner)

    def save(self, path):
        """Write a .caffemodel (binary NetParameter with the weights)."""
        snapshot.write_caffemodel(path, self.param, self.weight_arrays())

    def save_hdf5(self, path, write_diff=False):
        """Write the weights as HDF5, in Caffe's layout."""
        names = [layer.name for layer in self.param.layer]  # each has its group, were it empty
        diffs = {name: [b.diff for b in self.params.get(name, ())] for name in names} if write_diff else None
        weights = self.weight_arrays()
        snapshot.write_hdf5(path, {name: weights.get(name, []) for name in names}, diffs)

    def load_hdf5(self, path):
        """Copy weights by layer name from an HDF5 file."""
        self.copy_from(path)
