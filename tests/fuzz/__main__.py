"""Fuzz every reader: `python tests/fuzz --cases 100000`; `--only net --case 17` runs one case with its traceback.

With --atheris the cases are those of a coverage-guided fuzzer (pip install atheris); --corpus DIR keeps its files.

Each target runs in its own processes, whose memory may grow by --memory MiB (RLIMIT_AS) and whose cases may each take
--seconds. If a process dies, its last case is reported and the run continues after it.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import json
import logging
import os
import re
import resource
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent


def parser():
    """Parser of the command line."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--cases", type=int, default=100000, help="number of damaged files (default: %(default)s)")
    flags.add_argument("--memory", type=int, default=512, help="MiB that readers may allocate (default: %(default)s)")
    flags.add_argument("--seconds", type=float, default=5, help="limit for one case (default: %(default)s)")
    flags.add_argument("--jobs", type=int, default=1, help="targets that run in parallel (default: %(default)s)")
    flags.add_argument("--only", help="run only this target")
    flags.add_argument("--case", type=int, help="run case N of --only here, with its traceback")
    flags.add_argument("--atheris", action="store_true", help="let atheris choose the cases, guided by coverage")
    flags.add_argument("--corpus", metavar="DIR", help="with --atheris: directory for a few small files per target")
    flags.add_argument("--worker", help=argparse.SUPPRESS)
    flags.add_argument("--first", type=int, default=0, help="number of the first case (default: 0)")
    return flags


def folder():
    """Folder for the damaged files, in memory if possible."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def work(args):
    """Worker process: run cases first..cases-1 of one target; print a JSON line per failure and one at the end."""
    import cases

    output = os.fdopen(os.dup(1), "w", buffering=1)
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.dup2(devnull, 2)
    logging.disable()
    for number in range(-20, 0):  # load all modules before limiting memory
        attempt(cases, args.worker, number, 60)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (size + (args.memory << 20),) * 2)
    accepted = 0
    for number in range(args.first, args.cases):
        if number % 100 == 0:
            output.write(json.dumps({"at": number}) + "\n")
        start = time.perf_counter()
        failure, accepting_readers = attempt(cases, args.worker, number, args.seconds)
        accepted += accepting_readers > 0
        if failure:
            seconds = time.perf_counter() - start
            output.write(json.dumps({"case": number, "failure": failure, "seconds": seconds}) + "\n")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    output.write(json.dumps({"done": args.cases, "accepted": accepted, "peak": peak}) + "\n")


def attempt(cases, name, number, seconds):
    """(traceback or None, number of readers that accept the file) of one case."""
    signal.signal(signal.SIGALRM, _too_long)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return None, cases.run(name, number, folder())
    except BaseException:  # any other exception is a bug in the reader
        return traceback.format_exc(limit=-4), 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _too_long(*_):
    raise TimeoutError("the case takes too long")


def run_target(name, count, args):
    """Run the cases of one target in worker processes; returns a Counter of the results."""
    counts, first, start = collections.Counter(cases=count), args.first, time.monotonic()
    printed = collections.Counter()  # similar failures are printed twice only
    while first < count:
        command = [sys.executable, str(HERE), "--worker", name, "--cases", str(count), "--first", str(first)]
        command += ["--memory", str(args.memory), "--seconds", str(args.seconds)]
        child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=3600)
        last_case = first
        for line in child.stdout.splitlines():
            entry = json.loads(line)
            last_case = entry.get("at", entry.get("case", last_case))
            if "failure" in entry:
                counts["failures"] += 1
                message = entry["failure"].strip().splitlines()[-1][:60]
                printed[message] += 1
                if printed[message] <= 2:
                    print(f"{name} case {entry['case']} ({entry['seconds']:.1f} s):\n{entry['failure']}", flush=True)
            if "done" in entry:
                counts.update(accepted=entry["accepted"], peak=entry["peak"])
                last_case = count
        if last_case < count:
            counts["died"] += 1
            print(f"{name}: the process exited with {child.returncode} after case {last_case}", flush=True)
            last_case = last_case // 100 * 100 + 100
        first = last_case
    counts["seconds"] = round(time.monotonic() - start)
    return counts


def guided(names, counts, args):
    """Run atheris on the targets, one process after the other; returns 1 if there were failures."""
    failures = 0
    print("target             cases failures   seconds", flush=True)
    for name in names:
        start, command = time.monotonic(), [sys.executable, str(HERE / "coverage_guided.py"), name, str(counts[name])]
        child = subprocess.run([*command, *([args.corpus] if args.corpus else [])], capture_output=True, check=False)
        text = child.stderr.decode("utf-8", "replace")
        done = [int(number) for number in re.findall(r"^#(\d+)\t", text, re.MULTILINE)]
        print(
            f"{name:<14} {max(done, default=0):9d} {child.returncode != 0:8d} {time.monotonic() - start:9.0f}",
            flush=True,
        )
        if child.returncode:
            failures += 1
            print(child.stdout.decode("utf-8", "replace")[-3000:] + text[-1500:], flush=True)
    return int(failures > 0)


def main():
    """Run the command line; returns 1 if there were failures."""
    args = parser().parse_args()
    if args.worker:
        return work(args)
    from targets import TARGETS

    if args.case is not None:
        import cases

        print(cases.damaged(args.only, args.case)[:2000])
        print(f"accepted by {cases.run(args.only, args.case)} readers")
        return 0
    names = [args.only] if args.only else list(TARGETS)
    total_weight = sum(TARGETS[name].weight for name in names)
    counts = {name: -(-args.cases * TARGETS[name].weight // total_weight) for name in names}
    if args.atheris:
        return guided(names, counts, args)
    print("target          cases  accepted   refused failures  peak MiB   seconds")
    failures = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        running = {pool.submit(run_target, name, counts[name], args): name for name in names}
        for future in concurrent.futures.as_completed(running):
            name, c = running[future], future.result()
            refused = counts[name] - c["accepted"] - c["failures"]
            failed = c["failures"] + c["died"]
            row = f"{name:<12} {counts[name]:8d} {c['accepted']:9d} {refused:9d} {failed:8d}"
            print(f"{row} {int(c['peak']):9d} {int(c['seconds']):9d}", flush=True)
            failures += failed
    return 1 if failures else 0


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    sys.exit(main())
