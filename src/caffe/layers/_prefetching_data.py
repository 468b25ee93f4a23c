"""Base class of the layers that read records in a background thread; their position is part of a snapshot."""

from __future__ import annotations

from typing import Any

from caffe.core import config, glog
from caffe.core.lazy_torch import torch
from caffe.data.prefetcher import BatchPrefetcher
from caffe.layers.base import TRAIN, Layer, Shape

_LEGACY_FIELDS = ("scale", "mean_file", "crop_size", "mirror")


class BasePrefetchingDataLayer(Layer):
    """A layer whose tops are the batches of a BatchPrefetcher; subclasses implement `make_prefetcher`."""

    num_bottom = 0
    num_top: int | tuple = (1, 2)
    is_data = True
    no_onnx = "it reads records; a deploy net has an Input instead"
    prefetcher: Any = None  # BatchPrefetcher, created by `setup`
    _rounds: tuple[int, int, int] | None = None  # rank, processes and batches of a test that they share

    transform: Any = None  # Transform of the images

    def make_prefetcher(self, seed: int, position: int, skip: int) -> BatchPrefetcher:
        """Create the prefetcher that starts at batch `position`; `skip` records precede batch 0."""
        raise NotImplementedError

    def image_prefetcher(self, kind: Any, source: Any, batch_size: int, **options: Any) -> Any:
        """Create a prefetcher of class `kind` with this layer's transform and phase, for this process's records."""
        return kind(source, batch_size, self.transform, self.phase, share=config.solver_share(self.phase), **options)

    def setup(self) -> None:
        self.prefetcher = self.make_prefetcher(self.draw(2**62), 0, self._random_skip())
        self._shape = self.prefetcher.shape
        glog.info("output data size: {}".format(",".join(map(str, self._shape))), "data_layer.cpp:52")

    def draw(self, below: int) -> int:
        """Draw a random number in 0 .. below-1 from the net's generator."""
        return int(torch.randint(below, (), generator=self.generator))

    def _random_skip(self) -> int:
        most = self.skip_below()
        if not most:
            return 0
        skip = self.draw(most)
        glog.info(f"Skipping first {skip} data points.", "data_layer.cpp:40")
        return skip

    def skip_below(self) -> int:
        """Return the upper bound of random skipping (rand_skip); 0 for none."""
        return 0

    def top_shapes(self) -> list[Shape]:
        return [self._shape, *[(self._shape[0],)] * (self.top_count - 1)]

    def forward_blobs(self, bottoms: list[Any], tops: list[Any], record: bool) -> None:
        if self._has_live_view_of_batch(tops):
            self.prefetcher.keep()
        self._batch = self.prefetcher.next()
        for blob, array in zip(tops, self._batch):
            blob.set(torch.from_numpy(array).to(self.device))

    _batch: tuple[Any, ...] = ()

    def _has_live_view_of_batch(self, tops):
        """Return whether a NumPy view of the last batch is alive, so that its memory must not be reused."""
        return any(
            blob.has_live_view and blob.tensor.data_ptr() == array.ctypes.data for blob, array in zip(tops, self._batch)
        )

    def share_batches(self, rank: int, size: int, count: int) -> None:
        """Of every `count` batches (one test), read number `rank`, `rank` + `size` ... only."""
        self._rounds = (rank, size, count)
        self.restore(self.state())

    def state(self) -> dict[str, int]:
        """Return the state from which a later run continues with the next batch, bit for bit."""
        prefetcher = self.prefetcher
        state = {"seed": prefetcher.seed, "position": prefetcher.round_start, "skip": prefetcher.skip}
        if prefetcher.share[1] > 1:
            state["records"] = prefetcher.position * prefetcher.batch_size * prefetcher.share[1]
        return state

    def restore(self, state: dict[str, int]) -> None:
        """Continue from `state`."""
        self.prefetcher.close()
        self.prefetcher = self.make_prefetcher(state["seed"], state["position"], state["skip"])
        if self._rounds is not None:
            self.prefetcher.share_batches(*self._rounds)

    def reshard(self, state: dict[str, int], world_size: int, divisor: int) -> dict[str, int]:
        """Return `state` of `world_size` processes for the present number, at the same record.

        `divisor` is what the prototxt's batch has been divided by.
        """
        prefetcher = self.prefetcher
        if self.phase != TRAIN:
            return state
        records = state.get("records", state["position"] * prefetcher.batch_size * divisor)
        position, rest = divmod(records, prefetcher.batch_size * prefetcher.share[1])
        return {"seed": state["seed"], "position": position, "skip": state["skip"] + rest}

    def warn_about_legacy_fields(self, name: str) -> None:
        """Warn about fields of the parameter `name` that Caffe ignores in favour of transform_param."""
        fields = ", ".join(f for f in _LEGACY_FIELDS if getattr(self.param, name).HasField(f))
        if fields:
            glog.warning(f"layer '{self.name}': {fields} of {name} has no effect; set it in transform_param")
