#!/usr/bin/env python3
"""Writes docs/performance.md and docs/performance.png from the figures in bench/results."""

import json
from pathlib import Path

import _harness

DOCS = _harness.HERE.parent / "docs"
MULTIPLE = "%.2f (%.2f to %.2f)"


def main():
    results = {path.stem: json.loads(path.read_text()) for path in sorted(_harness.RESULTS.glob("*.json"))}
    if not results:
        raise SystemExit("bench/results holds no figure; run bench/all first")
    sections = [HEAD, setting(results)]
    for name, write in SECTIONS.items():
        if name in results:
            sections.append(write(results[name]))
    (DOCS / "performance.md").write_text("\n\n".join(sections).rstrip() + "\n")
    if "training" in results:
        plot(results["training"], DOCS / "performance.png")
    print("wrote", DOCS / "performance.md")


HEAD = """# How fast it is

Written by `bench/report.py` from what `bench/all` measured; edit neither this page nor its numbers. Workers of all
contestants stay alive side by side and take turns, each round in another order. Times are medians over rounds. Ratios
are taken within a round, and stand as median (least to largest), so that what else the machine does meets both sides."""


def table(head, rows):
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def multiple(ratio):
    return MULTIPLE % (ratio["median"], ratio["min"], ratio["max"]) if ratio else "-"


def verdict(ratio, goal, least=True):
    """A ratio beside its goal."""
    if not ratio:
        return "-"
    met = ratio["median"] >= goal if least else ratio["median"] <= goal
    return "{}, goal {} {:.3g}: {}".format(
        multiple(ratio), ">=" if least else "<=", goal, "met" if met else "**missed**"
    )


def setting(results):
    newest = max(results.values(), key=lambda r: r["when"])
    machine = newest["machine"]
    versions = ", ".join("{} {}".format(*item) for item in machine["packages"].items() if item[1])
    loads = ["{} {:.1f}".format(name, r["machine"]["load_at_start"]) for name, r in results.items()]
    return "\n".join([
        "* Machine: %s, %d cores, %s." % (machine["processor"], machine["cores"], machine["system"]),
        "* Python {}; {}.".format(machine["python"], versions),
        "* Measured %s. Load average when each figure was written: %s. On %d cores a load above %d means that other"
        % (newest["when"], ", ".join(loads), machine["cores"], machine["cores"]),
        "  work took part of them: times are then too long, and ratios of processor time tell more than those of wall time.",
    ])  # fmt: skip


def left_out(result):
    lines = ["\nLeft out: {} ({}).".format(m["peer"], m["why"]) for m in result.get("missing", [])]
    return "".join(lines)


def training(result):
    rows = []
    for case in result["cases"]:
        wall = case["wall"]
        for kind in ("float32", "bf16"):
            rows.append([
                case["net"], str(case["batch"]), str(case["threads"]), kind, seconds(wall[kind]), seconds(wall.get("caffe")),
                verdict(case[f"caffe over {kind}, wall"], goal(case["net"], kind)),
                multiple(case[f"caffe over {kind}, cpu"]),
                verdict(case[f"{kind} over floor, wall"], 1.2, least=False) if kind == "float32"
                else multiple(case["bf16 over floor, wall"]),
                multiple(case[f"{kind} over floor, cpu"]), multiple(case.get("caffe over floor, " + kind)),
            ])  # fmt: skip
    head = ["net", "batch", "threads", "precision", "ms a step", "real Caffe", "times real Caffe's speed (wall)",
            "(processor)", "over the floor (wall)", "(processor)", "the floor alone, times real Caffe's speed"]  # fmt: skip
    return "\n".join([
        "## Training\n", "![Training steps beside real Caffe](performance.png)\n",
        "From LMDB to updated weights. Real Caffe is kendryte-caffe (PyPI, with OpenBLAS, as fast as a stock BVLC build).",
        "The floor is what oneDNN needs for the net's convolutions alone, forward and backward, in the same rounds; where",
        "convolutions are products of Fourier transforms (adr/0006) the whole step may take less.",
        "bf16 is opt-in (`--precision bf16`) and its results differ from Caffe's. What it gains depends on the processor: AMX",
        "multiplies bfloat16 eight times as fast as float32, AVX-512 BF16 alone twice.\n", table(head, rows), left_out(result),
    ])  # fmt: skip


def goal(net, kind):
    if net in ("LeNet", "CIFAR-10 quick"):
        return 1.0
    return 2.8 if kind == "float32" else 5.0


def seconds(value):
    return "-" if value is None else "%.4g" % (1e3 * value)


def equality(result):
    rows = [[c["way"], "{:.2g}".format(c["loss"]), "{:.2g}".format(c["weights"]), "1e-05: " + ("met" if max(c["loss"], c["weights"]) < 1e-5
             else "bf16 is not held to it" if c["way"] == "bf16" else "**missed**")] for c in result["cases"]]  # fmt: skip
    if not rows:
        return "## Equality" + left_out(result)
    return "\n".join([
        "## Equality\n",
        "%d steps of AgeNet without dropout, batch %d, from the same weights and LMDB as real Caffe, the rate"
        % (result["steps"], result["batch"]),
        "a tenth from the sixth on: the largest difference of a loss and of a weight.\n",
        table(["way", "loss", "weights", "goal"], rows),
    ])  # fmt: skip


def accuracy(result):
    rows = [
        [c["net"], c["precision"], "%.1f %%, %d/%d" % (100 * c["accuracy"], c["corrects"], c["total"]),
         "{:.1f} to {:.1f}".format(*tuple(100 * bound for bound in c["95 %"]))] for c in result["cases"]
    ]  # fmt: skip
    return "\n".join([
        "## Accuracy of bf16\n",
        "Trained from the same weights on the same pictures in the same order: %d iterations of the quick solvers"
        % result["iterations"],
        "(batch 50, Adam) on {} faces, judged on pictures that no training saw.\n".format(result["faces"]),
        table(["net", "precision", "accuracy", "95 %"], rows),
    ])  # fmt: skip


def loader(result):
    rows = [
        [c["records"], c["precision"], seconds(c["step"]), "{:.3f} %, goal < 2 %: {}".format(100 * c["waited share"], "met" if c["waited share"] < 0.02 else "**missed**")]
        for c in result["cases"]
    ]  # fmt: skip
    return "## Waiting for data\n\nAgeNet, batch 50: how much of the step stands still for its batch.\n\n" + table(
        ["records", "precision", "ms a step", "share waited"], rows
    )


def tools(result):
    rows = []
    for case in result["cases"]:
        wanted = 1.6 if case["tool"] == "convert_imageset" else 1.0
        rates = case["pictures a second"]
        rows.append([case["tool"], "{:.0f}".format(rates["ours"]), "{:.0f}".format(rates["loop"]), verdict(case["loop over ours"], wanted),
                     "{:.0f} MB".format(case["memory, MB"])])  # fmt: skip
    head = ["tool", "pictures a second", "short loop", "times its speed", "memory"]
    return "\n".join([
        "## Tools\n",
        "%d JPEGs of 200x200, brought to 227x227; start of the program included." % result["pictures"],
        "There is no C++ binary of Caffe's tools here: a loop of OpenCV and lmdb (bench/naive_loop.py, one thread) stands",
        "in for it. Against the C++ tools, measured elsewhere on another machine, it packs databases as fast (1244 to 1410",
        "pictures a second, they 1128 to 1444); for means it is no fair peer: theirs took some 11000 a second.\n",
        table(head, rows),
    ])  # fmt: skip


def inference(result):
    rows = []
    for case in result["cases"]:
        for name, value in case["milliseconds"].items():
            over = case["over bare OpenVINO"][name]
            text = verdict(over, 1.05, least=False) if name == "runner" else multiple(over)
            rows.append(
                [str(case["batch"]), NAMES[name], f"{value:.4g}", text, multiple(case["times real Caffe"][name])]
            )
    return "\n".join([
        "## Inference\n", "AgeNet, float32 unless said otherwise, one batch again and again.\n",
        table(["batch", "engine", "ms", "over bare OpenVINO", "times real Caffe's speed"], rows), left_out(result),
    ])  # fmt: skip


NAMES = {
    "openvino": "OpenVINO, bare", "runner": "our runner on OpenVINO",
    "runner_bf16": "our runner on OpenVINO, bf16", "net": "our Net", "onnxruntime": "ONNX Runtime",
    "opencv": "OpenCV 4 dnn", "caffe": "real Caffe (kendryte-caffe)",
}  # fmt: skip


def folder(result):
    rates = result["pictures a second"]
    rows = [["files to answers", "{:.1f}".format(rates["folder"]), verdict(result["share of the nets alone"], 0.9)],
            ["the nets alone, batches ready", "{:.1f}".format(rates["nets alone"]), "1"]]  # fmt: skip
    return "## Folders of pictures\n\nBoth nets, %d JPEGs in batches of %d.\n\n%s" % (
        result["pictures"], result["batch"], table(["", "pictures a second", "share"], rows)
    )  # fmt: skip


LIMITS = (("--help", 0.3), ("run_inference", 1.5), ("AgeNet read", 0.1), ("VGG-16 read", 1.0))


def startup(result):
    rows = []
    for case in result["cases"]:
        limit = next((limit for text, limit in LIMITS if text in case["what"]), None)
        met = "" if limit is None else "< {:.3g} s: {}".format(limit, "met" if case["wall"] < limit else "**missed**")
        rows.append([case["what"], "{:.3f}".format(case["wall"]), "{:.3f}".format(case["cpu"]), met])
    return "## Starting\n\n" + table(["command", "s", "of the processor", "goal"], rows)


def compiling(result):
    rows = []
    for case in result["cases"]:
        ratios = {key: found.get(case["what"]) for key, found in result["ratios"].items()}
        judged = case["what"].endswith("its compiler")  # as a user has them: with the search for a stick
        rows.append([
            case["what"], "{:.2f}".format(case["wall"]), "{:.2f}".format(case["cpu"]), "{:.0f}".format(case["memory"]),
            verdict(ratios["wall"], 5) if judged else multiple(ratios["wall"]), multiple(ratios["cpu"]),
            verdict(ratios["memory"], 4) if judged and "Python" in case["what"] else multiple(ratios["memory"]),
        ])  # fmt: skip
    head = [
        "program",
        "s",
        "of the processor",
        "MB of the largest process",
        "times ours (wall)",
        "(processor)",
        "(memory)",
    ]
    return "\n".join([
        "## Compiling\n",
        "From prototxt and caffemodel of AgeNet to a Myriad blob. The Model Optimizer is PyPI's openvino-dev 2021.4.2 on",
        "Python 3.8; what follows it is its release's compiler, driven as ours is. Installed from PyPI today it brings",
        "protobuf 5, with which it runs on Python's protobuf only; its C++ one needs protobuf 3.20 or older.\n",
        table(head, rows), left_out(result),
    ])  # fmt: skip


def shares(result):
    parts = [
        "## Where a step goes\n\nAgeNet, batch 50, all cores: milliseconds of each layer, and the largest operators."
    ]
    for case in result["cases"]:
        rows = [[name, f"{forward:.1f}", f"{backward:.1f}"] for name, (forward, backward) in case["layers"].items()]
        rows.append(["update of the weights", "{:.1f}".format(case["update"]), ""])
        parts.append(table(["{}: layer".format(case["precision"]), "forward, ms", "backward, ms"], rows))
        rows = [[f"`{name}`", "%.1f %%" % (100 * share)] for name, share in case["share"].items()]
        parts.append(table(["{}: operator".format(case["precision"]), "share of the processor's time"], rows))
    return "\n\n".join(parts)


SECTIONS = {
    "training": training, "equality": equality, "accuracy": accuracy, "loader": loader, "tools": tools, "inference": inference,
    "folder": folder, "startup": startup, "compiling": compiling, "shares": shares,
}  # fmt: skip


def plot(result, path):
    """Speed over real Caffe's, bars by net and threads."""
    from matplotlib.figure import Figure

    cases = [case for case in result["cases"] if "caffe" in case["wall"]]
    if not cases:
        return
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.subplots()
    for shift, (kind, colour) in enumerate((("float32", "tab:blue"), ("bf16", "tab:orange"))):
        ratios = [case[f"caffe over {kind}, wall"] for case in cases]
        middle = [r["median"] for r in ratios]
        spread = [[m - r["min"] for m, r in zip(middle, ratios)], [r["max"] - m for m, r in zip(middle, ratios)]]
        places = [i + 0.38 * (shift - 0.5) for i in range(len(cases))]
        axes.bar(places, middle, 0.36, yerr=spread, capsize=3, color=colour, label=kind)
    axes.axhline(1, color="black", linewidth=1)
    titles = [
        c["net"].replace(" ", "\n", 1) + "\n%d thread%s" % (c["threads"], "s" * (c["threads"] > 1)) for c in cases
    ]
    axes.set_xticks(range(len(cases)), titles)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_ylabel("times real Caffe's speed")
    axes.set_title("A training step, LMDB to updated weights (median of rounds, least to largest)", fontsize=10)
    axes.legend()
    figure.savefig(Path(path), dpi=110)


if __name__ == "__main__":
    main()
