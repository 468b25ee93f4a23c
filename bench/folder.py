#!/usr/bin/env python3
"""Pictures a second from a folder of files to answers of both nets, beside what the nets alone do."""

import sys
import tempfile
from pathlib import Path

import _harness
import models
import numpy as np

IMAGE_SUFFIXES, BATCH = 320, 16


def main():
    args = _harness.arguments(__doc__, rounds=7).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stems = models.prepare(folder)
        _pictures(Path(folder) / "faces")
        command = [sys.executable, _harness.HERE / "folder_worker.py"]
        workers = [_harness.Worker(way, [*command, way, folder, BATCH]) for way in ("nets alone", "folder")]
        try:
            laps = _harness.interleave(workers, args.rounds)
        finally:
            for worker in workers:
                worker.close()
    rates = {name: IMAGE_SUFFIXES / _harness.median(laps, name) for name in laps[0]}
    share = _harness.ratio(laps, "nets alone", "folder")
    _harness.save("folder", pictures=IMAGE_SUFFIXES, batch=BATCH, nets=sorted(stems), rounds=laps,
                 **{"pictures a second": rates, "share of the nets alone": share})  # fmt: skip


def _pictures(folder):
    """Aligned faces as they come: JPEGs of 200 x 200."""
    import cv2
    from support import small_solvers

    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(IMAGE_SUFFIXES):
        picture = small_solvers._smooth(rng, (3, 200, 200)).transpose(1, 2, 0)
        cv2.imwrite(str(folder / ("%04d.jpg" % i)), picture, [cv2.IMWRITE_JPEG_QUALITY, 92])


if __name__ == "__main__":
    main()
