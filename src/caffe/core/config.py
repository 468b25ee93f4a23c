"""Process-wide settings, as in Caffe's singleton: mode, device, seed, solver rank."""

from __future__ import annotations

import os
from typing import Any

from caffe.errors import CaffeError

_state: dict[str, Any] = {
    "mode": "CPU",
    "device": 0,
    "generator": None,
    "solver_count": 1,
    "solver_rank": 0,
    "multiprocess": False,
}
_state["fast"] = os.environ.get("CAFFE_DISABLE_PASSES", "0") in ("", "0")


def set_mode_cpu() -> None:
    """Create subsequent nets on the CPU."""
    _state["mode"] = "CPU"


def set_mode_gpu() -> None:
    """Create subsequent nets on the CUDA device selected by `set_device`.

    Raises
    ------
    CaffeError
        If PyTorch finds no CUDA device.
    """
    import torch

    if not torch.cuda.is_available():
        raise CaffeError(
            "GPU mode requested, but PyTorch finds no CUDA device; use solver_mode: CPU or caffe.set_mode_cpu()"
        )
    _state["mode"] = "GPU"
    set_tf32(False)
    torch.backends.cudnn.deterministic = True  # a resumed run must equal an uninterrupted one bit for bit


def set_tf32(flag: bool) -> None:
    """Allow or forbid TF32 products on CUDA; PyTorch's convolutions use TF32 by default."""
    import torch

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = bool(flag)


def set_device(number: int | str) -> None:
    """Select the CUDA device for GPU mode."""
    _state["device"] = int(number)


def device_count() -> int:
    """Return the number of CUDA devices.

    Raises
    ------
    CaffeError
        If there is none.
    """
    import torch

    set_mode_gpu()

    return torch.cuda.device_count()


def use_gpu(text: str, index: int = 0) -> int:
    """Switch to GPU mode on one device of `--gpu` ("0", "0,1" or "all") and return its number.

    `caffe train` starts a process per device; other commands use the first and say so.

    Parameters
    ----------
    text : str
    index : int
        Number of this process on its machine; it uses the device at this place of the list.
    """
    from caffe.core import glog, local_processes

    numbers = [part.strip() for part in text.split(",")]
    if text != "all" and not all(number.isdigit() for number in numbers):
        raise CaffeError(f"--gpu takes a device id, a comma-separated list of ids, or all; received '{text}'")
    if (len(numbers) > 1 or text == "all") and local_processes.rank_and_size()[1] == 1:
        glog.warning(
            f"--gpu {text}: one process uses one device, {'0' if text == 'all' else numbers[0]}", "caffe.cpp:205"
        )
    if text == "all":
        numbers = [str(number) for number in range(device_count())]
    if index >= len(numbers):
        raise CaffeError(f"--gpu {text}: process {index} of this machine has no device")
    set_device(numbers[index])
    set_mode_gpu()
    return int(numbers[index])


def device() -> Any:
    """Return the torch.device of new nets."""
    import torch

    return torch.device("cuda", _state["device"]) if _state["mode"] == "GPU" else torch.device("cpu")


def set_random_seed(seed: int) -> None:
    """Seed fillers, dropout, shuffling and cropping of subsequently created nets."""
    import torch

    _state["generator"] = torch.Generator().manual_seed(int(seed) % 2**63)


def next_seed() -> int:
    """Return a 62-bit seed drawn from the stream of `set_random_seed`, or from the system if none was set."""
    import torch

    generator = _state["generator"]
    if generator is None:
        generator = _state["generator"] = torch.Generator()
        generator.seed()
    return int(torch.randint(2**62, (), generator=generator))


def fast() -> bool:
    """Return whether new nets and solvers use the optimization passes (caffe.passes)."""
    return _state["fast"]


def set_optimize(flag: bool) -> None:
    """Enable (default) or disable the optimization passes of new nets; CAFFE_DISABLE_PASSES=1 disables them too."""
    _state["fast"] = bool(flag)


def solver_count() -> int:
    """Return the number of parallel solvers (1 unless this process trains with others)."""
    return _state["solver_count"]


def set_solver_count(count: int) -> None:
    """Set the solver count: in TRAIN, Data and HDF5Data then read the records of `solver_rank` only."""
    _state["solver_count"] = int(count)


def solver_rank() -> int:
    """Return the rank of this process among the parallel solvers."""
    return _state["solver_rank"]


def set_solver_rank(rank: int) -> None:
    """Set the solver rank: of `solver_count` successive records, Data and HDF5Data read the one at this rank."""
    _state["solver_rank"] = int(rank)


def solver_share(phase: int) -> tuple[int, int]:
    """Return the rank and the number of the solvers that share the records of a data layer; in TEST one reads all."""
    rank, count = _state["solver_rank"], _state["solver_count"]
    if phase != 0:  # TEST
        return (0, 1)
    if not 0 <= rank < count:
        raise CaffeError(f"solver rank {rank}: expected 0 to {count - 1} for a solver count of {count}")
    return (rank, count)


def set_multiprocess(flag: bool) -> None:
    """Set the multiprocess flag; for scripts written for multi-GPU Caffe, otherwise without effect."""
    _state["multiprocess"] = bool(flag)


def has_nccl() -> bool:
    """Return False: this build has no NCCL class."""
    return False
