"""Creates the train and test nets of a SolverParameter (solver.cpp, InitTrainNet and InitTestNets)."""

from __future__ import annotations

from typing import Any

from caffe.errors import CaffeError
from caffe.net.net import Net
from caffe.proto import caffe_pb2
from caffe.proto.read import read_net
from caffe.solver.distributed.shared_batch import divide

_TRAIN = ("train_net_param", "train_net", "net_param", "net")


def train_net(solver: Any, divisor: int = 1) -> Net:
    """Create the train net of a SolverParameter; `divisor` processes divide its batch."""
    fields = [field for field in _TRAIN if solver.HasField(field)]
    if len(fields) != 1:
        received = ", ".join(fields) or "none"
        raise CaffeError(f"expected exactly one of net, net_param, train_net and train_net_param; received {received}")
    return _build_net(solver, fields[0], None, caffe_pb2.TRAIN, solver.train_state, divisor)


def test_nets(solver: Any) -> list[Net]:
    """Create the test nets of a SolverParameter: the explicit ones, then `net` for every remaining test_iter."""
    sources: list[tuple[str, int | None]] = [("test_net_param", i) for i in range(len(solver.test_net_param))]
    sources += [("test_net", i) for i in range(len(solver.test_net))]
    generic = [field for field in ("net_param", "net") if solver.HasField(field)]
    missing = len(solver.test_iter) - len(sources)
    if missing < 0 or (missing and not generic):
        raise CaffeError(f"expected one test_iter per test net ({len(sources)}), received {len(solver.test_iter)}")
    sources += [(field, None) for field in generic[:1] * missing]
    if len(solver.test_state) not in (0, len(sources)):
        raise CaffeError(
            f"expected one test_state per test net ({len(sources)}) or none, received {len(solver.test_state)}"
        )
    if len(solver.test_iter) and solver.test_interval <= 0:
        raise CaffeError(f"test_iter needs a positive test_interval, received {solver.test_interval}")
    states = list(solver.test_state) or [caffe_pb2.NetState()] * len(sources)
    return [_build_net(solver, field, i, caffe_pb2.TEST, state) for (field, i), state in zip(sources, states)]


def _build_net(solver, field, index, phase, extra, divisor=1):
    param, where = _read_param(solver, field, index)
    if divisor > 1:
        divide(param, solver, divisor)
    state = caffe_pb2.NetState()
    for part in (param.state, extra):
        state.MergeFrom(part)
    return Net.from_param(param, phase, state.level, list(state.stage), where)


def _read_param(solver, field, index):
    """Return (NetParameter, layer locations) from a field that holds a net or a file name."""
    value = getattr(solver, field)
    value = value if index is None else value[index]
    if isinstance(value, str):
        file = read_net(value)
        return file.param, file.where
    from caffe.proto.upgrade import upgrade_net

    param = caffe_pb2.NetParameter()
    param.CopyFrom(value)
    upgrade_net(param)
    return param, [f"<solver>:{field} layer {i + 1}" for i in range(len(param.layer))]
