#!/usr/bin/env python3
"""Writes docs/performance.md and docs/performance.png from the results in bench/results."""

import json
from pathlib import Path

import _harness

DOCS = _harness.HERE.parent / "docs"


def main():
    results = {path.stem: json.loads(path.read_text()) for path in sorted(_harness.RESULTS.glob("*.json"))}
    if not results:
        raise SystemExit("bench/results contains no results; run bench/all first")
    sections = [HEAD, machine_section(results)]
    for name, write in SECTIONS.items():
        if name in results:
            sections.append(write(results[name]))
    (DOCS / "performance.md").write_text("\n\n".join(sections).rstrip() + "\n")
    if "training" in results:
        plot(results["training"], DOCS / "performance.png")
    print("wrote", DOCS / "performance.md")


HEAD = """# How fast it is

Written by `bench/report.py` from the results of `bench/all`; do not edit this page. The workers of all programs run in
turn, in a different order each round. Times are medians over the rounds. Ratios are computed within each round and
given as median (minimum to maximum), so that other load on the machine affects both sides."""


def table(columns, rows):
    """A Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def format_ratio(ratio):
    return "{median:.2f} ({min:.2f} to {max:.2f})".format(**ratio) if ratio else "-"


def compare_to_goal(ratio, goal, minimum=True):
    """Format a ratio with its goal, a minimum or a maximum."""
    if not ratio:
        return "-"
    met = ratio["median"] >= goal if minimum else ratio["median"] <= goal
    operator = ">=" if minimum else "<="
    return f"{format_ratio(ratio)}, goal {operator} {goal:.3g}: {'met' if met else '**missed**'}"


def machine_section(results):
    newest = max(results.values(), key=lambda r: r["when"])
    machine = newest["machine"]
    versions = ", ".join("{} {}".format(*item) for item in machine["packages"].items() if item[1])
    loads = ["{} {:.1f}".format(name, r["machine"]["load_at_start"]) for name, r in results.items()]
    cores = machine["cores"]
    return "\n".join(
        [
            f"* Machine: {machine['processor']}, {cores} cores, {machine['system']}.",
            f"* Python {machine['python']}; {versions}.",
            f"* Measured {newest['when']}. Load average at the end of each benchmark: {', '.join(loads)}. A load",
            f"  above {cores} means that other processes used the CPU: wall times are then too long, and ratios of",
            "  CPU time are more accurate.",
        ]
    )


def missing_baselines(result):
    return "".join(f"\nNot measured: {m['baseline']} ({m['reason']})." for m in result.get("missing", []))


def training(result):
    rows = []
    for case in result["cases"]:
        wall = case["wall"]
        for precision in ("float32", "bf16"):
            bound = case[f"{precision} over convolutions, wall"]
            rows.append(
                [
                    *(case["net"], str(case["batch"]), str(case["threads"]), precision),
                    *(milliseconds(wall[precision]), milliseconds(wall.get("caffe"))),
                    compare_to_goal(case[f"caffe over {precision}, wall"], goal(case["net"], precision)),
                    format_ratio(case[f"caffe over {precision}, cpu"]),
                    compare_to_goal(bound, 1.2, minimum=False) if precision == "float32" else format_ratio(bound),
                    format_ratio(case[f"{precision} over convolutions, cpu"]),
                    format_ratio(case.get("caffe over convolutions, " + precision)),
                ]
            )
    columns = [
        *(
            "net",
            "batch",
            "threads",
            "precision",
            "ms per step",
            "real Caffe",
            "speedup over real Caffe (wall)",
            "(CPU)",
        ),
        *("time relative to convolutions (wall)", "(CPU)", "speedup of convolutions alone over real Caffe"),
    ]
    return "\n".join(
        [
            "## Training\n",
            "![Training steps compared with real Caffe](performance.png)\n",
            "From LMDB to updated weights. Real Caffe is kendryte-caffe (PyPI, with OpenBLAS, as fast as a stock",
            "BVLC build). *Convolutions* is the time of oneDNN for the net's convolutions alone, forward and",
            "backward, in the same rounds; with convolutions by Fourier transforms (adr/0006) the whole step can",
            "take less. bf16 is opt-in (`--precision bf16`) and its results differ from Caffe's. Its speedup",
            "depends on the processor: AMX multiplies bfloat16 eight times as fast as float32, AVX-512 BF16 alone",
            "twice.\n",
            table(columns, rows),
            missing_baselines(result),
        ]
    )


def goal(net, precision):
    if net in ("LeNet", "CIFAR-10 quick"):
        return 1.0
    return 2.8 if precision == "float32" else 5.0


def milliseconds(seconds):
    return "-" if seconds is None else f"{1e3 * seconds:.4g}"


def equality(result):
    rows = []
    for case in result["cases"]:
        met = "met" if max(case["loss"], case["weights"]) < 1e-5 else "**missed**"
        note = "not a goal for bf16" if case["variant"] == "bf16" and met != "met" else met
        rows.append([case["variant"], f"{case['loss']:.2g}", f"{case['weights']:.2g}", "1e-05: " + note])
    if not rows:
        return "## Equality" + missing_baselines(result)
    return "\n".join(
        [
            "## Equality\n",
            f"{result['steps']} steps of AgeNet without dropout, batch {result['batch']}, with the same weights and",
            "LMDB as real Caffe; the learning rate drops to a tenth at step 6. The largest difference of a loss and",
            "of a weight:\n",
            table(["variant", "loss", "weights", "goal"], rows),
        ]
    )


def accuracy(result):
    rows = []
    for case in result["cases"]:
        percent = f"{100 * case['accuracy']:.1f} %, {case['corrects']}/{case['total']}"
        low, high = (100 * bound for bound in case["95 %"])
        rows.append([case["net"], case["precision"], percent, f"{low:.1f} to {high:.1f}"])
    return "\n".join(
        [
            "## Accuracy of bf16\n",
            "Trained with the same initial weights on the same images in the same order:",
            f"{result['iterations']} iterations of the quick solvers (batch 50, Adam) on {result['faces']} faces,",
            "evaluated on held-out images.\n",
            table(["net", "precision", "accuracy", "95 %"], rows),
        ]
    )


def loader(result):
    rows = []
    for case in result["cases"]:
        fraction = case["waiting fraction"]
        note = f"{100 * fraction:.3f} %, goal < 2 %: {'met' if fraction < 0.02 else '**missed**'}"
        rows.append([case["records"], case["precision"], milliseconds(case["step"]), note])
    return "## Waiting for data\n\nAgeNet, batch 50: the fraction of a step that waits for its batch.\n\n" + table(
        ["records", "precision", "ms per step", "waiting fraction"], rows
    )


def tools(result):
    rows = []
    for case in result["cases"]:
        minimum = 1.6 if case["tool"] == "convert_imageset" else 1.0
        rates = case["images per second"]
        speedup = compare_to_goal(case["loop over ours"], minimum)
        rows.append(
            [case["tool"], f"{rates['ours']:.0f}", f"{rates['loop']:.0f}", speedup, f"{case['memory, MB']:.0f} MB"]
        )
    return "\n".join(
        [
            "## Tools\n",
            f"{result['images']} JPEGs of 200x200, resized to 227x227; includes the start of the program. There is",
            "no C++ binary of Caffe's tools here; the baseline is a loop of OpenCV and lmdb (bench/naive_loop.py,",
            "one thread). On another machine, convert_imageset was as fast as the C++ tool (1244 to 1410 images per",
            "second, C++ 1128 to 1444). For means the loop is not a fair baseline: the C++ tool processed about",
            "11000 images per second.\n",
            table(["tool", "images per second", "simple loop", "speedup over the loop", "memory"], rows),
        ]
    )


def inference(result):
    rows = []
    for case in result["cases"]:
        for name, value in case["milliseconds"].items():
            ratio = case["relative to OpenVINO"][name]
            relative = compare_to_goal(ratio, 1.05, minimum=False) if name == "runner" else format_ratio(ratio)
            speedup = format_ratio(case["speedup over Caffe"][name])
            rows.append([str(case["batch"]), NAMES[name], f"{value:.4g}", relative, speedup])
    return "\n".join(
        [
            "## Inference\n",
            "AgeNet, float32 unless noted, the same batch repeatedly.\n",
            table(["batch", "engine", "ms", "time relative to plain OpenVINO", "speedup over real Caffe"], rows),
            missing_baselines(result),
        ]
    )


NAMES = {
    "openvino": "OpenVINO, plain",
    "runner": "our runner on OpenVINO",
    "runner_bf16": "our runner on OpenVINO, bf16",
    "net": "our Caffe net",
    "onnxruntime": "ONNX Runtime",
    "opencv": "OpenCV 4 dnn",
    "caffe": "real Caffe (kendryte-caffe)",
}


def folder(result):
    rates = result["images per second"]
    fraction = compare_to_goal(result["fraction of the nets alone"], 0.9)
    rows = [
        ["files to predictions", f"{rates['folder']:.1f}", fraction],
        ["the nets alone on prepared batches", f"{rates['nets alone']:.1f}", "1"],
    ]
    columns = ["", "images per second", "fraction of the nets alone"]
    text = f"Both nets, {result['images']} JPEGs in batches of {result['batch']}."
    return f"## Folders of images\n\n{text}\n\n{table(columns, rows)}"


# text in the name of a command: maximum seconds
LIMITS = (("--help", 0.3), ("run_inference", 1.5), ("size of AgeNet", 0.1), ("size of VGG-16", 1.0))


def startup(result):
    rows = []
    for case in result["cases"]:
        limit = next((limit for text, limit in LIMITS if text in case["command"]), None)
        met = "" if limit is None else f"< {limit:.3g} s: {'met' if case['wall'] < limit else '**missed**'}"
        rows.append([case["command"], f"{case['wall']:.3f}", f"{case['cpu']:.3f}", met])
    return "## Start-up\n\n" + table(["command", "s", "CPU s", "goal"], rows)


def compiling(result):
    rows = []
    for case in result["cases"]:
        name = case["program"]
        ratios = {key: by_program.get(name) for key, by_program in result["ratios"].items()}
        has_goal = name.endswith("its compiler")  # as users run it: with the search for a stick
        rows.append(
            [
                *(name, f"{case['wall']:.2f}", f"{case['cpu']:.2f}", f"{case['memory']:.0f}"),
                compare_to_goal(ratios["wall"], 5) if has_goal else format_ratio(ratios["wall"]),
                format_ratio(ratios["cpu"]),
                compare_to_goal(ratios["memory"], 4)
                if has_goal and "Python" in name
                else format_ratio(ratios["memory"]),
            ]
        )
    columns = [
        *("program", "s", "CPU s", "MB of the largest process"),
        *("relative to ours (wall)", "(CPU)", "(memory)"),
    ]
    return "\n".join(
        [
            "## Compiling\n",
            "From prototxt and caffemodel of AgeNet to a Myriad blob. The Model Optimizer is PyPI's openvino-dev",
            "2021.4.2 on Python 3.8, followed by the compiler of its release, which runs in the same way as ours.",
            "Its current installation from PyPI includes protobuf 5, with which it uses Python's protobuf; the C++",
            "one needs protobuf 3.20 or older.\n",
            table(columns, rows),
            missing_baselines(result),
        ]
    )


def layer_times(result):
    text = "AgeNet, batch 50, all cores: milliseconds per layer, and the largest operators."
    parts = ["## Time per layer\n\n" + text]
    for case in result["cases"]:
        rows = [[name, f"{forward:.1f}", f"{backward:.1f}"] for name, (forward, backward) in case["layers"].items()]
        rows.append(["weight update", f"{case['update']:.1f}", ""])
        parts.append(table([f"{case['precision']}: layer", "forward, ms", "backward, ms"], rows))
        rows = [[f"`{name}`", f"{100 * fraction:.1f} %"] for name, fraction in case["operators"].items()]
        parts.append(table([f"{case['precision']}: operator", "fraction of the CPU time"], rows))
    return "\n\n".join(parts)


SECTIONS = {
    "training": training,
    "equality": equality,
    "accuracy": accuracy,
    "loader": loader,
    "tools": tools,
    "inference": inference,
    "folder": folder,
    "startup": startup,
    "compiling": compiling,
    "layer_times": layer_times,
}


def plot(result, path):
    """Plot the speedup over real Caffe per net and number of threads."""
    from matplotlib.figure import Figure

    cases = [case for case in result["cases"] if "caffe" in case["wall"]]
    if not cases:
        return
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.subplots()
    for shift, (precision, colour) in enumerate((("float32", "tab:blue"), ("bf16", "tab:orange"))):
        ratios = [case[f"caffe over {precision}, wall"] for case in cases]
        medians = [r["median"] for r in ratios]
        errors = [[m - r["min"] for m, r in zip(medians, ratios)], [r["max"] - m for m, r in zip(medians, ratios)]]
        positions = [i + 0.38 * (shift - 0.5) for i in range(len(cases))]
        axes.bar(positions, medians, 0.36, yerr=errors, capsize=3, color=colour, label=precision)
    axes.axhline(1, color="black", linewidth=1)
    titles = [c["net"].replace(" ", "\n", 1) + f"\n{c['threads']} thread{'s' * (c['threads'] > 1)}" for c in cases]
    axes.set_xticks(range(len(cases)), titles)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_ylabel("speedup over real Caffe")
    axes.set_title("Training step, LMDB to updated weights (median, minimum and maximum of rounds)", fontsize=10)
    axes.legend()
    figure.savefig(Path(path), dpi=110)


if __name__ == "__main__":
    main()
