"""The manifest of a compiled net of five classes with 24 x 24 input."""

from support import caffe_nets

from caffe.device.transform import Transform
from ncs.compiler.compile import Model, Options, compile_models

NAMES = ["a", "b", "c", "d", "e"]


def compile_tiny(folder, mean, order="BGR", name="tiny"):
    prototxt, weights = caffe_nets.tiny(folder, caffe_nets.TINY.replace("dim: 8 dim: 8", "dim: 24 dim: 24"))
    transform = Transform(order=order, size=(24, 24), mean=mean, scale=0.01)
    compile_models(
        [(Model(name, prototxt, weights, transform, NAMES), str(folder / "graph" / name))], Options(blob=False)
    )
    return str(folder / "graph" / f"{name}.json")
