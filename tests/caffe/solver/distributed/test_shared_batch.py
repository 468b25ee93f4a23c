"""Which layers `--batch shared` divides, and the reason for the others."""

import pytest

from caffe.errors import CaffeError
from caffe.proto import caffe_pb2
from caffe.solver.distributed import shared_batch


@pytest.mark.parametrize(
    ("layer_type", "reason"),
    [
        ("AnnotatedData", r"layer 'data' \(AnnotatedData\) draws the random changes of a batch one after another"),
        ("Input", r"layer 'data' \(Input\) has no batch_size to divide; use --batch each"),
    ],
)
def test_a_layer_that_is_not_divided_raises_with_the_reason(layer_type, reason):
    net = caffe_pb2.NetParameter()
    net.layer.add(name="data", type=layer_type).data_param.batch_size = 8
    with pytest.raises(CaffeError, match=reason):
        shared_batch.divide(net, caffe_pb2.SolverParameter(), 2)
