"""The message classes: names of a generated module, no conflict with another caffe_pb2, no heavy imports."""

import copy
import subprocess
import sys

import pytest

from caffe.proto import caffe_pb2


def run_python(code):
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_module_has_the_names_of_a_generated_one():
    assert (caffe_pb2.TRAIN, caffe_pb2.TEST) == (0, 1)
    assert caffe_pb2.Phase.Value("TEST") == 1
    assert caffe_pb2.PoolingParameter.AVE == 1
    assert caffe_pb2.PoolingParameter.PoolMethod.Name(2) == "STOCHASTIC"
    assert caffe_pb2.V1LayerParameter.CONVOLUTION == 4
    layer = caffe_pb2.NetParameter().layer.add()
    assert isinstance(layer, caffe_pb2.LayerParameter)


def test_defaults_match_caffe():
    assert caffe_pb2.SolverParameter().momentum2 == pytest.approx(0.999)
    assert caffe_pb2.SolverParameter().solver_mode == caffe_pb2.SolverParameter.GPU
    assert caffe_pb2.FillerParameter().type == "constant"
    assert caffe_pb2.LRNParameter().beta == 0.75
    assert caffe_pb2.DataParameter().backend == caffe_pb2.DataParameter.LEVELDB


def test_messages_can_be_copied_and_serialized():
    net = caffe_pb2.NetParameter(name="n")
    net.layer.add(name="a", type="ReLU").blobs.add().data.extend([1.5, -2])
    for other in (copy.deepcopy(net), type(net).FromString(net.SerializeToString())):
        assert other == net
    assert caffe_pb2.NetParameter.FromString(net.SerializeToString()) == net


def test_another_caffe_proto_in_the_process_does_not_conflict():
    run_python(
        """
from google.protobuf import descriptor_pb2, descriptor_pool
other = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
message = other.message_type.add(name="NetParameter")
message.field.add(name="alien", number=1, type=5, label=1)
descriptor_pool.Default().AddSerializedFile(other.SerializeToString())
from caffe.proto import caffe_pb2
assert caffe_pb2.NetParameter(name="ours").name == "ours"
import importlib
reloaded = importlib.reload(caffe_pb2)
assert reloaded.NetParameter(name="ours").name == "ours"
"""
    )


def test_import_caffe_provides_it_without_loading_torch():
    code = "import sys, caffe; caffe.proto.caffe_pb2.SolverState(); print('torch' in sys.modules)"
    assert run_python(code).strip() == "False"
