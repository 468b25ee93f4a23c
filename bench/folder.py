#!/usr/bin/env python3
"""Images per second from image files to predictions of both nets, compared with the nets alone."""

import sys
import tempfile
from pathlib import Path

import _harness
import models
import numpy as np

IMAGES, BATCH = 320, 16


def main():
    args = _harness.arguments(__doc__, rounds=7).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stems = models.prepare(folder)
        _write_images(Path(folder) / "faces")
        command = [sys.executable, _harness.HERE / "folder_worker.py"]
        workers = [_harness.Worker(mode, [*command, mode, folder, BATCH]) for mode in ("nets alone", "folder")]
        try:
            laps = _harness.interleave(workers, args.rounds)
        finally:
            for worker in workers:
                worker.close()
    rates = {name: IMAGES / _harness.median(laps, name) for name in laps[0]}
    fraction = _harness.ratio(laps, "nets alone", "folder")
    speeds = {"images per second": rates, "fraction of the nets alone": fraction}
    _harness.save("folder", images=IMAGES, batch=BATCH, nets=sorted(stems), rounds=laps, **speeds)


def _write_images(folder):
    """Write JPEGs of 200 x 200, the size of UTKFace's aligned faces."""
    import cv2
    import nets

    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(IMAGES):
        image = nets.smooth_image(rng, (3, 200, 200)).transpose(1, 2, 0)
        cv2.imwrite(str(folder / f"{i:04d}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 92])


if __name__ == "__main__":
    main()
