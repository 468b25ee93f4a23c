#!/usr/bin/env python3
"""What bf16 costs in accuracy: both nets trained twice from the same weights and pictures, float32 and bf16, and judged."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import _harness

FACES, SEED = 900, 230


def main():
    parser = _harness.arguments(__doc__, rounds=1)
    parser.add_argument("--iterations", type=int, default=150, help="of each training (150)")
    parser.add_argument("--archive", help="faces of UTKFace (default: %d drawn ones)" % FACES)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "prototxt").symlink_to(_harness.HERE.parent / "prototxt")
        pictures(folder, args.archive and os.path.abspath(args.archive))
        cases = [
            train(folder, net, precision, args.iterations)
            for net in ("AgeNet", "GenderNet") for precision in ("float32", "bf16") if args.only in net
        ]  # fmt: skip
    _harness.save("accuracy", cases=cases, iterations=args.iterations, faces="real" if args.archive else "synthetic")


def pictures(folder, archive):
    """Faces, lists, databases and mean, as the main job makes them."""
    if archive:
        verb(folder, "download", "--from", archive, "--out", "faces")
    else:
        verb(folder, "synthesize-faces", "--out", "faces", "--count", FACES, "--seed", SEED)
    verb(folder, "build-dataset", "--faces", "faces", "--seed", SEED)
    verb(folder, "create-lmdb")
    verb(folder, "create-mean")


def train(folder, net, precision, iterations):
    """The accuracy on the test faces after `iterations` of the quick solver."""
    verb(folder, "train", net, "--quick", "--iterations", iterations, "--precision", precision)
    weights = next((folder / "models" / net).glob("*_iter_%d.caffemodel" % iterations))
    verb(folder, "test", net, "--weights", weights, "--report", "report")
    report = json.loads((folder / "report" / "report.json").read_text())
    print("  {}, {}: {:.1f} %".format(net, precision, 100 * report["accuracy"]), file=sys.stderr)
    return {"net": net, "precision": precision, "corrects": report["corrects"], "total": report["total"],
            "accuracy": report["accuracy"], "95 %": report["accuracy_95"]}  # fmt: skip


def verb(folder, *words):
    command = [sys.executable, "-m", "agegender", *map(str, words)]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=dict(os.environ, GLOG_minloglevel="2")
    )
    if done.returncode:
        raise SystemExit("{} failed:\n{}".format(" ".join(command), done.stderr[-2000:]))


if __name__ == "__main__":
    main()
