"""The nets a solver trains and tests, from the many ways in which a solver file may name them (solver.cpp, InitTrainNet)."""

from __future__ import annotations

from caffe.errors import CaffeError
from caffe.net.net import Net
from caffe.proto import caffe_pb2
from caffe.proto.read import read_net

_TRAIN = ("train_net_param", "train_net", "net_param", "net")


def train_net(solver):
    """The training Net of a SolverParameter."""
    given = [field for field in _TRAIN if solver.HasField(field)]
    if len(given) != 1:
        raise CaffeError(
            "a solver names its training net once, as net, net_param, train_net or train_net_param; received %s"
            % (", ".join(given) or "none")
        )
    return _make(solver, given[0], None, caffe_pb2.TRAIN, solver.train_state)


def test_nets(solver):
    """The test Nets of a SolverParameter: its own first, then `net` for every test_iter that is left."""
    sources = [("test_net_param", i) for i in range(len(solver.test_net_param))]
    sources += [("test_net", i) for i in range(len(solver.test_net))]
    generic = [field for field in ("net_param", "net") if solver.HasField(field)]
    missing = len(solver.test_iter) - len(sources)
    if missing < 0 or (missing and not generic):
        raise CaffeError("%d test_iter were given for %d test nets" % (len(solver.test_iter), len(sources)))
    sources += [(field, None) for field in generic[:1] * missing]
    if len(solver.test_state) not in (0, len(sources)):
        raise CaffeError(
            "test_state must be given once a test net (%d) or not at all, received %d"
            % (len(sources), len(solver.test_state))
        )
    if len(solver.test_iter) and solver.test_interval <= 0:
        raise CaffeError("test_iter was given, but test_interval is %d" % solver.test_interval)
    states = list(solver.test_state) or [caffe_pb2.NetState()] * len(sources)
    return [_make(solver, field, i, caffe_pb2.TEST, state) for (field, i), state in zip(sources, states)]


def _make(solver, field, index, phase, extra):
    param, where = _description(solver, field, index)
    state = caffe_pb2.NetState()
    for part in (param.state, extra):
        state.MergeFrom(part)
    return Net.from_param(param, phase, state.level, list(state.stage), where)


def _description(solver, field, index):
    """(NetParameter, places) of a field that holds a net or the name of its file."""
    value = getattr(solver, field)
    value = value if index is None else value[index]
    if isinstance(value, str):
        file = read_net(value)
        return file.param, file.where
    from caffe.proto.upgrade import upgrade_net

    param = caffe_pb2.NetParameter()
    param.CopyFrom(value)
    upgrade_net(param)
    return param, ["<solver>:%s layer %d" % (field, i + 1) for i in range(len(param.layer))]
