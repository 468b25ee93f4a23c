"""What holds for the whole process, as Caffe's singleton: mode, device, seed, solver ranks."""

from __future__ import annotations

import os

from caffe.errors import CaffeError

_state = {
    "mode": "CPU",
    "device": 0,
    "seed": None,
    "solver_count": 1,
    "solver_rank": 0,
    "multiprocess": False,
}
_state["fast"] = os.environ.get("CAFFE_DISABLE_PASSES", "0") in ("", "0")


def set_mode_cpu():
    """Nets made from now on live on the CPU."""
    _state["mode"] = "CPU"


def set_mode_gpu():
    """Nets made from now on live on the CUDA device chosen with `set_device`; an error where there is none."""
    import torch

    if not torch.cuda.is_available():
        raise CaffeError(
            "GPU mode was asked for, but this PyTorch sees no CUDA device; use solver_mode: CPU or caffe.set_mode_cpu()"
        )
    _state["mode"] = "GPU"
    set_tf32(False)
    torch.backends.cudnn.deterministic = True  # so that a resumed run ends bit for bit where an undisturbed one does


def set_tf32(flag):
    """Whether CUDA may round the factors of float32 products to 10 bits; PyTorch's convolutions do unless told."""
    import torch

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = bool(flag)


def set_device(number):
    """Choose the CUDA device that `set_mode_gpu` means."""
    _state["device"] = int(number)


def use_gpu(text):
    """What `--gpu` means: "0", "0,1" or "all". Training runs in one process on one device, the first; returns its number."""
    from caffe.core import glog

    numbers = ["0"] if text == "all" else [part.strip() for part in text.split(",")]
    if not all(number.isdigit() for number in numbers):
        raise CaffeError(f"--gpu takes a device id, a comma list of ids, or all; received '{text}'")
    if len(numbers) > 1 or text == "all":
        glog.warning(f"--gpu {text}: one process uses one device, {numbers[0]}", "caffe.cpp:205")
    set_device(numbers[0])
    set_mode_gpu()
    return int(numbers[0])


def device():
    """The torch.device on which a new Net lives."""
    import torch

    return torch.device("cuda", _state["device"]) if _state["mode"] == "GPU" else torch.device("cpu")


def set_random_seed(seed):
    """Make fillers, dropout, shuffles and crops of nets made from now on repeatable."""
    import torch

    _state["seed"] = torch.Generator().manual_seed(int(seed) % 2**63)


def next_seed():
    """A 62-bit seed: drawn from `set_random_seed`'s stream, or from the system where none was set."""
    import torch

    if _state["seed"] is None:
        _state["seed"] = torch.Generator()
        _state["seed"].seed()
    return int(torch.randint(2**62, (), generator=_state["seed"]))


def fast():
    """Whether nets and solvers made from now on run through the passes that make them fast (caffe.passes)."""
    return _state["fast"]


def set_optimize(flag):
    """Have nets and solvers made from now on run fast (the default) or plainly, a layer at a time (as CAFFE_DISABLE_PASSES=1 does)."""
    _state["fast"] = bool(flag)


def solver_count():
    """How many solvers work in parallel (1: this build trains in one process)."""
    return _state["solver_count"]


def set_solver_count(count):
    """Accepted for scripts written for multi-GPU Caffe."""
    _state["solver_count"] = int(count)


def solver_rank():
    """This process' rank among the parallel solvers."""
    return _state["solver_rank"]


def set_solver_rank(rank):
    """Accepted for scripts written for multi-GPU Caffe."""
    _state["solver_rank"] = int(rank)


def set_multiprocess(flag):
    """Accepted for scripts written for multi-GPU Caffe."""
    _state["multiprocess"] = bool(flag)


def has_nccl():
    """Whether this build holds Caffe's NCCL class: it does not."""
    return False
