"""Worker of folder.py: predicts a folder of images, or runs the same nets on as many prepared batches.

folder_worker.py "folder" | "nets alone" FOLDER BATCH
"""

import sys
from pathlib import Path

import numpy as np
from worker import serve

from agegender.inference import net_predictor, predict
from ncs.runtime import open_runner
from ncs.runtime.manifest import Manifest

mode, folder, batch = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
paths = sorted(str(path) for path in (folder / "faces").iterdir())
manifests = [Manifest.read(str(path)) for path in sorted(folder.glob("*.json"))]
predictors = [net_predictor.NetPredictor(manifest, open_runner("CPU", manifest, batch=batch)) for manifest in manifests]
prepared = np.random.default_rng(0).normal(0, 60, (batch, 3, 227, 227)).astype(np.float32)


def predict_folder():
    for _ in predict.FacePredictor(predictors, batch=batch).predict(paths):
        pass


def run_nets():
    for _ in range(len(paths) // batch):
        for predictor in predictors:
            predictor.runner.run(prepared)


serve(predict_folder if mode == "folder" else run_nets)
