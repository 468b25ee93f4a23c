"""One request of blobconverter: its options, the cached result, and the compilation."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from caffe.errors import did_you_mean
from caffe.utils.atomic_io import write_bytes
from caffe.utils.cache import cache_folder
from ncs.blobconverter.model_optimizer import Preprocessing, parse_preprocessing, prepend
from ncs.errors import NcsError

OPENVINO_VERSION = "2021.4"
_READABLE = ("2022.1", "2021.4", "2021.3", "2021.2", "2021.1", "2020.4")  # blobs of one format, 6.0
_KINDS = ("caffe", "onnx", "openvino", "zoo")
_OPTIONS = ("version", "shaves", "output_dir", "compile_params", "use_cache", "data_type", "download_ir", "dry", "name")
defaults: dict[str, Any] = {
    "version": OPENVINO_VERSION,
    "shaves": 4,
    "output_dir": None,
    "compile_params": ["-ip U8"],
    "optimizer_params": ["--mean_values=[127.5,127.5,127.5]", "--scale_values=[255,255,255]"],
    "data_type": "FP16",
    "silent": False,
}


class Request:
    """A model file and the options of its compilation; `run` returns the path of the blob.

    Parameters
    ----------
    kind : {"caffe", "onnx", "openvino", "zoo"}
    files : sequence of path
        The model's files.
    data_type, optimizer_params, version, shaves, output_dir, compile_params, use_cache
        As in blobconverter; None takes the default.
    """

    def __init__(
        self,
        kind: str,
        files: Sequence[str | os.PathLike],
        data_type: str | None = None,
        optimizer_params: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        unknown = [name for name in options if name not in _OPTIONS]
        if unknown:
            raise NcsError(f"unknown option '{unknown[0]}'{did_you_mean(unknown[0], _OPTIONS)}")
        if options.get("download_ir") or options.get("dry"):
            raise NcsError("download_ir and dry are not available offline; `ncs compile` writes the IR as well")
        settings = {**defaults, **{name: value for name, value in options.items() if value is not None}}
        self.kind, self.files = kind, [os.fspath(path) for path in files]
        for path in self.files:
            if not os.path.isfile(path):
                raise NcsError(f"{path}: no such file")
        suffix = {"onnx": ".onnx", "openvino": ".xml"}.get(kind, "")
        if self.files and not self.files[0].endswith(suffix):
            raise NcsError(f"{self.files[0]}: expected a file that ends in {suffix}")
        self.name = options.get("name") or Path(self.files[0]).stem
        self.shaves, self.use_cache = settings["shaves"], options.get("use_cache", True)
        self.silent = settings["silent"]
        self.folder = Path(settings["output_dir"] or os.path.join(cache_folder(), "blobconverter"))
        self._check(settings["version"], data_type or settings["data_type"])
        self.compile_params = _join(settings["compile_params"])
        self.optimizer_params = _join(settings["optimizer_params"] if optimizer_params is None else optimizer_params)
        self.preprocessing = parse_preprocessing(self.optimizer_params)
        self.inputs, self.outputs, self.config = _parse_compile_params(self.compile_params)

    def _check(self, version: str, data_type: str) -> None:
        if version not in _READABLE:
            raise NcsError(f"version: expected one of {', '.join(_READABLE)}, received '{version}'")
        if data_type not in ("FP16", "FP32"):
            raise NcsError(f"data_type: expected FP16 (or FP32, which the chip rounds to it), received '{data_type}'")
        if not isinstance(self.shaves, int) or not 1 <= self.shaves <= 16:
            raise NcsError(f"shaves: expected 1 to 16, received {self.shaves!r}")

    @property
    def path(self) -> Path:
        """The path of the blob."""
        return self.folder / f"{self.name}_openvino_{OPENVINO_VERSION}_{self.shaves}shave.blob"

    def run(self) -> Path:
        """Return the blob of the same request if it exists, else compile it."""
        record, digest = self.path.with_suffix(".json"), self._digest()
        if self.use_cache and self.path.is_file() and _recorded(record) == digest:
            return self.path
        if not self.silent:
            print(f"Compiling {self.path}...")
        with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
            self._compile(scratch)
        write_bytes(record, json.dumps({"request": digest}) + "\n")
        return self.path

    def _digest(self) -> str:
        """Return the SHA-256 of the request and its files."""
        facts = [self.kind, self.name, self.shaves, self.compile_params, self.optimizer_params]
        digest = hashlib.sha256(json.dumps(facts).encode("utf-8"))
        for path in self.files:
            with open(path, "rb") as stream:
                digest.update(hashlib.sha256(stream.read()).digest())
        return digest.hexdigest()

    def _compile(self, scratch: str) -> None:
        from ncs.compiler import model_input
        from ncs.myriad.compiler import Job, compile_blobs

        source = getattr(self, "_" + self.kind)(scratch)
        say = (lambda text: None) if self.silent else print
        shape = self.preprocessing.shape if self.kind == "onnx" else (1, None, None, None)
        model = model_input.readable(source, scratch, shape, say)
        config = {"MYRIAD_THROUGHPUT_STREAMS": "1", **self.config}
        job = Job(model, os.fspath(self.path), "MA2480", self.shaves, None, config, self.inputs, self.outputs)
        compile_blobs([job], say)

    def _caffe(self, scratch: str) -> str:
        from caffe.convert.onnx_export import export_net
        from ncs.compiler.compile import deploy_net

        path = os.path.join(scratch, self.name + ".onnx")
        prototxt, weights = self.files
        export_net(deploy_net(prototxt, weights, self.preprocessing.shape, build_only=True), path)
        return self._prepended(path, scratch)

    def _onnx(self, scratch: str) -> str:
        return self._prepended(self.files[0], scratch)

    def _prepended(self, path: str, scratch: str) -> str:
        if self.preprocessing == Preprocessing(shape=self.preprocessing.shape):
            return path
        target = os.path.join(scratch, "preprocessed.onnx")
        prepend(path, target, self.preprocessing)
        return target

    def _openvino(self, scratch: str) -> str:
        return self.files[0]

    def _zoo(self, scratch: str) -> str:
        from ncs.compiler import model_plugins
        from ncs.compiler.compile import Options, compile_models

        jobs = model_plugins.jobs(self.name, scratch)
        if len(jobs) != 1:
            names = ", ".join(model.name for model, _ in jobs)
            raise NcsError(f"'{self.name}' stands for several nets; expected one of {names}")
        compile_models(jobs, Options(blob=False, ir=False, bytes_in=self.inputs == "U8"), lambda text: None)
        if self.inputs == "U8":
            self.inputs = ""  # the input is already of bytes
        return jobs[0][1] + ".onnx"


def _join(params: Sequence[str] | str) -> str:
    return params if isinstance(params, str) else " ".join(params)


def _recorded(path: Path) -> str:
    """Return the request that a blob was compiled for, or "" if it is unknown."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["request"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _parse_compile_params(text: str) -> tuple[str, str, dict[str, str]]:
    """Return (type of inputs, type of outputs, settings of the compiler) of compile_tool's flags."""
    values = {"-ip": "FP16", "-op": "FP16"}  # compile_tool's defaults for this chip
    config = {}
    words = iter(text.replace("=", " ").split())
    for word in words:
        value = next(words, None)
        if value is None:
            raise NcsError(f"compile_params: {word} has no value")
        if word in values:
            values[word] = value.upper()
        elif word.startswith("-VPU_"):
            config["MYRIAD_" + word[5:]] = value
        else:
            raise NcsError(f"compile_params: expected -ip, -op or -VPU_..., received '{word}'")
    return values["-ip"], values["-op"], config
