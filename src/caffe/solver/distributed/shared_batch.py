"""`--batch shared`: the processes divide the batch of the prototxt."""

from __future__ import annotations

from typing import Any

from caffe.errors import CaffeError
from caffe.net.filter_and_split import included, net_state
from caffe.proto import caffe_pb2

FIELDS = {
    "Data": "data_param",
    "ImageData": "image_data_param",
    "HDF5Data": "hdf5_data_param",
    "WindowData": "window_data_param",
    "MemoryData": "memory_data_param",
}

# Layers with a batch_size that are not divided, and why.
_WHOLE = {
    "AnnotatedData": "draws the random changes of a batch one after another, so its parts would not be those of one "
    "process",
}


def divide(param: Any, solver: Any, count: int) -> None:
    """Divide the batch_size of the TRAIN net's data layers by `count`, in place.

    Parameters
    ----------
    param : NetParameter
        Of the train net.
    solver : SolverParameter
        Its train_state selects the layers.
    count : int
        Number of processes.

    Raises
    ------
    CaffeError
        If a layer has no batch size, or one that `count` does not divide; the message names numbers that do.
    """
    state = net_state(caffe_pb2.TRAIN, solver.train_state.level, [*param.state.stage, *solver.train_state.stage])
    for layer in param.layer:
        if layer.bottom or not included(layer, state):
            continue
        if layer.type not in FIELDS:
            if layer.type in ("Parameter",):
                continue
            reason = _WHOLE.get(layer.type, "has no batch_size to divide")
            raise CaffeError(f"--batch shared: layer '{layer.name}' ({layer.type}) {reason}; use --batch each")
        data = getattr(layer, FIELDS[layer.type])
        if data.batch_size % count:
            numbers = [str(n) for n in range(1, data.batch_size + 1) if data.batch_size % n == 0]
            raise CaffeError(
                f"--batch shared: {count} processes cannot divide the batch_size {data.batch_size} of layer "
                f"'{layer.name}'; use {', '.join(numbers)} processes, or --batch each"
            )
        data.batch_size //= count
