"""Open compiled nets by name: manifests in a directory, each with a runner on a device. Device side: Python 3.7."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from agegender.inference import image_files, net_predictor, results
from ncs import runtime
from ncs.errors import NcsError, NoDeviceError
from ncs.runtime.manifest import Manifest


def open_nets(
    names: Sequence[str],
    model_dir: str,
    device: str = "",
    *,
    batch: int = 1,
    flip: bool = False,
    ensemble: bool = False,
    change: Callable[[str, Any], Any] | None = None,
    style: results.Style = results.Style(),  # noqa: B008
) -> list[net_predictor.NetPredictor]:
    """Open nets on a device.

    Parameters
    ----------
    names : sequence of str
        Nets of which `model_dir` has the manifest NAME.json; a net with several outputs gives one predictor for each.
    model_dir : str
    device : str
        CPU, GPU, NPU, MYRIAD ...; "" takes a stick if one is plugged in, else the CPU.
    batch : int
        Images per inference where the device supports batches.
    flip : bool
        Predict the mean over the image and its mirror image.
    ensemble : bool
        Let nets of the same task predict together.
    change : callable, optional
        (name, Transform) -> Transform, for other means, margins or channel orders than the manifest's.
    style : Style
        How predictions are given.

    Raises
    ------
    AgeGenderError
        With exit status NO_MODEL or NO_DEVICE.
    """
    device = device or runtime.default_device()[0]
    nets: list[net_predictor.NetPredictor] = []
    try:
        for name in names:
            nets += _open(name, model_dir, device, batch, flip, change, style)
        if ensemble:
            net_predictor.make_ensemble(nets)
    except BaseException:
        net_predictor.close_runners(nets)
        raise
    return nets


def _open(
    name: str,
    model_dir: str,
    device: str,
    batch: int,
    flip: bool,
    change: Callable[[str, Any], Any] | None,
    style: results.Style,
) -> list[net_predictor.NetPredictor]:
    path = os.path.join(model_dir, name + ".json")
    if not os.path.isfile(path):
        raise image_files.failure(image_files.NO_MODEL, f"{path}: no such model; ./compile2Movidius.sh makes it")
    try:
        manifest = Manifest.read(path)
        if change is not None:
            manifest.map_transforms(lambda transform: change(name, transform))
        runner = runtime.open_runner(device, manifest, batch=batch)
    except NoDeviceError as error:
        raise image_files.failure(image_files.NO_DEVICE, str(error)) from None
    except NcsError as error:
        raise image_files.failure(image_files.NO_MODEL, str(error)) from None
    return net_predictor.open_heads(manifest, runner, flip, style)
