"""Runs Intel's NCSDK compiler, mvNCCompile, the only compiler for Neural Compute Stick 1 graphs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import tempfile
from typing import TYPE_CHECKING

from caffe.proto import caffe_pb2, text
from caffe.utils.atomic_io import atomic_write, write_bytes
from ncs.errors import NcsError

if TYPE_CHECKING:
    from caffe.net.net import Net

PROGRAM = "mvNCCompile"


def compile_graph(
    net: Net,
    output: str,
    shaves: int | None = None,
    start: str | None = None,
    end: str | None = None,
    size: tuple[int, int] | None = None,
    skip_concat: bool = False,
) -> None:
    """Compile a deploy Net with its weights to an NCSDK graph file, written atomically.

    `size` is (width, height). Raises NcsError with mvNCCompile's message.
    """
    program = find_program()
    if program is None:
        raise NcsError(f"{PROGRAM} is not on the PATH: install NCSDK 2 (Ubuntu 16.04), or omit --toolkit ncsdk")
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        prototxt, weights, graph = (os.path.join(scratch, name) for name in ("net.prototxt", "net.caffemodel", "graph"))
        write_bytes(prototxt, text.format(to_ncsdk_form(net.param)))
        net.save(weights)
        command = [program, prototxt, "-w", weights, "-o", graph]
        command += ["-s", str(shaves)] if shaves else []
        command += ["-in", start] if start else []
        command += ["-on", end] if end else []
        command += ["-is", str(size[0]), str(size[1])] if size else []
        command += ["-ec"] if skip_concat else []
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=scratch, check=False)
        if result.returncode or not os.path.isfile(graph):
            raise NcsError(f"{PROGRAM} failed: {_error_text(result)}")
        with atomic_write(output) as temporary:
            shutil.copyfile(graph, temporary)


def find_program() -> str | None:
    """Return the path of the NCSDK's mvNCCompile, not of this package's command of the same name."""
    own = os.path.realpath(sysconfig.get_path("scripts"))
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if os.path.realpath(folder) != own]
    return shutil.which(PROGRAM, path=os.pathsep.join(folders))


def to_ncsdk_form(param: caffe_pb2.NetParameter) -> caffe_pb2.NetParameter:
    """Replace Input layers by `input` and `input_shape`, the only form that mvNCCompile's parser accepts.

    Also removes the Split layers that a Net inserts.
    """
    out = caffe_pb2.NetParameter(name=param.name)
    renamed: dict[str, str] = {}
    for layer in param.layer:
        if layer.type == "Input":
            for number, top in enumerate(layer.top):
                shapes = layer.input_param.shape
                out.input.append(top)
                out.input_shape.add().CopyFrom(shapes[min(number, len(shapes) - 1)])
        elif layer.type == "Split":
            renamed.update({top: renamed.get(layer.bottom[0], layer.bottom[0]) for top in layer.top})
        else:
            copy = out.layer.add()
            copy.CopyFrom(layer)
            del copy.blobs[:]
            copy.ClearField("phase")
            copy.bottom[:] = [renamed.get(bottom, bottom) for bottom in layer.bottom]
    return out


def _error_text(result):
    lines = [line.strip() for line in result.stdout.decode("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line]
    return "; ".join(errors or lines[-3:]) or f"status {result.returncode} without a message"
