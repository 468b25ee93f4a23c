#!/usr/bin/env python3
"""Effect of bf16 on accuracy: trains and evaluates both nets in float32 and bf16 with the same weights and images."""

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
    parser.add_argument("--iterations", type=int, default=150, help="iterations per training (default 150)")
    parser.add_argument("--archive", help=f"archive of UTKFace (default: {FACES} synthetic faces)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "prototxt").symlink_to(_harness.HERE.parent / "prototxt")
        prepare(folder, args.archive and os.path.abspath(args.archive))
        cases = [
            train(folder, net, precision, args.iterations)
            for net in ("AgeNet", "GenderNet")
            for precision in ("float32", "bf16")
            if args.only in net
        ]
    _harness.save("accuracy", cases=cases, iterations=args.iterations, faces="real" if args.archive else "synthetic")


def prepare(folder, archive):
    """Create faces, lists, databases and mean, as the training pipeline does."""
    if archive:
        run_command(folder, "download", "--from", archive, "--out", "faces")
    else:
        run_command(folder, "synthesize-faces", "--out", "faces", "--count", FACES, "--seed", SEED)
    run_command(folder, "build-dataset", "--faces", "faces", "--seed", SEED)
    run_command(folder, "create-lmdb")
    run_command(folder, "create-mean")


def train(folder, net, precision, iterations):
    """Return the accuracy on the test faces after `iterations` of the quick solver."""
    run_command(folder, "train", net, "--quick", "--iterations", iterations, "--precision", precision)
    weights = next((folder / "models" / net).glob(f"*_iter_{iterations}.caffemodel"))
    run_command(folder, "test", net, "--weights", weights, "--report", "report")
    report = json.loads((folder / "report" / "report.json").read_text())
    print(f"  {net}, {precision}: {100 * report['accuracy']:.1f} %", file=sys.stderr)
    return {
        "net": net,
        "precision": precision,
        "corrects": report["corrects"],
        "total": report["total"],
        "accuracy": report["accuracy"],
        "95 %": report["accuracy_95"],
    }


def run_command(folder, *arguments):
    command = [sys.executable, "-m", "agegender", *map(str, arguments)]
    result = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=dict(os.environ, GLOG_minloglevel="2")
    )
    if result.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{result.stderr[-2000:]}")


if __name__ == "__main__":
    main()
