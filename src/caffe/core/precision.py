"""Arithmetic of a net's convolutions and matrix autocast: float32 as in Caffe, or a lower precision."""

from __future__ import annotations

import contextlib
from typing import Any

from caffe.core import config, glog
from caffe.core.lazy_torch import torch
from caffe.errors import CaffeError

PRECISIONS = {  # name: (autocast dtype, description for the log)
    "float32": (None, ""),
    "tf32": (None, "float32 products with 10-bit mantissas"),
    "bf16": ("bfloat16", "bfloat16 products"),
    "fp16": ("float16", "half-precision products; the solver scales the loss"),
}
_NO_AUTOCAST = contextlib.nullcontext()


def configure(name: str, device: Any) -> None:
    """Validate `name` for nets on `device` (torch.device), apply global settings, and log that results differ."""
    if name not in PRECISIONS:
        expected = " or ".join(PRECISIONS)
        raise CaffeError(f"expected precision {expected}, received '{name}'")
    if name == "tf32" and device.type == "cpu":
        raise CaffeError("precision tf32 needs a CUDA device; this net is on the CPU")
    config.set_tf32(name == "tf32")
    if name != "float32":
        glog.info(f"Precision: {name} ({PRECISIONS[name][1]}; results differ from Caffe's float32)", "net.cpp:1")


def autocast(name: str, device: Any) -> contextlib.AbstractContextManager[Any]:
    """Return a context that computes convolutions and matrix products in `name`; weights and losses stay float32."""
    dtype = PRECISIONS[name][0]
    return _NO_AUTOCAST if dtype is None else torch.autocast(device.type, getattr(torch, dtype), cache_enabled=False)


def bf16_in_hardware() -> bool:
    """Return whether the GPU or CPU (AVX-512 BF16, AMX) supports bfloat16; otherwise bf16 is slower than float32."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
