"""Peers of bench/model_families.py that read Caffe nets, each run by a Python of its own: OpenCV 4 and kendryte-caffe."""

from __future__ import annotations

import os
import re
import subprocess

import _baselines
import numpy as np

_OPENCV = """
import sys, numpy, cv2
files, inputs, outputs, result = sys.argv[1:3], sys.argv[3], sys.argv[4].split(","), sys.argv[5]
net = cv2.dnn.readNetFromCaffe(*files)
for name, value in numpy.load(inputs).items():
    net.setInput(value, name)
numpy.savez(result, **dict(zip(outputs, net.forward(outputs))))
"""
_KENDRYTE = """
import sys, numpy, caffe
files, inputs, outputs, result = sys.argv[1:3], sys.argv[3], sys.argv[4].split(","), sys.argv[5]
net = caffe.Net(*files, caffe.TEST)
for name, value in numpy.load(inputs).items():
    net.blobs[name].reshape(*value.shape)
    net.blobs[name].data[...] = value
net.forward()
numpy.savez(result, **{name: net.blobs[name].data for name in outputs})
"""


def opencv(net, files, feeds, scratch):
    """Return the outputs of OpenCV 4, the last one with a Caffe importer."""
    return _run("opencv4", _OPENCV, net, files, feeds, scratch)


def kendryte(net, files, feeds, scratch):
    """Return the outputs of kendryte-caffe: BVLC's Caffe with some layers of SSD and of OCR."""
    return _run("kendryte-caffe", _KENDRYTE, net, files, feeds, scratch)


def _run(name, code, net, files, feeds, scratch):
    program, reason = _baselines.python(name)
    if not program:
        raise RuntimeError(f"{name} is not installed: {reason}")
    np.savez(scratch / "inputs.npz", **feeds)
    arguments = [*map(str, files), str(scratch / "inputs.npz"), ",".join(net.outputs), str(scratch / "outputs.npz")]
    environment = {**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python", "GLOG_minloglevel": "2"}
    environment.pop("PYTHONPATH", None)
    command = [program, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    if done.returncode:
        raise RuntimeError(_reason(done.stderr) or f"exit status {done.returncode}")
    return dict(np.load(scratch / "outputs.npz"))


def _reason(text):
    """Return what went wrong: the text of a failed check of Caffe, or of OpenCV's or Python's last error."""
    text = re.sub(r" \(known types: .*?\)", "", text)
    checks = re.findall(r"(?:Check failed: |Error parsing text-format )(.*)", text)
    return re.sub(r"\s+", " ", checks[0] if checks else text.strip().split("error: ")[-1])
