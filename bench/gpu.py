#!/usr/bin/env python3
"""Training and forward passes on a CUDA device in about four minutes: every net in every precision, with peak memory.

`--device cpu` runs the same on the CPU, to try the script where there is no GPU.
"""

import sys
import tempfile
import time

import _harness
import nets

SECONDS = 8.0  # per net and precision, after the warm-up
WARM = 3
PRECISIONS = {"cuda": ("float32", "tf32", "bf16", "fp16"), "cpu": ("float32", "bf16")}


def main():
    parser = _harness.arguments(__doc__, rounds=1)
    parser.add_argument("--device", choices=tuple(PRECISIONS), default="cuda")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="per case (default %(default)s)")
    args = parser.parse_args()
    import torch

    if args.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("bench/gpu.py: PyTorch finds no CUDA device; --device cpu tries the script without one")
    import caffe

    if args.device == "cuda":
        caffe.set_mode_gpu()
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        for net in nets.NETS:
            for precision in PRECISIONS[args.device]:
                if args.only in f"{net}, {precision}":
                    cases.append(measure(folder, net, precision, args))
                    print(
                        "  {net}, {precision}: {images_per_second:.1f} images/s, {megabytes:.0f} MB".format(**cases[-1])
                    )
                    _harness.save("gpu", device=device_name(args.device), cases=cases)


def measure(folder, net, precision, args):
    """Return images per second and peak memory of training, and milliseconds of a forward pass."""
    import torch

    import caffe

    print(f"{net}, {precision}", file=sys.stderr)
    if args.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    solver = caffe.get_solver(str(nets.prepare(folder, net)))
    solver.net.set_precision(precision)
    batch = next(iter(solver.net.blobs.values())).shape[0]
    steps, seconds = timed(lambda: solver.step(1), args)
    last = len(solver.net.nodes) - 1
    passes, forward = timed(lambda: solver.net.forward_range(0, last, record=False), args)
    memory = torch.cuda.max_memory_allocated() if args.device == "cuda" else 0
    return {
        "net": net,
        "precision": precision,
        "batch": batch,
        "images_per_second": batch * steps / seconds,
        "forward_milliseconds": 1e3 * forward / passes,
        "megabytes": memory / 1e6,
    }


def timed(step, args):
    """Run `step` for args.seconds after a warm-up; return the number of steps and the seconds."""
    for _ in range(WARM):
        step()
    synchronize(args.device)
    count, begin = 0, time.perf_counter()
    while count == 0 or time.perf_counter() - begin < args.seconds / 2:
        step()
        count += 1
    synchronize(args.device)
    return count, time.perf_counter() - begin


def synchronize(device):
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def device_name(device):
    import torch

    return torch.cuda.get_device_name() if device == "cuda" else "cpu"


if __name__ == "__main__":
    main()
