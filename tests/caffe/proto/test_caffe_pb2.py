"""The message classes: as in a generated module, beside another caffe_pb2, with nothing heavy imported."""

import copy
import subprocess
import sys

import pytest

from caffe.proto import caffe_pb2


def python(code):
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_names_are_those_of_a_generated_module():
    assert (caffe_pb2.TRAIN, caffe_pb2.TEST) == (0, 1)
    assert caffe_pb2.Phase.Value("TEST") == 1
    assert caffe_pb2.PoolingParameter.AVE == 1
    assert caffe_pb2.PoolingParameter.PoolMethod.Name(2) == "STOCHASTIC"
    assert caffe_pb2.V1LayerParameter.CONVOLUTION == 4
    layer = caffe_pb2.NetParameter().layer.add()
    assert isinstance(layer, caffe_pb2.LayerParameter)


def test_defaults_are_caffes():
    assert caffe_pb2.SolverParameter().momentum2 == pytest.approx(0.999)
    assert caffe_pb2.SolverParameter().solver_mode == caffe_pb2.SolverParameter.GPU
    assert caffe_pb2.FillerParameter().type == "constant"
    assert caffe_pb2.LRNParameter().beta == 0.75
    assert caffe_pb2.DataParameter().backend == caffe_pb2.DataParameter.LEVELDB


def test_messages_copy_and_go_through_bytes():
    net = caffe_pb2.NetParameter(name="n")
    net.layer.add(name="a", type="ReLU").blobs.add().data.extend([1.5, -2])
    for other in (copy.deepcopy(net), type(net).FromString(net.SerializeToString())):
        assert other == net
    assert caffe_pb2.NetParameter.FromString(net.SerializeToString()) == net


def test_another_caffe_proto_in_the_process_does_no_harm():
    python(
        """
from google.protobuf import descriptor_pb2, descriptor_pool
other = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
message = other.message_type.add(name="NetParameter")
message.field.add(name="alien", number=1, type=5, label=1)
descriptor_pool.Default().AddSerializedFile(other.SerializeToString())
from caffe.proto import caffe_pb2
assert caffe_pb2.NetParameter(name="ours").name == "ours"
import importlib
again = importlib.reload(caffe_pb2)
assert again.NetParameter(name="ours").name == "ours"
"""
    )


def test_import_caffe_is_enough_to_reach_it_and_loads_no_torch():
    code = "import sys, caffe; caffe.proto.caffe_pb2.SolverState(); print('torch' in sys.modules)"
    assert python(code).strip() == "False"
