"""The first table of docs/guides/performance.md: one line per question, from whatever was measured."""

BENCHMARKS = ("training", "training_floor", "memory", "forward", "inference", "tools", "startup", "compiling_nets")


def rows(results):
    """Return rows of (what, our figure, compared with, ratio) from the results by benchmark."""
    table = []
    for name in BENCHMARKS:
        if name in results:
            table += globals()["_" + name](results[name])
    return table


def _training(result):
    """Speedups of a float32 step on all cores."""
    cases = [case for case in result["cases"] if case["threads"] > 1 and "caffe" in case["wall"]]
    return [
        [
            f"{case['net']}, training step",
            f"{1e3 * case['wall']['float32']:.4g} ms",
            f"real Caffe: {1e3 * case['wall']['caffe']:.4g} ms",
            f"{case['caffe over float32, wall']['median']:.2f} times as fast",
        ]
        for case in cases
    ]


def _training_floor(result):
    cases = [case for case in result["cases"] if case["threads"] > 1]
    return [
        [
            f"{case['net']}, training step",
            f"{case['milliseconds']['step']:.4g} ms",
            f"its convolutions alone in oneDNN: {case['milliseconds']['convolutions']:.4g} ms",
            f"{case['step over convolutions, wall']['median']:.2f} times their time",
        ]
        for case in cases
    ]


def _memory(result):
    table = []
    for case in result["cases"]:
        peaks = case["peak, MB"]
        caffe = peaks.get("real Caffe")
        if caffe:
            ours, saved = peaks["ours"], peaks["with gradient checkpointing"]
            table.append(
                [
                    f"{case['net']}, peak memory of training",
                    f"{ours:.0f} MB; {saved:.0f} MB with `--gradient_checkpointing`",
                    f"real Caffe: {caffe:.0f} MB",
                    f"{ours / caffe:.2f}; {saved / caffe:.2f}",
                ]
            )
    return table


def _forward(result):
    return [
        [
            f"{case['net']}, net.forward(), batch {case['batch']}",
            f"{case['milliseconds']['forward']:.4g} ms",
            f"bare OpenVINO: {case['milliseconds']['OpenVINO']:.4g} ms",
            f"{case['forward to OpenVINO']['median']:.2f} times its time",
        ]
        for case in result["cases"]
        if case["batch"] == 1
    ]


def _inference(result):
    return [
        [
            f"AgeNet, our runner on OpenVINO, batch {case['batch']}",
            f"{case['milliseconds']['runner']:.4g} ms",
            f"bare OpenVINO: {case['milliseconds']['openvino']:.4g} ms",
            f"{case['relative to OpenVINO']['runner']['median']:.2f} times its time",
        ]
        for case in result["cases"]
    ]


def _tools(result):
    return [
        [
            case["tool"],
            f"{case['images per second']['ours']:.0f} images/s",
            f"loop of OpenCV and lmdb: {case['images per second']['loop']:.0f} images/s",
            f"{case['loop over ours']['median']:.2f} times as fast",
        ]
        for case in result["cases"]
    ]


def _startup(result):
    return [
        [case["command"], f"{case['wall']:.2f} s", "", ""]
        for case in result["cases"]
        if case["command"] == "run_inference.py, one image"
    ]


def _compiling_nets(result):
    return [
        [
            f"{case['net']}, caffemodel to blob",
            f"{case['seconds']['ncs compile']:.2f} s, {case['memory, MB']:.0f} MB",
            f"the compiler alone: {case['seconds']['compiler alone']:.2f} s; weights: {case['weights, MB']:.0f} MB",
            f"{case['over the compiler, wall']['median']:.2f} times its time",
        ]
        for case in result["cases"]
    ]
