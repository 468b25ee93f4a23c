"""Renamed identifiers, modules, options and commands, and words that are not this field's terms, occur nowhere."""

import functools
import re
from pathlib import Path

import pytest
from support.checkout import ROOT, files

SUFFIXES = (".py", ".md", ".sh", ".ipynb", ".toml", ".yml")
FOLDERS = ("README.md", "src", "tests", "bench", "docs", "scripts", "examples")


def words_of(text):
    return text.split()


WORDS = {  # word: standard term
    "told": "predicted, reported",
    "anew": "again",
    "judged": "evaluated",
    "drawn_faces": "synthetic_faces",
    "twins": "near-duplicates",
}

IDENTIFIERS = words_of("""
    FeedLayer LateReLU PICTURES PlainBlob SLAB STAMPS TOLD TaskNet UPDATES WING _FollowsFromAnother _Half _Late
    _apply_need _beyond_a_manifest _decide_backward _disagreement _place_of _poisoned _reckoned _slabs _told _usable
    begun_before drop_what_needs_labels fill_with find_pictures forget_training grad_held hand_over in_classes
    keep_pages labels_of lent_libusb let_go likeness make_feed other_home read_answers read_picture run_verb
    slow_down spin_briefly taught_by unreported verb_files whole_file whole_folder
""")

OPTIONS = words_of("""
    --graph --max-drop --mirror --packages --place --sheet --together CAFFE_PLAIN set_fast compact-taught
    compact-wide-again data/drawn_faces .stamps
""")

COMMANDS = ["agegender road", "draw-faces", "check-faces", "zoo measure", "zoo fetch"]

MODULES = words_of("""
    caffe/broadcast caffe/cli caffe/data/averaging caffe/data/feed caffe/data/images caffe/data/imageset
    caffe/data/order caffe/data/ordered caffe/data/window_feed caffe/data/wire caffe/feeding caffe/files
    caffe/fourier caffe/graph caffe/late caffe/losses caffe/memory caffe/net_methods
    caffe/passes/fourier_convolution caffe/passes/pool_before_relu caffe/passes/readers caffe/passes/relu_in_place
    caffe/passes/scale_in_batch_norm caffe/plain_blob caffe/progress caffe/proto/fields caffe/proto/forks
    caffe/proto/places caffe/proto/tokens caffe/recurrent caffe/solver/fused caffe/solver/nets caffe/solver/newest
    caffe/solver/runlog caffe/solver/updates caffe/spatial caffe/trainlog caffe/transform_fields ncs/board_doctor
    ncs/cut ncs/fold ncs/fold_norm ncs/half ncs/merged ncs/models ncs/myriad/child ncs/myriad/given ncs/myriad/kinds
    ncs/myriad/nodevice ncs/myriad/older_ir ncs/myriad/ports ncs/records ncs/report_html ncs/runners ncs/scaling
    ncs/system ncs/toolkit ncs/unreported agegender/archive agegender/board agegender/cli/draw_faces
    agegender/cli/road agegender/confirm_page agegender/datasets/face_db agegender/datasets/matfile
    agegender/datasets/twins agegender/drawing agegender/drawn_faces agegender/evaluate/score agegender/faces
    agegender/frames agegender/mean_face agegender/nets agegender/opencv agegender/road agegender/screens
    agegender/stages agegender/tell agegender/training/card agegender/training/databases agegender/training/finish
    agegender/training/judge agegender/training/start agegender/training/teacher agegender/training/together
    agegender/zoo/build agegender/zoo/compiled agegender/zoo/fetch agegender/zoo/keras agegender/zoo/measure
    agegender/zoo/onnx_graph agegender/zoo/onnx_operators agegender/zoo/onnx_weights agegender/zoo/onnx_windows
    agegender/zoo/tfjs
""")


@functools.cache
def texts():
    """{path relative to the checkout: text} of the files to search."""
    result = {}
    for path in [ROOT / "README.md", *files(*SUFFIXES)]:
        relative = path.relative_to(ROOT)
        if relative.parts[0] in FOLDERS and path != Path(__file__) and "golden" not in relative.parts:
            result[relative] = path.read_text(encoding="utf-8")
    return result


def occurrences(pattern):
    """Lines with a match, as "file:line: text"."""
    return [
        f"{path}:{number}: {line.strip()[:120]}"
        for path, text in texts().items()
        if pattern.search(text)
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def whole_words(words, flags=0):
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, words))})(?![\w-])", flags)


def test_words_that_are_not_terms_of_the_field_are_not_used():
    errors = occurrences(re.compile(rf"\b(?:{'|'.join(WORDS)})\b", re.IGNORECASE))
    advice = ", ".join(f"'{word}': {term}" for word, term in WORDS.items())
    assert not errors, f"use standard terms ({advice}):\n" + "\n".join(errors)


@pytest.mark.parametrize("words", [IDENTIFIERS, OPTIONS, COMMANDS], ids=["identifiers", "options", "commands"])
def test_old_names_are_not_used(words):
    errors = occurrences(whole_words(words))
    assert not errors, "\n".join(errors)


def test_old_modules_do_not_exist():
    paths = [ROOT / "src" / name for name in MODULES]
    assert not [path for path in paths if path.is_dir() or path.with_suffix(".py").exists()]


def test_old_modules_are_not_imported():
    old = {name.replace("/", ".") for name in MODULES}
    errors = []
    for path, text in texts().items():
        for module, names in re.findall(r"^\s*(?:from|import) ([\w.]+)(?: import ([\w, ]+))?", text, re.MULTILINE):
            imported = {module, *(f"{module}.{name.split(' as ')[0].strip()}" for name in names.split(","))}
            errors += [f"{path}: {name}" for name in sorted(imported & old)]
    assert not errors, "\n".join(errors)


@pytest.mark.parametrize(
    ("words", "line", "matches"),
    [
        (OPTIONS, "ncs bundle --place DIR", True),
        (OPTIONS, "--place-holder", False),
        (IDENTIFIERS, "make_feed(net)", True),
        (IDENTIFIERS, "RandomErasing(p)", False),
        (COMMANDS, "agegender zoo fetch NAME", True),
    ],
)
def test_names_are_found_as_whole_words(words, line, matches):
    assert bool(whole_words(words).search(line)) == matches
