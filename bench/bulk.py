"""`agegender predict` in shards: one process, several, and Ray, against bare OpenVINO on the same images.

python bench/bulk.py --model compact [--images 4000] [--shard 500] [--side 200] [--ways bare 1 2 ray]

The images are synthetic faces, repeated. `--model tiny` has nets of next to no work, so that what the engines add is most
visible. CPU seconds and peak memory (PSS) are those of all processes that a run starts,
found by an environment variable that they inherit; a busy machine disturbs them less than wall-clock time.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]
TAG = "CAFFE2NCS_BENCH_RUN"
TICKS = os.sysconf("SC_CLK_TCK")


def tree(tag):
    """Yield (pid, CPU seconds, PSS in MB) of the processes that have inherited `tag`."""
    wanted = f"{TAG}={tag}".encode()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as stream:
                if wanted not in stream.read().split(b"\0"):
                    continue
            with open(f"/proc/{pid}/stat") as stream:
                fields = stream.read().rpartition(")")[2].split()
            with open(f"/proc/{pid}/smaps_rollup") as stream:
                pss = next(int(line.split()[1]) for line in stream if line.startswith("Pss:"))
            yield pid, (int(fields[11]) + int(fields[12])) / TICKS, pss / 1024
        except (OSError, StopIteration):
            continue


def measured(command):
    """Run `command`; return wall-clock seconds, CPU seconds and peak MB of all its processes."""
    tag, cpu, peak = uuid.uuid4().hex, {}, 0.0
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    began = time.monotonic()
    child = subprocess.Popen(command, env={**os.environ, TAG: tag, "PYTHONPATH": path, "RAY_AUTH_MODE": "disabled"})
    while child.poll() is None:
        now = list(tree(tag))
        cpu.update((pid, seconds) for pid, seconds, _ in now)
        peak = max(peak, sum(pss for _, _, pss in now))
        time.sleep(0.25)
    if child.returncode:
        raise SystemExit(f"{command}: exit status {child.returncode}")
    return time.monotonic() - began, sum(cpu.values()), peak


def bare(list_path, folder, names):
    """Decode, transform and infer with the runners alone: what any engine must add to."""
    from caffe.device.image_file import read_image
    from ncs.runtime import open_runner
    from ncs.runtime.manifest import Manifest

    manifests = [Manifest.read(f"{folder}/{name}.json") for name in names]
    runners = [open_runner("CPU", manifest, batch=16) for manifest in manifests]
    paths = Path(list_path).read_text().split()
    for first in range(0, len(paths), 16):
        images = [read_image(path) for path in paths[first : first + 16]]
        blobs = manifests[0].transform.batch(images)
        for runner in runners:
            runner.run(blobs)


def prepare(folder, model, count, side):
    """Compile the model's nets, draw 50 faces and list them `count` times; return the names of the nets."""
    import cv2

    from agegender.synthetic_faces import draw
    from agegender.zoo.compile import ensure_compiled

    if model == "tiny":
        from support import compiled_nets

        Path(folder, "graph").mkdir()
        compiled_nets.compile_age_and_gender(Path(folder, "graph"), compiled_nets.transform())
        names = ["AgeNet", "GenderNet"]
    else:
        names = ensure_compiled([model], f"{folder}/graph", lambda text: None)
    for i in range(50):
        cv2.imwrite(f"{folder}/{i}.jpg", cv2.resize(draw((7 * i) % 90, i % 2, i), (side, side)))
    Path(folder, "all.txt").write_text("".join(f"{folder}/{i % 50}.jpg\n" for i in range(count)))
    return names


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="compact")
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--shard", type=int, default=500)
    parser.add_argument("--side", type=int, default=200, help="of the images, in pixels")
    parser.add_argument("--ways", nargs="+", default=["bare", "1", "2", "ray"])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        names = prepare(folder, args.model, args.images, args.side)
        predict = [sys.executable, "-m", "agegender", "predict", "--list", f"{folder}/all.txt", "-o", f"{folder}/out"]
        predict += [
            "--shard",
            str(args.shard),
            *(["--model", args.model] if args.model != "tiny" else []),
            "--model-dir",
            f"{folder}/graph",
            "--device",
            "CPU",
            "-q",
        ]
        ways = {"bare": [sys.executable, __file__, "--bare", f"{folder}/all.txt", f"{folder}/graph", *names]}
        ways.update({str(n): [*predict, "--workers", str(n)] for n in range(1, 9)})
        ways["ray"] = [*predict, "--ray", "local", "--workers", "1"]
        print("way   wall s  CPU s  ms CPU per image  images/s  peak MB")
        for way in args.ways:
            wall, cpu, peak = measured(ways[way])
            print(
                f"{way:5s} {wall:6.1f} {cpu:6.1f} {1e3 * cpu / args.images:17.2f} {args.images / wall:9.0f} {peak:8.0f}",
                flush=True,
            )
            shutil.rmtree(f"{folder}/out", ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--bare"]:
        bare(sys.argv[2], sys.argv[3], sys.argv[4:])
    else:
        main()
