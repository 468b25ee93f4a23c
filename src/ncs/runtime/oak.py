"""OAK cameras (Luxonis, RVC2: the chip of Neural Compute Stick 2) through depthai 3 or 2; images come from the host."""

from __future__ import annotations

import itertools
from typing import Any, Callable, Iterator  # noqa: UP035 - the device side supports Python 3.7

import numpy as np

from ncs.errors import NcsError, NoDeviceError
from ncs.runtime import base
from ncs.runtime.oak_session import Session, Session2, Session3, call

IN_FLIGHT = 2  # a camera runs two inferences concurrently
_DTYPES = {"U8": np.uint8, "FP16": np.float16}


class Oak(base.Runner):
    """Runs a blob of `ncs compile --target oak` on a camera.

    A camera runs one pipeline: the runners of one process share it. It starts with the first inference, so all nets
    must be open by then.

    Parameters
    ----------
    source : Manifest or path
        A manifest that refers to a blob, or a blob.
    device : str
        OAK for the first camera, OAK.<id or IP address> for another.
    session : Session, optional
        A pipeline that has other networks or the camera's images; the caller starts and closes it.
    api : module, optional
        depthai.
    """

    in_flight = IN_FLIGHT

    def __init__(self, source: Any, device: str = "OAK", session: Any = None, api: Any = None) -> None:
        from ncs.myriad.blob import read_blob

        model = base.Model.of(source)
        path = model.pick(("blob",))
        blob = read_blob(path)
        _check_types(path, blob)
        self.device = device
        shapes = {port.name: _caffe_shape(port) for port in blob.inputs}
        self._input = self.set_inputs(model, shapes)
        self._types = {port.name: _DTYPES[port.dtype] for port in blob.inputs}
        self._outputs = self.set_outputs(model, [port.name for port in blob.outputs])
        outputs = {port.name: port.dims for port in blob.outputs}
        if len(self._outputs) == 1:
            self.output_shape = tuple(outputs[self._outputs[0]])
        self._session = session or open_session(device, api, shared=True)
        self._owns_session = session is None
        self._session.users += self._owns_session
        size = sum(map(np.prod, shapes.values()))
        try:
            self._network = call(lambda: self._session.add(path, self._outputs, size))
        except NcsError:
            self.close()
            raise
        self._submitted = self._read = 0
        self._results: dict[int, list[np.ndarray]] = {}

    def _start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        feeds = {name: _as(array, self._types[name]) for name, array in self.feeds(batch, self._input).items()}
        call(self._session.ensure_started)
        call(lambda: self._network.put(feeds))
        ticket = self._submitted
        self._submitted += 1

        def wait() -> np.ndarray:
            while ticket not in self._results:  # the camera returns results in the order of the requests
                self._results[self._read] = call(self._network.get)
                self._read += 1
            return base.rows(self._results.pop(ticket), len(batch))

        return wait

    def temperature(self) -> float | None:
        """Return the average temperature of the chip in degrees Celsius, or None if it is unknown."""
        try:
            return float(self._session.camera_device.getChipTemperature().average)
        except Exception:  # depthai raises RuntimeError and others
            return None

    def close(self) -> None:
        """Release the camera."""
        session, self._session = self._session, None
        if session is None or not self._owns_session:
            return
        session.users -= 1
        if not session.users:
            for name in [name for name, other in _shared.items() if other is session]:
                del _shared[name]
            session.close()


def sticks() -> list[str]:
    """Return OAK.<id> for every camera with a Myriad X that is plugged in or in the network."""
    return [f"OAK.{_identifier(info)}" for info in _cameras(_depthai())]


_shared: dict[str, Session] = {}  # by the camera's id


def open_session(device: str = "OAK", api: Any = None, shared: bool = False) -> Session:
    """Return a Session on the camera called `device`; with `shared`, the one that other runners use.

    Raises NoDeviceError if the camera does not respond.
    """
    api = api or _depthai()
    name = device.partition(".")[2]
    if shared and (name in _shared or (not name and _shared)):  # a camera in use is no longer found
        return _shared[name or next(iter(_shared))]
    cameras = _cameras(api)
    chosen = [info for info in cameras if name in ("", _identifier(info), info.name)]
    if not chosen:
        found = ", ".join(_identifier(info) for info in cameras) or "none"
        wanted = f"with the id or address {name} " if name else ""
        raise NoDeviceError(f"No devices found: no OAK camera {wanted}responds; found: {found}")
    session_class = Session3 if hasattr(api.NNData, "addTensor") else Session2
    session = call(lambda: session_class(api, chosen[0]))
    if shared:
        _shared[_identifier(chosen[0])] = session
    return session


def _cameras(api: Any) -> list[Any]:
    return [info for info in api.Device.getAllAvailableDevices() if "RVC4" not in str(info.platform)]


def _identifier(info: Any) -> str:
    return info.deviceId if hasattr(info, "deviceId") else info.mxid


def _check_types(path: str, blob: Any) -> None:
    inputs = [f"{port.name} {port.dtype}" for port in blob.inputs if port.dtype not in _DTYPES]
    outputs = [f"{port.name} {port.dtype}" for port in blob.outputs if port.dtype != "FP16"]
    if inputs or outputs:
        raise NcsError(
            f"{path}: a camera takes U8 or FP16 and returns FP16, the blob has {', '.join(inputs + outputs)}; compile "
            "it with --target oak"
        )


def _caffe_shape(port: Any) -> tuple[int, ...]:
    """Return the shape of a port in the order NCHW or NC."""
    axes = dict(zip(port.order, port.dims))
    return tuple(axes[letter] for letter in "NDCHW" if letter in axes)


def _as(array: np.ndarray, dtype: Any) -> np.ndarray:
    """Convert to the type of a port; bytes are rounded and limited to 0 to 255."""
    if dtype == np.uint8:
        array = np.clip(np.rint(array), 0, 255)
    return np.ascontiguousarray(array, dtype)


def _depthai() -> Any:
    try:
        import depthai
    except ImportError as error:
        raise NoDeviceError(
            f"No devices found: depthai is not installed ({error}); run `pip install depthai`"
        ) from error
    return depthai


def frames(camera: Callable[[], np.ndarray], count: int = 0) -> Iterator[np.ndarray]:
    """Yield `count` images of a session's camera; 0 yields them without end."""
    for _ in itertools.repeat(None, count) if count else itertools.repeat(None):
        yield camera()
