"""Nets and solvers from a form: parse, refuse what must not run here, apply the fields, write a run's folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from agegender.errors import AgeGenderError
from caffe.proto import caffe_pb2
from caffe.proto.read import read_net_text, read_solver_text

REFUSED_TYPES = {"Python": "a Python layer runs code", "HDF5Output": "it writes files"}
NET_NAME, SOLVER_NAME, PREFIX = "train_val.prototxt", "solver.prototxt", "train"
_NETS = ("net", "train_net", "test_net", "net_param", "train_net_param", "test_net_param", "train_state", "test_state")
DATA_TYPES = ("Data", "ImageData")


def read(values: dict[str, Any]) -> tuple[Any, Any]:
    """Return (NetParameter, SolverParameter) of a request, checked and with the fields of the form applied."""
    net = read_net_text(values["net"], NET_NAME).param
    solver = read_solver_text(values["solver"], SOLVER_NAME).param
    for name in _NETS:
        solver.ClearField(name)
    refuse_unsafe(net)
    refuse_unsafe(solver)
    _apply_net(net, values)
    _apply_solver(solver, values)
    return net, solver


def refuse_unsafe(message: Any) -> None:
    """Raise AgeGenderError for layers that run code or write files, and for paths that leave the root."""
    for layer in getattr(message, "layer", ()):
        if layer.type in REFUSED_TYPES:
            raise AgeGenderError(
                f"layer '{layer.name}': type {layer.type} is not accepted from a browser, because "
                f"{REFUSED_TYPES[layer.type]}; train this net with `caffe train`"
            )
    root = os.path.realpath(".")
    for field, text in _texts(message):
        parts = text.replace("\\", "/").split("/")
        if text.startswith(("/", "~")) or ".." in parts:
            raise AgeGenderError(f"{field}: '{text[:80]}' must be relative to the root of the workbench, without ..")
        if os.path.lexists(text) and not (os.path.realpath(text) + os.sep).startswith(root + os.sep):
            raise AgeGenderError(f"{field}: '{text[:80]}' is a link out of the root of the workbench")


def _texts(message: Any) -> Iterator[tuple[str, str]]:
    """Yield (field, text) of every string of a message that may be a path."""
    for descriptor, value in message.ListFields():
        items = [value] if isinstance(value, (str, bytes)) or not hasattr(value, "__len__") else value
        for item in items:
            if isinstance(item, str) and descriptor.name not in ("name", "bottom", "top", "type"):
                yield descriptor.name, item
            elif hasattr(item, "ListFields"):
                yield from _texts(item)


def _apply_net(net: Any, values: dict[str, Any]) -> None:
    for layer in net.layer:
        if layer.type not in DATA_TYPES:
            continue
        phase = _phase(layer)
        if values.get(f"{phase}_database"):
            layer.data_param.source = values[f"{phase}_database"]
            layer.data_param.backend = caffe_pb2.DataParameter.LMDB
        if values.get("mean"):
            layer.transform_param.mean_file = values["mean"]
            del layer.transform_param.mean_value[:]
        if values.get("batch_size") and phase == "train":
            layer.data_param.batch_size = values["batch_size"]
    if values.get("classes"):
        _set_classes(net, values["classes"])


def _phase(layer: Any) -> str:
    phases = {rule.phase for rule in layer.include if rule.HasField("phase")}
    return "test" if phases == {caffe_pb2.TEST} else "train"


def _set_classes(net: Any, classes: int) -> None:
    """Set the number of outputs of the layer that the loss over classes reads."""
    logits = {layer.bottom[0] for layer in net.layer if layer.type == "SoftmaxWithLoss"}
    for layer in net.layer:
        if layer.type == "InnerProduct" and set(layer.top) & logits:
            layer.inner_product_param.num_output = classes


def _apply_solver(solver: Any, values: dict[str, Any]) -> None:
    for name in ("max_iter", "base_lr", "lr_policy", "gamma", "power", "stepsize", "display", "snapshot"):
        if values.get(name) not in (None, ""):
            setattr(solver, name, values[name])
    if values.get("test_interval"):
        solver.test_interval = values["test_interval"]
    if values.get("test_iter"):
        del solver.test_iter[:]
        solver.test_iter.append(values["test_iter"])
    if values.get("seed") is not None:
        solver.random_seed = values["seed"]
    if not solver.max_iter:
        raise AgeGenderError("max_iter: expected a positive number of iterations")
    solver.net = f"{values['run']}/{NET_NAME}"
    solver.snapshot_prefix = f"{values['run']}/{PREFIX}"
    if solver.snapshot and solver.snapshot < 1:
        raise AgeGenderError("snapshot: expected a positive number of iterations")
