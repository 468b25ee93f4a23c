#!/usr/bin/env python3
"""Compare the last run of each benchmark with the one before on the same kind of processor (bench/history.jsonl)."""

import json
import sys

import _harness

CHANGE = 0.1  # smaller changes of a ratio are not shown


def main():
    if not _harness.HISTORY.exists():
        raise SystemExit("bench/history.jsonl does not exist; run a benchmark first")
    runs = {}
    for text in _harness.HISTORY.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        runs.setdefault((line["benchmark"], line["processor"]), []).append(line)
    for (benchmark, _), lines in sorted(runs.items()):
        print(f"{benchmark}: {lines[-1]['when']}, commit {lines[-1]['commit']}")
        if len(lines) > 1:
            show_changes(lines[-2], lines[-1])


def show_changes(before, after):
    """Print every ratio that changed by more than CHANGE."""
    for name, value in after["ratios"].items():
        old = before["ratios"].get(name)
        if old and abs(value / old - 1) > CHANGE:
            print(f"  {name}: {old:.3g} -> {value:.3g} ({100 * (value / old - 1):+.0f} %)")


if __name__ == "__main__":
    sys.exit(main())
