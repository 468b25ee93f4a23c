"""Fuzz every reader: `python tests/fuzz --cases 100000`; `--only net --case 17` runs one case with its traceback.

Each target runs in processes of their own, whose memory (RLIMIT_AS) may grow by --memory MiB and whose cases may
each take --seconds; what ends such a process is written down with the case's number, and the run goes on behind it.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent


def parser():
    """The command line."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--cases", type=int, default=100000, help="damaged files in all (default: %(default)s)")
    flags.add_argument("--memory", type=int, default=512, help="MiB that reading may add (default: %(default)s)")
    flags.add_argument("--seconds", type=float, default=5, help="for one case (default: %(default)s)")
    flags.add_argument("--jobs", type=int, default=1, help="targets at a time (default: %(default)s)")
    flags.add_argument("--only", help="this target alone")
    flags.add_argument("--case", type=int, help="run case N of --only here, with its traceback")
    flags.add_argument("--worker", help=argparse.SUPPRESS)
    flags.add_argument("--first", type=int, default=0, help="number of the first case (default: 0)")
    return flags


def folder():
    """Where the damaged files are written: in memory where the machine has such a place."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def work(args):
    """The inner process: cases first..cases-1 of one target, a JSON line for each fault and one at the end."""
    import cases

    say = os.fdopen(os.dup(1), "w", buffering=1)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    logging.disable()
    for number in range(-20, 0):  # modules are loaded before memory is counted
        attempt(cases, args.worker, number, 60)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (size + (args.memory << 20),) * 2)
    accepted = 0
    for number in range(args.first, args.cases):
        if number % 100 == 0:
            say.write(json.dumps({"at": number}) + "\n")
        began = time.perf_counter()
        fault, read = attempt(cases, args.worker, number, args.seconds)
        accepted += read > 0
        if fault:
            say.write(json.dumps({"case": number, "fault": fault, "seconds": time.perf_counter() - began}) + "\n")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    say.write(json.dumps({"done": args.cases, "accepted": accepted, "peak": peak}) + "\n")


def attempt(cases, name, number, seconds):
    """(fault or None, how many readers read it) of one case."""
    signal.signal(signal.SIGALRM, _too_long)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return None, cases.run(name, number, folder())
    except BaseException:  # whatever it is, it is what is looked for
        return traceback.format_exc(limit=-4), 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _too_long(*_):
    raise TimeoutError("the case takes too long")


def run_target(name, count, args):
    """Cases of one target in processes of their own; returns a Counter of what happened."""
    counts, first, began = collections.Counter(cases=count), args.first, time.monotonic()
    kinds = collections.Counter()  # the like of a fault is printed twice
    while first < count:
        command = [sys.executable, str(HERE), "--worker", name, "--cases", str(count), "--first", str(first)]
        command += ["--memory", str(args.memory), "--seconds", str(args.seconds)]
        child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=3600)
        at = first
        for line in child.stdout.splitlines():
            entry = json.loads(line)
            at = entry.get("at", entry.get("case", at))
            if "fault" in entry:
                counts["faults"] += 1
                last = entry["fault"].strip().splitlines()[-1][:60]
                kinds[last] += 1
                if kinds[last] <= 2:
                    print(
                        "%s case %d (%.1f s):\n%s" % (name, entry["case"], entry["seconds"], entry["fault"]), flush=True
                    )
            if "done" in entry:
                counts.update(accepted=entry["accepted"], peak=entry["peak"])
                at = count
        if at < count:
            counts["died"] += 1
            print("%s: the process ended with %d behind case %d" % (name, child.returncode, at), flush=True)
            at = at // 100 * 100 + 100
        first = at
    counts["seconds"] = round(time.monotonic() - began)
    return counts


def main():
    """Run what the command line asks for; status 1 where a fault was found."""
    args = parser().parse_args()
    if args.worker:
        return work(args)
    from targets import TARGETS

    if args.case is not None:
        import cases

        print(cases.damaged(args.only, args.case)[:2000])
        print("read by %d" % cases.run(args.only, args.case))
        return 0
    names = [args.only] if args.only else list(TARGETS)
    whole = sum(TARGETS[name].share for name in names)
    print("%-12s %8s %9s %9s %7s %9s %9s" % ("target", "cases", "read", "refused", "faults", "peak MiB", "seconds"))
    counts = {name: -(-args.cases * TARGETS[name].share // whole) for name in names}
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        running = {pool.submit(run_target, name, counts[name], args): name for name in names}
        for future in concurrent.futures.as_completed(running):
            name, c = running[future], future.result()
            refused = counts[name] - c["accepted"] - c["faults"]
            row = name, counts[name], c["accepted"], refused, c["faults"] + c["died"], c["peak"], c["seconds"]
            print("%-12s %8d %9d %9d %7d %9d %9d" % row, flush=True)
            bad += c["faults"] + c["died"]
    return 1 if bad else 0


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    sys.exit(main())
