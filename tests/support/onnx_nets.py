"""Small ONNX nets with random weights, and one the size of AgeNet, for the tests of compilers and runners."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save


class Builder:
    """Collects nodes; every method returns the name of its output tensor."""

    def __init__(self, seed=1):
        self.random = np.random.RandomState(seed)
        self.nodes, self.constants = [], []

    def node(self, op_type, inputs, output, **attributes):
        self.nodes.append(helper.make_node(op_type, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name, *shape, scale=0.05):
        array = (self.random.randn(*shape) * scale).astype(np.float32)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def conv(self, source, name, outputs, inputs, kernel, stride=1, pad=0):
        shape = (outputs, inputs, kernel, kernel)
        weights = [self.constant(name + ".w", *shape), self.constant(name + ".b", outputs)]
        return self.node(
            "Conv", [source, *weights], name, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4
        )

    def relu(self, source):
        return self.node("Relu", [source], source + "_relu")

    def pool(self, source, name, end_pad=1):
        pads = [0, 0, end_pad, end_pad]
        return self.node("MaxPool", [source], name, kernel_shape=[3, 3], strides=[2, 2], pads=pads)

    def norm(self, source, name):
        return self.node("LRN", [source], name, size=5, alpha=1e-4, beta=0.75, bias=1.0)

    def linear(self, source, name, outputs, inputs):
        weights = [self.constant(name + ".w", outputs, inputs), self.constant(name + ".b", outputs)]
        return self.node("Gemm", [source, *weights], name, transB=1)

    def save(self, path, output, shape, input_shape):
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("data", TensorProto.FLOAT, input_shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
            self.constants,
        )
        save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6), str(path))
        return str(path)


def tiny(path, seed=1, batch=1):
    """Images of 8x8 pixels to 5 probabilities: convolution, ReLU, fully connected, softmax."""
    b = Builder(seed)
    flat = b.node("Flatten", [b.relu(b.conv("data", "conv", 4, 3, 3))], "flat", axis=1)
    b.node("Softmax", [b.linear(flat, "ip", 5, 4 * 6 * 6)], "prob", axis=1)
    return b.save(path, "prob", [batch, 5], [batch, 3, 8, 8])


def agenet(path):
    """A net with the layers and sizes of AgeNet, 3x227x227 to 9."""
    b = Builder()
    x = b.norm(b.pool(b.relu(b.conv("data", "conv1", 96, 3, 7, 4)), "pool1"), "norm1")
    x = b.norm(b.pool(b.relu(b.conv(x, "conv2", 256, 96, 5, 1, 2)), "pool2"), "norm2")
    x = b.pool(b.relu(b.conv(x, "conv3", 384, 256, 3, 1, 1)), "pool5")
    x = b.node("Flatten", [x], "flat", axis=1)
    x = b.relu(b.linear(x, "fc6", 512, 384 * 7 * 7))
    x = b.relu(b.linear(x, "fc7", 512, 512))
    b.node("Softmax", [b.linear(x, "fc8", 9, 512)], "prob", axis=1)
    return b.save(path, "prob", [1, 9], [1, 3, 227, 227])


def chain(path, op_types, shape=(1, 3, 8, 8)):
    """A chain of operators of the given types; the tensors are t0, t1 …"""
    b = Builder()
    source = "data"
    for number, op_type in enumerate(op_types):
        source = b.node(op_type, [source], f"t{number}")
    return b.save(path, source, list(shape), list(shape))
