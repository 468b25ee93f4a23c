"""Intel's own NCSDK compiler, mvNCCompile, where it is installed: the only source of graphs for the first stick's firmware."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile

from caffe.proto import caffe_pb2, text
from caffe.utils.atomic_io import atomic_write, write_bytes
from ncs.errors import NcsError

PROGRAM = "mvNCCompile"


def compile_graph(net, output, shaves=None, start=None, end=None, size=None, skip_concat=False):
    """Compile a deploy Net with its weights into an NCSDK graph file at `output`, whole or not at all.

    `size` is (width, height). Raises NcsError in the toolkit's words.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise NcsError(
            f"{PROGRAM} is not on the PATH: NCSDK 2 installs it (Ubuntu 16.04); without it leave out --toolkit ncsdk"
        )
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        prototxt, weights, made = (os.path.join(scratch, name) for name in ("net.prototxt", "net.caffemodel", "graph"))
        write_bytes(prototxt, text.format(input_form(net.param)))
        net.save(weights)
        command = [program, prototxt, "-w", weights, "-o", made]
        command += ["-s", str(shaves)] if shaves else []
        command += ["-in", start] if start else []
        command += ["-on", end] if end else []
        command += ["-is", str(size[0]), str(size[1])] if size else []
        command += ["-ec"] if skip_concat else []
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=scratch, check=False)
        if result.returncode or not os.path.isfile(made):
            raise NcsError(f"{PROGRAM} refused: {_said(result)}")
        with atomic_write(output) as temporary:
            shutil.copyfile(made, temporary)


def input_form(param):
    """The NetParameter with `input` and `input_shape` in the place of Input layers: the one form its parser accepts.

    Splits, which a Net puts in, are taken out: its readers read the blob that was split.
    """
    out = caffe_pb2.NetParameter(name=param.name)
    renamed = {}
    for layer in param.layer:
        if layer.type == "Input":
            for number, top in enumerate(layer.top):
                shapes = layer.input_param.shape
                out.input.append(top)
                out.input_shape.add().CopyFrom(shapes[min(number, len(shapes) - 1)])
        elif layer.type == "Split":
            renamed.update({top: renamed.get(layer.bottom[0], layer.bottom[0]) for top in layer.top})
        else:
            kept = out.layer.add()
            kept.CopyFrom(layer)
            del kept.blobs[:]
            kept.ClearField("phase")
            kept.bottom[:] = [renamed.get(bottom, bottom) for bottom in layer.bottom]
    return out


def _said(result):
    rows = [row.strip() for row in result.stdout.decode("utf-8", "replace").splitlines() if row.strip()]
    errors = [row for row in rows if "Error" in row]
    return "; ".join(errors or rows[-3:]) or "status %d and no message" % result.returncode
