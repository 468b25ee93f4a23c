#!/usr/bin/env python3
"""Time that a training step waits for its batch: AgeNet with raw and with JPEG-encoded records.

Also the CPU time per image of the prefetch thread, compared with cv2.imdecode alone on the same records.
"""

import sys
import tempfile
import time

import _harness
import nets


def main():
    args = _harness.arguments(__doc__, rounds=5).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cases = [
            measure(folder, args.rounds, records, precision)
            for records in ("raw", "encoded")
            for precision in ("float32", "bf16")
            if args.only in records
        ]
        decoding = measure_decoding(folder, args.rounds)
    _harness.save("loader", cases=cases, decoding=decoding)


def measure_decoding(folder, rounds):
    """Measure the prefetch thread and cv2.imdecode in turn, on the encoded records of AgeNet."""
    import cv2
    import numpy as np

    from caffe.core import malloc
    from caffe.data import datum
    from caffe.data.db import open_db
    from caffe.data.prefetcher import BatchPrefetcher
    from caffe.device.transform import TRAIN, Transform

    malloc.retain_freed_memory()  # as a Solver does
    cv2.setNumThreads(1)
    path = str(nets.prepare(folder, "AgeNet", encoded=True).parent / "db")
    laps = []
    transform = Transform(mirror=True, mean=[104, 117, 123])
    with open_db(path) as database, BatchPrefetcher(database, 50, transform, TRAIN) as batches:
        images = [np.frombuffer(datum._read(value).data, np.uint8) for _, value in database]
        for _ in range(rounds + 1):
            start = time.process_time()
            for _ in range(20):  # many more than the prefetcher keeps ready
                batches.next()
            time.sleep(0.5)  # until it has caught up
            lap = {"prefetch": {"cpu": (time.process_time() - start) / 1000}}
            start = time.process_time()
            for image in images:
                cv2.imdecode(image, cv2.IMREAD_COLOR)
            lap["imdecode"] = {"cpu": (time.process_time() - start) / len(images)}
            laps.append(lap)
    laps = laps[1:]
    microseconds = {name: 1e6 * _harness.median(laps, name, "cpu") for name in ("imdecode", "prefetch")}
    return {"microseconds": microseconds, "ratio": _harness.ratio(laps, "prefetch", "imdecode", "cpu"), "rounds": laps}


def measure(folder, rounds, records, precision):
    """Measure AgeNet on all cores with raw or encoded records."""
    print(f"{records} records, {precision}", file=sys.stderr)
    solver = nets.prepare(folder, "AgeNet", encoded=records == "encoded")
    threads = _harness.machine()["cores"]
    command = [sys.executable, _harness.HERE / "training_worker.py", solver, precision, threads]
    worker = _harness.Worker("step", command, threads)
    try:
        laps = _harness.interleave([worker], rounds, steps=2, warm=3)
    finally:
        worker.close()
    wall, waited = _harness.median(laps, "step"), sum(lap["step"]["waited"] for lap in laps)
    fraction = waited / sum(lap["step"]["wall"] for lap in laps)
    return {"records": records, "precision": precision, "step": wall, "waiting fraction": fraction, "rounds": laps}


if __name__ == "__main__":
    main()
