"""Names exported by `import caffe` and `from caffe.pycaffe import ...`."""

import subprocess
import sys
import time

import pytest

import caffe
from caffe.errors import CaffeError

EXPORTS = """
Net SGDSolver NesterovSolver AdaGradSolver RMSPropSolver AdaDeltaSolver AdamSolver NCCL Timer init_log log
set_mode_cpu set_mode_gpu set_device set_random_seed Layer get_solver layer_type_list solver_count
set_solver_count solver_rank set_solver_rank set_multiprocess has_nccl TRAIN TEST Classifier Detector io
layers params NetSpec to_proto
"""

BVLC_TYPES = """
AbsVal Accuracy ArgMax BNLL BatchNorm BatchReindex Bias Clip Concat ContrastiveLoss Convolution Crop Data
Deconvolution Dropout DummyData ELU Eltwise Embed EuclideanLoss Exp Filter Flatten HDF5Data HDF5Output
HingeLoss Im2col ImageData InfogainLoss InnerProduct Input LRN LSTM LSTMUnit Log MVN MemoryData
MultinomialLogisticLoss PReLU Parameter Pooling Power Python RNN ReLU Reduction Reshape SPP Scale Sigmoid
SigmoidCrossEntropyLoss Silence Slice Softmax SoftmaxWithLoss Split Swish TanH Threshold Tile WindowData
"""


@pytest.mark.parametrize("name", EXPORTS.split())
def test_name_is_exported(name):
    assert getattr(caffe, name) is not None


def test_imports_from_caffe_pycaffe_work():
    from caffe.pycaffe import Blob, Layer, Net, SGDSolver, get_solver

    assert Layer is caffe.Layer and Net is caffe.Net and SGDSolver is caffe.SGDSolver and get_solver is caffe.get_solver
    assert Blob.__name__ == "Blob"
    with pytest.raises(ImportError):
        from caffe.pycaffe import nothing  # noqa: F401


def test_all_layer_types_of_caffe():
    assert set(BVLC_TYPES.split()) <= set(caffe.layer_type_list())


def test_phase_constants():
    from caffe.proto import caffe_pb2

    assert (caffe.TRAIN, caffe.TEST) == (caffe_pb2.TRAIN, caffe_pb2.TEST) == (0, 1)


def test_timer():
    timer = caffe.Timer()
    assert timer.ms == 0
    timer.start()
    time.sleep(0.01)
    timer.stop()
    elapsed = timer.ms
    assert elapsed >= 10 and timer.ms == elapsed


def test_nccl_raises_an_explanation():
    assert not caffe.has_nccl()
    for call in (caffe.NCCL, caffe.NCCL.new_uid):
        with pytest.raises(CaffeError, match="no NCCL.*iter_size"):
            call()


def test_log(capfd, monkeypatch):
    monkeypatch.setenv("GLOG_minloglevel", "0")
    caffe.log("visible")
    caffe.init_log(1)
    caffe.log("silenced")
    err = capfd.readouterr().err
    assert "pycaffe.py:1] visible" in err and "silenced" not in err


def test_importing_caffe_imports_neither_torch_nor_protobuf():
    code = "import caffe, sys; caffe.Layer; print({'torch', 'google.protobuf'} & set(sys.modules))"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.stdout.strip() == "set()", process.stderr


def test_layer_without_its_methods_raises():
    layer = caffe.Layer()
    for method, arguments in (("reshape", 2), ("forward", 2), ("backward", 3)):
        with pytest.raises(CaffeError, match="has no " + method):
            getattr(layer, method)(*[[]] * arguments)
