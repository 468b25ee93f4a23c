"""Fuzz one target with atheris, which mutates files that reach new code: coverage_guided.py TARGET CASES [CORPUS].

Needs `pip install atheris`. The files of CORPUS/TARGET are the start besides the valid files; the smallest ones that
reach new code are written there. A file that ends in another exception than CaffeError is written to the current
directory (crash-...).
"""

import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

import atheris

HERE = Path(__file__).resolve().parent
MAX_FILES, MAX_BYTES = 12, 3000  # kept per target
PACKAGES = ["caffe", "agegender", "ncs"]


def main(name, count, corpus=None):
    """Run `count` cases of a target; return the fuzzer's exit status."""
    sys.path.insert(0, str(HERE))
    with atheris.instrument_imports(include=PACKAGES, enable_loader_override=False):
        import cases

        for data in cases.seeds(name):  # the readers import their modules here
            cases.read(name, data)
    logging.disable()
    scratch = Path(tempfile.mkdtemp(prefix="fuzz-"))
    for number, data in enumerate([*cases.seeds(name), *cases.corpus(name)]):
        (scratch / f"seed{number}").write_bytes(data)
    folder = "/dev/shm" if Path("/dev/shm").is_dir() else None
    options = [f"-runs={count}", "-timeout=20", "-rss_limit_mb=4096", "-max_len=20000", str(scratch)]
    child = os.fork()  # atheris ends its process
    if not child:
        atheris.Setup([sys.argv[0], *options], lambda data: cases.read(name, data, folder) and None)
        atheris.Fuzz()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    keep(scratch, Path(corpus) / name if corpus else None)
    return status


def keep(scratch, target):
    """Copy the smallest new files to `target`, and remove `scratch`."""
    found = [path for path in scratch.iterdir() if not path.name.startswith("seed")]
    total = 0
    for path in sorted(found, key=lambda path: (path.stat().st_size, path.name))[: MAX_FILES if target else 0]:
        total += path.stat().st_size
        if total <= MAX_BYTES:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / path.name[:12])
    shutil.rmtree(scratch)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
