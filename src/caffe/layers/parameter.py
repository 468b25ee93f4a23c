"""Parameter."""

from caffe.layers.base import Example, Layer, register


@register
class Parameter(Layer):
    """Its top is its weight blob of shape `shape`: a learnable array that other layers read
    (parameter_layer.hpp).

    The weights start at 0. As in Caffe the weight's diff is the top's, set and not added to by each backward
    pass.
    """

    num_bottom = 0
    examples = (Example("parameter_param { shape { dim: 2 dim: 3 } }", []),)

    def setup(self):
        self.add_blob(self.param.parameter_param.shape.dim)

    def top_shapes(self):
        return [tuple(self.param.parameter_param.shape.dim)]

    def forward_blobs(self, bottoms, tops, record):
        tops[0].share(self.blobs[0])

    def backward_blobs(self, tops, propagate_down, bottoms):
        """Nothing to do: the top's diff is the weight's."""

    def to_onnx(self, g, bottoms, tops):
        g.node("Identity", [g.constant(self.blobs[0].data, "blob0")], tops)
