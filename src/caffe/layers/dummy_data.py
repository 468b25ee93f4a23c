"""DummyData: blobs made by fillers."""

from caffe.core import fillers
from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, register
from caffe.proto import caffe_pb2

_LEGACY = ("num", "channels", "height", "width")


@register
class DummyData(Layer):
    """Tops of given shapes, filled by `data_filler` (one for all, or one a top; zeros without)
    (dummy_data_layer.cpp).

    A constant top is filled once: what is written into it afterwards stays. Other fillers draw anew in every
    forward. `shape`, or the older num, channels, height, width, stand once for all tops or once a top.
    """

    num_bottom = 0
    num_top = (1, None)
    is_data = True
    no_onnx = "it makes up its data; in a deploy net an Input stands in its place"
    examples = (
        Example('dummy_data_param { shape { dim: 2 dim: 3 } data_filler { type: "constant" value: 1.5 } }', []),
        Example(
            'dummy_data_param { num: 2 channels: 3 height: 4 width: 5 data_filler { type: "gaussian" } }',
            [],
            tops=2,
        ),
    )

    def setup_blobs(self, bottoms, tops):
        self._tops = tops

    def setup(self):
        p = self.param.dummy_data_param
        self._check("data_filler", len(p.data_filler), none=True)
        self.fillers = list(p.data_filler) or [caffe_pb2.FillerParameter(type="constant")]
        if len(self.fillers) == 1:
            self.fillers *= self.top_count
        self.shapes = self._shapes(p)
        for top, filler, shape in zip(self._tops, self.fillers, self.shapes):
            fill = fillers.filling(filler, shape, None)  # None: only to hear of faults now
            if filler.type == "constant" and filler.value:
                top.set_initializer(fill)

    def _check(self, name, count, none=False):
        allowed = {1, self.top_count} | ({0} if none else set())
        self.need(
            count in allowed,
            "dummy_data_param: %s must be given %sonce or once a top (%d); received %d",
            name,
            "never, " if none else "",
            self.top_count,
            count,
        )

    def _shapes(self, p):
        legacy = [list(getattr(p, name)) for name in _LEGACY]
        if not any(legacy):
            self._check("shape", len(p.shape))
            return self._spread([tuple(shape.dim) for shape in p.shape])
        self.need(not len(p.shape), "dummy_data_param: give shape or num, channels, height, width, not both")
        for name, values in zip(_LEGACY, legacy):
            self._check(name, len(values))
        return list(zip(*map(self._spread, legacy)))

    def _spread(self, values):
        return values * self.top_count if len(values) == 1 else values

    def top_shapes(self):
        return self.shapes

    def forward_blobs(self, bottoms, tops, record):
        for top, filler, shape in zip(tops, self.fillers, self.shapes):
            if filler.type != "constant":
                values = torch.empty(shape, device=self.device)
                fillers.filling(filler, shape, self.generator)(values)
                top.set(values)

    def state(self):
        """Nothing of its own: the numbers come from the net's generator."""
        return {}

    def restore(self, state):
        """Nothing to restore."""
