"""convert_imageset against the records that real Caffe made of the same list, and against a power cut."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.reference_lmdb import rows

from caffe.data import datum
from caffe.data.db import open_db
from caffe.tools import main

GOLDEN = Path(__file__).parents[2] / "golden" / "tools"
ROOT = str(GOLDEN) + "/"


@pytest.fixture(autouse=True)
def as_installed(monkeypatch):
    monkeypatch.chdir(GOLDEN)


def run(tmp_path, *flags, root=ROOT, list_file="list.txt", name="db"):
    status = main(["convert_imageset", *flags, root, str(list_file), str(tmp_path / name)])
    return status, tmp_path / name


def write_list(tmp_path, *lines):
    path = tmp_path / "list.txt"
    path.write_text("".join(line + "\n" for line in lines))
    return path


@pytest.mark.parametrize(
    "name, flags",
    [
        ("db_resize", ["--resize_width=64", "--resize_height=48"]),
        ("db_gray", ["-gray", "-resize_width", "32", "-resize_height=32"]),
        ("db_plain", []),
        ("db_encraw", ["--encoded"]),
    ],
)
def test_records_are_real_caffes_byte_for_byte(tmp_path, name, flags, capfd):
    status, db = run(tmp_path, "--allow_broken", *flags)
    assert status == 0
    assert rows(db) == rows(GOLDEN / "lmdb" / name)
    log = capfd.readouterr().err
    assert "] A total of 19 images." in log and "] Processed 17 files." in log


def test_encoded_png_holds_real_caffes_pixels(tmp_path):
    """The compressed bytes depend on the zlib that OpenCV was built with; what they decode to does not."""
    _, db = run(tmp_path, "--encode_type=png", "--encoded", "--resize_width=40", "--resize_height=40")
    ours, theirs = rows(db), rows(GOLDEN / "lmdb" / "db_encoded")
    assert [key for key, _ in ours] == [key for key, _ in theirs]
    for (_, mine), (_, real) in zip(ours, theirs):
        (pixels, label), (expected, truth) = datum.decode(mine), datum.decode(real)
        assert label == truth and np.array_equal(pixels, expected)
        assert mine[-4:] == real[-4:]  # label and the mark of an encoded record


def test_what_cannot_be_read_is_named_with_its_line_and_told_by_the_status(tmp_path, capfd):
    status, _ = run(tmp_path)
    log = capfd.readouterr().err
    assert status == 1
    assert f"Could not open or find file {ROOT}images/broken.jpg (list.txt:17: this is not an image" in log
    assert f"Could not open or find file {ROOT}images/missing.jpg (list.txt:18: No such file" in log
    assert "2 of 19 pictures were left out" in log


def test_a_faulty_list_makes_no_database(tmp_path, capsys):
    listed = write_list(tmp_path, "images/00.jpg 1", "images/01.jpg", "", "images/02.jpg x")
    status, db = run(tmp_path, list_file=listed)
    assert status == 1 and not db.exists()
    error = capsys.readouterr().err
    assert all("list.txt:%d: " % line in error for line in (2, 3, 4))


def test_no_readable_picture_makes_no_database(tmp_path, capsys):
    status, db = run(tmp_path, list_file=write_list(tmp_path, "images/missing.jpg 1"))
    assert status == 1 and os.listdir(tmp_path) == ["list.txt"]
    assert "none of its 1 pictures" in capsys.readouterr().err


def test_a_path_too_long_for_a_key_is_named_before_work_begins(tmp_path, capsys):
    status, _ = run(tmp_path, list_file=write_list(tmp_path, "images/00.jpg 1", "d/" * 300 + "x.jpg 1"))
    assert status == 1 and "list.txt:2: a path of 605 bytes" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags, match",
    [
        (["--resize_width=64"], "give both"),
        (["--resize_width=64", "--resize_height=-4"], "give both"),
        (["--encode_type=gjp"], "cannot write 'gjp'"),
        (["--backend=lbmd"], "did you mean 'lmdb'"),
        (["--check_size"], "list.txt:2: Incorrect data field size 21114; that of line 1 is 37905"),
        (["--resize_widht=3"], "unknown command line flag"),
    ],
)
def test_faults_of_the_command(tmp_path, capsys, flags, match):
    try:
        status, db = run(tmp_path, *flags)
    except Exception as error:  # an unknown flag is found before the verb runs
        assert match in str(error)
        return
    assert status == 1 and match in capsys.readouterr().err and not db.exists()


def test_check_size_is_content_with_one_size(tmp_path):
    assert run(tmp_path, "--check_size", "--resize_width=8", "--resize_height=8", "--allow_broken")[0] == 0


def test_an_existing_database_is_kept_unless_asked(tmp_path, capsys):
    flags = ["--allow_broken", "--resize_width=8", "--resize_height=8"]
    run(tmp_path, *flags)
    assert run(tmp_path, *flags)[0] == 1 and "give --overwrite" in capsys.readouterr().err
    status, db = run(tmp_path, *flags, "--overwrite", "--gray")
    with open_db(db) as opened:
        assert status == 0 and datum.decode(next(iter(opened))[1])[0].shape == (1, 8, 8)


def test_shuffling_is_seeded_and_keeps_path_and_label_together(tmp_path):
    flags = ["--shuffle", "--allow_broken", "--resize_width=8", "--resize_height=8"]
    runs = {"a": [], "b": ["--workers=1"], "c": ["--seed=2"], "plain": ["--noshuffle"]}
    dbs = [run(tmp_path, *flags, *more, name=name)[1] for name, more in runs.items()]
    a, b, c, plain = ([(key[9:], value) for key, value in rows(db)] for db in dbs)
    assert (dbs[0] / "data.mdb").read_bytes() == (dbs[1] / "data.mdb").read_bytes()
    assert a == b and a != c and a != plain and sorted(a) == sorted(c) == sorted(plain)
    assert [key[:9] for key, _ in rows(dbs[0])] == sorted(key[:9] for key, _ in rows(dbs[0]))


def test_the_root_is_a_prefix_and_nothing_else(tmp_path):
    status, _ = run(tmp_path, root=ROOT + "im", list_file=write_list(tmp_path, "ages/00.jpg 4"))
    assert status == 0


@pytest.fixture
def many(tmp_path):
    """Forty small pictures, and a list of 3,000 lines."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(40):
        cv2.imwrite(str(folder / ("%d.jpg" % index)), rng.integers(0, 256, (60, 60, 3), dtype=np.uint8))
    listed = tmp_path / "many.txt"
    listed.write_text("".join("%d.jpg %d\n" % (index % 40, index % 9) for index in range(3000)))
    return folder, listed


def test_killed_at_any_moment_and_run_again_it_ends_as_if_undisturbed(tmp_path, many):
    folder, listed = many
    listed.write_text("".join(listed.read_text().splitlines(True)[:1500]))
    flags = ["--resize_width=100", "--resize_height=100", "--shuffle"]
    command = [sys.executable, "-m", "caffe", "convert_imageset", *flags, f"{folder}/", str(listed)]
    subprocess.run([*command, str(tmp_path / "undisturbed" / "db")], check=True, capture_output=True)
    expected = (tmp_path / "undisturbed/db/data.mdb").read_bytes()
    target = tmp_path / "killed" / "db"
    for delay in (0.0, 0.2):
        process = subprocess.Popen([*command, str(target)], stderr=subprocess.PIPE)
        process.stderr.readline()  # it has begun
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not target.exists() or (target / "data.mdb").read_bytes() == expected
        if target.exists():
            break
    if not target.exists():
        subprocess.run([*command, str(target)], check=True, capture_output=True)
    assert (target / "data.mdb").read_bytes() == expected
    assert os.listdir(target) == ["data.mdb"] and os.listdir(target.parent) == ["db"]


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="nothing tells the memory used")
def test_its_memory_does_not_grow_with_the_list(tmp_path, many):
    folder, listed = many
    code = (
        "import sys; from caffe.tools import main; main(sys.argv[1:]);"
        "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0])"
    )
    flags = ["--resize_width=200", "--resize_height=200"]  # 360 MB of records
    words = ["convert_imageset", *flags, f"{folder}/", str(listed), str(tmp_path / "db")]
    done = subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 300 * 1024  # kB at its highest
