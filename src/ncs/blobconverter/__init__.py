"""The functions of the package `blobconverter`, offline: nothing is uploaded, the blob is compiled on this machine.

A script changes one line, `import ncs.blobconverter as blobconverter`; the command is `python -m ncs.blobconverter`.
Every function returns the path of the blob. The compiler is OpenVINO 2021.4's, whose blobs depthai 2 and 3 read.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ncs.blobconverter.request import OPENVINO_VERSION, Request, defaults
from ncs.errors import NcsError

__all__ = [
    "Versions",
    "compile_blob",
    "from_caffe",
    "from_config",
    "from_onnx",
    "from_openvino",
    "from_tf",
    "from_zoo",
    "set_defaults",
    "zoo_list",
]


class Versions:
    """Names of OpenVINO releases whose blobs have the format that is written here."""

    v2022_1 = "2022.1"
    v2021_4 = OPENVINO_VERSION
    v2021_3 = "2021.3"
    v2021_2 = "2021.2"
    v2021_1 = "2021.1"
    v2020_4 = "2020.4"


def set_defaults(
    url: str | None = None,
    version: str | None = None,
    shaves: int | None = None,
    output_dir: str | os.PathLike | None = None,
    compile_params: Sequence[str] | None = None,
    optimizer_params: Sequence[str] | None = None,
    data_type: str | None = None,
    silent: bool | None = None,
) -> None:
    """Change the defaults of all functions; `url` is accepted and ignored."""
    changes = {
        "version": version,
        "shaves": shaves,
        "output_dir": output_dir,
        "compile_params": compile_params,
        "optimizer_params": optimizer_params,
        "data_type": data_type,
        "silent": silent,
    }
    defaults.update({name: value for name, value in changes.items() if value is not None})


def from_caffe(
    proto: str | os.PathLike,
    model: str | os.PathLike,
    data_type: str | None = None,
    optimizer_params: Sequence[str] | None = None,
    **options: Any,
) -> Path:
    """Compile a prototxt and its caffemodel.

    Parameters
    ----------
    proto, model : path
        Prototxt (train_val or deploy) and caffemodel.
    data_type : str, optional
        "FP16"; the chip computes in FP16.
    optimizer_params : sequence of str, optional
        Flags of the Model Optimizer: --mean_values, --scale_values, --scale, --reverse_input_channels, --input_shape.
    **options
        version, shaves, output_dir, compile_params, use_cache; url is ignored.

    Returns
    -------
    pathlib.Path
        NAME_openvino_VERSION_Nshave.blob

    Raises
    ------
    NcsError
        An option is unknown or unsupported, or the net cannot be compiled.
    """
    return Request("caffe", [proto, model], data_type, optimizer_params, **_local(options)).run()


def from_onnx(
    model: str | os.PathLike,
    data_type: str | None = None,
    optimizer_params: Sequence[str] | None = None,
    **options: Any,
) -> Path:
    """Compile an ONNX model; parameters and result as for `from_caffe`."""
    return Request("onnx", [model], data_type, optimizer_params, **_local(options)).run()


def from_openvino(xml: str | os.PathLike, bin: str | os.PathLike | None = None, **options: Any) -> Path:
    """Compile an IR (v10 or v11); `bin` is next to `xml`. The Model Optimizer's flags do not apply."""
    weights = Path(xml).with_suffix(".bin")
    if bin is not None and Path(bin).resolve() != weights.resolve():
        raise NcsError(f"{bin}: expected the weights next to the IR, {weights}")
    return Request("openvino", [xml, weights], optimizer_params=(), **_local(options)).run()


def from_zoo(name: str, **options: Any) -> Path:
    """Compile a registered net, such as `compact`; the nets of OpenVINO's zoo cannot be compiled offline."""
    options.pop("zoo_type", None)
    return Request("zoo", [], optimizer_params=(), name=name, **_local(options)).run()


def from_tf(frozen_pb: str | os.PathLike, *arguments: Any, **options: Any) -> Path:
    """Raise NcsError: TensorFlow files are not converted here."""
    raise NcsError(
        f"{os.fspath(frozen_pb)}: TensorFlow files are not converted here; convert it to ONNX and use from_onnx"
    )


def from_config(name: str, path: str | os.PathLike, **options: Any) -> Path:
    """Raise NcsError: configurations of the Model Downloader refer to files on the internet."""
    raise NcsError(
        f"{os.fspath(path)}: a configuration of the Model Downloader; download its files and use from_caffe, from_onnx "
        "or from_openvino"
    )


def compile_blob(blob_name: str, *arguments: Any, **options: Any) -> Path:
    """Raise NcsError: this is the request to the online converter."""
    raise NcsError(
        f"compile_blob('{blob_name}'): use from_caffe, from_onnx or from_openvino; nothing is sent to a server"
    )


def zoo_list(version: str | None = None, url: str | None = None) -> list[str]:
    """Return the names of the registered nets."""
    from ncs.compiler import model_plugins

    return model_plugins.names()


def _local(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options without those of downloads and of the server."""
    ignored = ("url", "xml_size", "xml_sha256", "bin_size", "bin_sha256")
    files = ("proto_size", "proto_sha256", "model_size", "model_sha256")
    return {name: value for name, value in options.items() if name not in (*ignored, *files)}
