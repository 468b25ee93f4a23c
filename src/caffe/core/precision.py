"""What a net's products are computed in: float32, as Caffe does, or less where somebody asks for it."""

from __future__ import annotations

import contextlib

from caffe.core import config, glog
from caffe.core.lazy_torch import torch
from caffe.errors import CaffeError

KINDS = {  # name: (the dtype that autocast takes products to, what the log says)
    "float32": (None, ""),
    "tf32": (None, "float32 products of which CUDA keeps 10 bits"),
    "bf16": ("bfloat16", "bfloat16 products"),
    "fp16": ("float16", "half-precision products; the solver scales the loss"),
}
_NOTHING = contextlib.nullcontext()


def choose(name, device):
    """Check `name` for nets on `device` (torch.device), set what is global, and say in the log that results differ."""
    if name not in KINDS:
        raise CaffeError("precision is {}, received '{}'".format(" or ".join(KINDS), name))
    if name == "tf32" and device.type == "cpu":
        raise CaffeError("precision tf32 is for CUDA devices; this net is on the CPU")
    config.set_tf32(name == "tf32")
    if name != "float32":
        glog.info(f"Precision: {name} ({KINDS[name][1]}; results differ from Caffe's float32)", "net.cpp:1")


def products(name, device):
    """A context in which convolutions and matrix products are computed in `name`, weights and losses in float32."""
    kind = KINDS[name][0]
    return _NOTHING if kind is None else torch.autocast(device.type, getattr(torch, kind), cache_enabled=False)
