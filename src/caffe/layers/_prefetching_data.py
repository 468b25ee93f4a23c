"""What the layers that read records have in common: a Feed behind the tops, and its position in snapshots."""

from __future__ import annotations

from caffe.core import glog
from caffe.core.lazy_torch import torch
from caffe.data.prefetcher import BatchPrefetcher
from caffe.layers.base import Layer

_OLD = ("scale", "mean_file", "crop_size", "mirror")


class BasePrefetchingDataLayer(Layer):
    """A layer whose tops are the arrays of a Feed's batches; a member writes `make_prefetcher(seed, position,
    skip)`.
    """

    num_bottom = 0
    num_top = (1, 2)
    is_data = True
    no_onnx = "it reads records; in a deploy net an Input stands in its place"
    feed = None

    def make_prefetcher(self, seed: int, position: int, skip: int) -> BatchPrefetcher:
        """The Feed that begins at batch `position`; `skip` records are passed over before batch 0."""
        raise NotImplementedError

    def setup(self):
        self.feed = self.make_prefetcher(self.draw(2**62), 0, self._random_skip())
        self._shape = self.feed.shape
        glog.info("output data size: {}".format(",".join(map(str, self._shape))), "data_layer.cpp:52")

    def draw(self, below: int) -> int:
        """A random number 0 .. below-1 from the net's generator."""
        return int(torch.randint(below, (), generator=self.generator))

    def _random_skip(self) -> int:
        most = self.skip_below()
        if not most:
            return 0
        skip = self.draw(most)
        glog.info("Skipping first %d data points." % skip, "data_layer.cpp:40")
        return skip

    def skip_below(self) -> int:
        """The member's rand_skip."""
        return 0

    def top_shapes(self):
        return [self._shape, *[(self._shape[0],)] * (self.top_count - 1)]

    def forward_blobs(self, bottoms, tops, record):
        if self._looked_at(tops):
            self.feed.keep()
        batch = self.feed.next()
        self._given = batch
        for blob, array in zip(tops, batch):
            blob.set(torch.from_numpy(array).to(self.device))

    _given = ()

    def _looked_at(self, tops):
        """Whether a NumPy view of the last batch's own memory is out: the feed must not write there again."""
        return any(
            blob.has_live_view and blob.tensor.data_ptr() == array.ctypes.data for blob, array in zip(tops, self._given)
        )

    def state(self) -> dict[str, int]:
        """Where the feed stands: all that a later run needs to go on with the next batch, bit for bit."""
        return {"seed": self.feed.seed, "position": self.feed.position, "skip": self.feed.skip}

    def restore(self, state: dict[str, int]) -> None:
        """Go on where `state` was taken."""
        self.feed.close()
        self.feed = self.make_prefetcher(state["seed"], state["position"], state["skip"])

    def warn_of_old_fields(self, name: str) -> None:
        """Caffe ignores these in a `layer { }`; there they belong into transform_param."""
        given = [f for f in _OLD if getattr(self.param, name).HasField(f)]
        if given:
            glog.warning(
                "layer '{}': {} of {} has no effect here; write it into transform_param".format(
                    self.name, ", ".join(given), name
                )
            )
