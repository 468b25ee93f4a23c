"""The compiled kernels as a library: where it is, how it is loaded and called."""

from __future__ import annotations

import ctypes
import functools
import glob
import hashlib
import os
import platform
from typing import Any

from caffe.core.lazy_torch import torch
from caffe.utils import cache

FOLDER = os.path.dirname(os.path.abspath(__file__))

# Types of the arguments: p pointer, l int64_t, i int, f float. The last one is the number of threads.
SIGNATURES = {
    "batch_norm_forward": "ppllppfiipppi",
    "batch_norm_backward": "ppppllppppiippi",
    "convolution_weights_gradient": "ppppllllllllllllli",
    "max_pooling_forward": "ppplllllllllllli",
    "max_pooling_backward": "ppplllllllllllli",
    "lrn_across_channels": "ppplllfffi",
    "lrn_within_channel": "ppplllllfffi",
    "depthwise_forward": "ppppllllllli",
    "depthwise_bottom": "pppllllllli",
    "depthwise_weights": "pppllllllli",
}
_TYPES = {"p": ctypes.c_void_p, "l": ctypes.c_int64, "i": ctypes.c_int, "f": ctypes.c_float}


def prefix() -> str:
    """Return the path of the compiled library up to the part that names the compiler.

    It contains a digest of the sources and the processor's instructions, so that outdated kernels are never loaded.
    """
    digest = hashlib.sha256()
    for path in sorted(glob.glob(os.path.join(FOLDER, "*.[ch]"))):
        with open(path, "rb") as file:
            digest.update(os.path.basename(path).encode() + file.read())
    digest.update(_instructions().encode())
    return os.path.join(cache.cache_folder(), "kernels", digest.hexdigest()[:24] + "-")


def _instructions():
    """Return what -march=native depends on."""
    lines = set()
    try:
        with open("/proc/cpuinfo") as file:
            names = ("flags", "Features", "vendor_id", "cpu family", "model\t")
            lines = {line for line in file if line.startswith(names)}
    except OSError:
        pass
    return platform.machine() + "".join(sorted(lines))


def candidates() -> list[str]:
    """Return the paths of the libraries of these sources and this processor."""
    return sorted(glob.glob(glob.escape(prefix()) + "*.so"))


@functools.cache
def load() -> ctypes.CDLL | None:
    """Return the library, or None if it is not compiled, does not load, or CAFFE_DISABLE_KERNELS is set."""
    if os.environ.get("CAFFE_DISABLE_KERNELS", "0") not in ("", "0"):
        return None
    return next(filter(None, map(open_library, candidates())), None)


def open_library(path: str) -> ctypes.CDLL | None:
    """Load the library `path` with PyTorch's OpenMP; return None if it does not load.

    A second copy of libgomp would mean two sets of threads on the same cores. The kernels are therefore linked without
    one, and PyTorch's copy is made visible to them.
    """
    folder = os.path.dirname(torch.__file__)
    copies = [*glob.glob(os.path.join(folder, "lib", "libgomp*.so*")), *glob.glob(folder + ".libs/libgomp*.so*")]
    if len(copies) != 1:
        return None
    try:
        ctypes.CDLL(copies[0], ctypes.RTLD_GLOBAL)
        library = ctypes.CDLL(path)
        for name, types in SIGNATURES.items():
            function = getattr(library, name)
            function.argtypes, function.restype = [_TYPES[letter] for letter in types], ctypes.c_int
    except (OSError, AttributeError):
        return None
    return library


def is_available() -> bool:
    """Return whether the kernels are compiled and enabled."""
    return load() is not None


def supports(x: Any) -> bool:
    """Return whether the kernels are available and take the type of the tensor `x`: float32 on the CPU, not empty."""
    return x.dtype == torch.float32 and x.device.type == "cpu" and x.numel() > 0 and is_available()


def call(name: str, *arguments: Any) -> None:
    """Call the kernel `name` with torch's number of threads; a tensor stands for its memory, None for NULL.

    Raises
    ------
    MemoryError
        If the kernel cannot allocate its sums.
    """
    values = [a.data_ptr() if isinstance(a, torch.Tensor) else a for a in arguments]
    if getattr(load(), name)(*values, torch.get_num_threads()):
        raise MemoryError(f"no memory for the sums of {name}")
