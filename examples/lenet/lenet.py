"""LeNet (LeCun et al. 1998) with NetSpec: `python examples/lenet/lenet.py` writes train.prototxt and test.prototxt."""

from __future__ import annotations

from pathlib import Path

import caffe
from caffe import layers as L
from caffe import params as P
from caffe.proto import caffe_pb2, text
from caffe.utils.atomic_io import write_bytes


def lenet(source: str, batch_size: int, test: bool = False) -> caffe_pb2.NetParameter:
    """LeNet on an LMDB; `test` adds its accuracy."""
    n = caffe.NetSpec()
    n.data, n.label = L.Data(
        batch_size=batch_size, backend=P.Data.LMDB, source=source, transform_param=dict(scale=1 / 256), ntop=2
    )
    n.conv1 = L.Convolution(n.data, kernel_size=5, num_output=20, weight_filler=dict(type="xavier"))
    n.pool1 = L.Pooling(n.conv1, kernel_size=2, stride=2, pool=P.Pooling.MAX)
    n.conv2 = L.Convolution(n.pool1, kernel_size=5, num_output=50, weight_filler=dict(type="xavier"))
    n.pool2 = L.Pooling(n.conv2, kernel_size=2, stride=2, pool=P.Pooling.MAX)
    n.fc1 = L.InnerProduct(n.pool2, num_output=500, weight_filler=dict(type="xavier"))
    n.relu1 = L.ReLU(n.fc1, in_place=True)
    n.score = L.InnerProduct(n.relu1, num_output=10, weight_filler=dict(type="xavier"))
    if test:
        n.accuracy = L.Accuracy(n.score, n.label)
    n.loss = L.SoftmaxWithLoss(n.score, n.label)
    return n.to_proto()


def main(folder: str | Path | None = None) -> None:
    """Write both nets into `folder`, by default this one."""
    folder = Path(folder or Path(__file__).parent)
    write_bytes(folder / "train.prototxt", text.format(lenet("data/lenet/train_lmdb", 64)))
    write_bytes(folder / "test.prototxt", text.format(lenet("data/lenet/test_lmdb", 100, test=True)))


if __name__ == "__main__":
    main()
