"""Kill every command that writes at its system calls, run it again, and compare all files with an uninterrupted run.

`nice python tests/kills --kills 500` spreads the kills evenly over all commands and their calls; `--only train` takes
one command, `--list` prints the commands. Needs strace.

After a kill, each output is complete: as before the command or as after it. Other files are unchanged. After the second
run, all files are those of an uninterrupted run, and nothing else is left.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]


def parser():
    """Return the argument parser."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--kills", type=int, default=500, help="total number of kills (default: %(default)s)")
    flags.add_argument("--only", help="only this command")
    flags.add_argument("--list", action="store_true", help="print the commands and exit")
    flags.add_argument("--seconds", type=float, default=float("inf"), help="time limit")
    return flags


def run(names, kills, seconds):
    """Print a line per command; return the number of faults."""
    import strace_kill

    end, total, faults = time.monotonic() + seconds, 0, 0
    print("command                 calls  kills faults", flush=True)
    for position, name in enumerate(names):
        if time.monotonic() > end:
            print(f"time limit: {', '.join(names[position:])} did not run")
            break
        with tempfile.TemporaryDirectory() as folder:
            trial = strace_kill.Trial(all_cases()[name], Path(folder))
            share = (kills - total) // (len(names) - position)
            points = strace_kill.spread(trial.points, share)
            for point in points:
                for fault in trial.kill(point):
                    faults += 1
                    print(f"{name}, killed at {point}: {fault}", flush=True)
        total += len(points)
        print(f"{name:<22} {len(trial.points):6d} {len(points):6d} {faults:6d}", flush=True)
    print(f"{total} kills, {faults} faults")
    return faults


def all_cases():
    """Return every case by its name."""
    import commands
    import net_commands

    return {**commands.CASES, **net_commands.CASES}


def main():
    args = parser().parse_args()
    names = [args.only] if args.only else list(all_cases())
    if args.list:
        print(*names, sep="\n")
        return
    sys.exit(bool(run(names, args.kills, args.seconds)))


if __name__ == "__main__":
    main()
