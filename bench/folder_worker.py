"""Worker of folder.py: answers a folder of pictures, or sends as many ready batches through the same nets.

folder_worker.py "folder" | "nets alone" FOLDER BATCH
"""

import sys
from pathlib import Path

import numpy as np
from worker import serve

from agegender.inference import predict
from ncs.runtime import open_runner
from ncs.runtime.manifest import Manifest

way, folder, batch = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
paths = sorted(str(path) for path in (folder / "faces").iterdir())
manifests = [Manifest.read(str(path)) for path in sorted(folder.glob("*.json"))]
heads = [predict.NetPredictor(manifest, open_runner("CPU", manifest, batch=batch)) for manifest in manifests]
ready = np.random.default_rng(0).normal(0, 60, (batch, 3, 227, 227)).astype(np.float32)


def whole():
    for _ in predict.FacePredictor(heads, batch=batch).predict(paths):
        pass


def alone():
    for _ in range(len(paths) // batch):
        for head in heads:
            head.runner.run(ready)


serve(whole if way == "folder" else alone)
