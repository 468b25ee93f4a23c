"""Show the CUDA devices and the CPU."""

from __future__ import annotations

import argparse

from caffe.errors import CaffeError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add Caffe's flags."""
    parser.add_argument("--gpu", default="all", help="device ids, a comma list, or all (default)")


def run(args: argparse.Namespace) -> None:
    """Print the devices; raise CaffeError if a requested one does not exist."""
    import torch

    from caffe.core import glog

    glog.info(f"Querying GPUs {args.gpu}", "caffe.cpp:138")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for number in _device_ids(args.gpu, count):
        for line in _gpu_lines(number, torch.cuda.get_device_properties(number)):
            glog.info(line, "common.cpp:180")
    if not count:
        glog.info("No CUDA device: nets run on the CPU.", "common.cpp:180")
    for line in _cpu_lines():
        glog.info(line, "common.cpp:180")


def _device_ids(text, count):
    if text == "all":
        return range(count)
    words = text.split(",")
    invalid = [word for word in words if not word.isdigit() or int(word) >= count]
    if invalid:
        available = f"available: 0 .. {count - 1}" if count else "PyTorch sees no CUDA device"
        raise CaffeError(f"--gpu {text}: no device {', '.join(invalid)}; {available}")
    return [int(word) for word in words]


def _gpu_lines(number, properties):
    yield f"Device id:                     {number}"
    yield f"Major revision number:         {properties.major}"
    yield f"Minor revision number:         {properties.minor}"
    yield f"Name:                          {properties.name}"
    yield f"Total global memory:           {properties.total_memory}"
    yield f"Number of multiprocessors:     {properties.multi_processor_count}"


def _cpu_lines():
    import os

    import torch

    yield f"CPU:                           {_cpu_name()}"
    yield f"CPU instructions:              {torch.backends.cpu.get_cpu_capability()}"
    yield f"CPU cores, threads of PyTorch: {os.cpu_count()}, {torch.get_num_threads()}"


def _cpu_name():
    import platform

    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            names = [line.partition(":")[2].strip() for line in stream if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
