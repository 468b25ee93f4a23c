"""Accuracy of a zoo net's simulated blobs on the held-out faces of UTKFace, next to the host's.

    PYTHONPATH=src python bench/simulator_accuracy.py FACES [--model compact-dlib] [--count N]

FACES is a directory of UTKFace; the held-out faces are those of `agegender train --race asian` with seed 230. The host
computes in float32 on the CPU. Every blob takes the same images: FP32 for the sticks, raw pixels for an OAK camera.
"""

from __future__ import annotations

import argparse
import os
import tempfile

import numpy as np

from agegender.datasets import split_lmdbs, utkface
from agegender.inference import image_files, net_predictor, predict
from agegender.inference.faces import face_settings
from agegender.inference.labels import AGE_TRINGN
from ncs.cli import main as ncs
from ncs.runtime import open_runner
from ncs.runtime.manifest import Manifest

CASES = {
    "MA2480": [],
    "MA2480, 16 SHAVE cores": ["-s", "16"],
    "MA2450": ["-ma2450"],
    "OAK (U8 in, FP16 out)": ["--target", "oak"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("faces", help="directory of UTKFace")
    parser.add_argument("--model", default="compact-dlib", help="a zoo net of age and gender (default: compact-dlib)")
    parser.add_argument("--count", type=int, default=0, help="number of faces (default: all)")
    args = parser.parse_args()
    samples = split_lmdbs.parts(args.faces, utkface.parse_races("asian"), 230, False)[1]
    samples = samples[: args.count or None]
    print(f"{len(samples)} faces\n\n| device | gender | age | same gender | same age class | largest difference |")
    print("| --- | --- | --- | --- | --- | --- |")
    host: dict[str, np.ndarray] = {}
    for name, options in CASES.items():
        with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
            path = compile_net(args.model, scratch, options)
            if not host:
                host = predictions(path, "CPU", samples)
                print(row("host, float32", host, host, samples))
            print(row(f"simulated, {name}", predictions(path, "SIMULATOR", samples), host, samples), flush=True)


def compile_net(model: str, folder: str, options: list[str]) -> str:
    """Compile a net and return the path of its manifest."""
    with open(os.devnull, "w") as sink:
        saved = os.dup(1)
        os.dup2(sink.fileno(), 1)
        try:
            status = ncs(["compile", "--model", model, "-o", folder, *options])
        finally:
            os.dup2(saved, 1)
    if status:
        raise SystemExit(status)
    return os.path.join(folder, model + ".json")


def predictions(path: str, device: str, samples: list) -> dict[str, np.ndarray]:
    """Return {task: probabilities} of all faces."""
    manifest = Manifest.read(path)
    rows: dict[str, list[np.ndarray]] = {}
    with open_runner(device, manifest) as runner:
        nets = net_predictor.open_heads(manifest, runner)
        for start in range(0, len(samples), 32):
            images = [image_files.read_image(sample.path) for sample in samples[start : start + 32]]
            transform = manifest.transform
            blobs = np.stack(
                [transform.image(predict.with_margin(image, face_settings.margin(transform))) for image in images]
            )
            values = nets[0].run(blobs)
            for net in nets:
                rows.setdefault(net.task, []).append(net.select(values))
    return {task: np.concatenate(parts) for task, parts in rows.items()}


def row(title: str, found: dict[str, np.ndarray], host: dict[str, np.ndarray], samples: list) -> str:
    """Format one row of the table."""
    classes = {task: decode(task, values) for task, values in found.items()}
    of_host = {task: decode(task, values) for task, values in host.items()}
    truth = {"gender": [sample.gender for sample in samples], "age": [sample.age_class for sample in samples]}
    correct = [f"{100 * np.mean(classes[task] == np.array(truth[task])):.2f} %" for task in ("gender", "age")]
    same = [f"{int((classes[task] == of_host[task]).sum())} of {len(samples)}" for task in ("gender", "age")]
    difference = max(float(np.abs(found[task] - host[task]).max()) for task in found)
    return "| " + " | ".join([title, *correct, *same, f"{difference:.2g}"]) + " |"


def decode(task: str, probabilities: np.ndarray) -> np.ndarray:
    """Return the class of every face: gender, or one of nine age classes."""
    if task == "gender":
        return probabilities.argmax(1)
    starts = [low for low, _ in AGE_TRINGN.bounds]
    return np.add.reduceat(probabilities, starts, axis=1).argmax(1)


if __name__ == "__main__":
    main()
