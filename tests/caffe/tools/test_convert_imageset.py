"""convert_imageset: the records of real Caffe for the same list, and behaviour when killed."""

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
def golden_folder(monkeypatch):
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
def test_records_are_byte_identical_to_caffes(tmp_path, name, flags, capfd):
    status, db = run(tmp_path, "--allow_broken", *flags)
    assert status == 0
    assert rows(db) == rows(GOLDEN / "lmdb" / name)
    log = capfd.readouterr().err
    assert "] A total of 19 images." in log and "] Processed 17 files." in log


def test_encoded_png_has_the_pixels_of_caffes(tmp_path):
    """The compressed bytes depend on the zlib that OpenCV was built with; the decoded pixels do not."""
    _, db = run(tmp_path, "--encode_type=png", "--encoded", "--resize_width=40", "--resize_height=40")
    result, expected = rows(db), rows(GOLDEN / "lmdb" / "db_encoded")
    assert [key for key, _ in result] == [key for key, _ in expected]
    for (_, record), (_, caffes_record) in zip(result, expected):
        (pixels, label), (caffes_pixels, caffes_label) = datum.decode(record), datum.decode(caffes_record)
        assert label == caffes_label and np.array_equal(pixels, caffes_pixels)
        assert record[-4:] == caffes_record[-4:]  # label and the flag of an encoded record


def test_unreadable_images_are_logged_with_their_line_and_change_the_status(tmp_path, capfd):
    status, _ = run(tmp_path)
    log = capfd.readouterr().err
    assert status == 1
    assert f"Could not open or find file {ROOT}images/broken.jpg (list.txt:17: truncated or not an image" in log
    assert f"Could not open or find file {ROOT}images/missing.jpg (list.txt:18: No such file" in log
    assert "2 of 19 images were skipped" in log


def test_invalid_list_creates_no_database(tmp_path, capsys):
    list_file = write_list(tmp_path, "images/00.jpg 1", "images/01.jpg", "", "images/02.jpg x")
    status, db = run(tmp_path, list_file=list_file)
    assert status == 1 and not db.exists()
    error = capsys.readouterr().err
    assert all(f"list.txt:{line}: " in error for line in (2, 3, 4))


def test_list_without_readable_images_creates_no_database(tmp_path, capsys):
    status, db = run(tmp_path, list_file=write_list(tmp_path, "images/missing.jpg 1"))
    assert status == 1 and os.listdir(tmp_path) == ["list.txt"]
    assert "none of the 1 images" in capsys.readouterr().err


def test_path_too_long_for_a_key_is_reported_before_converting(tmp_path, capsys):
    status, _ = run(tmp_path, list_file=write_list(tmp_path, "images/00.jpg 1", "d/" * 300 + "x.jpg 1"))
    assert status == 1 and "list.txt:2: a path of 605 bytes" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags, match",
    [
        (["--resize_width=64"], "set both"),
        (["--resize_width=64", "--resize_height=-4"], "set both"),
        (["--encode_type=gjp"], "cannot write 'gjp'"),
        (["--backend=lbmd"], "did you mean 'lmdb'"),
        (["--check_size"], "list.txt:2: Incorrect data field size 21114; line 1 has 37905"),
        (["--resize_widht=3"], "unknown command line flag"),
    ],
)
def test_errors(tmp_path, capsys, flags, match):
    try:
        status, db = run(tmp_path, *flags)
    except Exception as error:  # unknown flags are reported before the command runs
        assert match in str(error)
        return
    assert status == 1 and match in capsys.readouterr().err and not db.exists()


def test_check_size_accepts_equal_sizes(tmp_path):
    assert run(tmp_path, "--check_size", "--resize_width=8", "--resize_height=8", "--allow_broken")[0] == 0


def test_existing_database_is_kept_without_overwrite(tmp_path, capsys):
    flags = ["--allow_broken", "--resize_width=8", "--resize_height=8"]
    run(tmp_path, *flags)
    assert run(tmp_path, *flags)[0] == 1 and "use --overwrite" in capsys.readouterr().err
    status, db = run(tmp_path, *flags, "--overwrite", "--gray")
    with open_db(db) as database:
        assert status == 0 and datum.decode(next(iter(database))[1])[0].shape == (1, 8, 8)


def test_shuffle_is_seeded_and_keeps_path_and_label_together(tmp_path):
    flags = ["--shuffle", "--allow_broken", "--resize_width=8", "--resize_height=8"]
    runs = {"a": [], "b": ["--workers=1"], "c": ["--seed=2"], "plain": ["--noshuffle"]}
    dbs = [run(tmp_path, *flags, *more, name=name)[1] for name, more in runs.items()]
    a, b, c, plain = ([(key[9:], value) for key, value in rows(db)] for db in dbs)
    assert (dbs[0] / "data.mdb").read_bytes() == (dbs[1] / "data.mdb").read_bytes()
    assert a == b and a != c and a != plain and sorted(a) == sorted(c) == sorted(plain)
    assert [key[:9] for key, _ in rows(dbs[0])] == sorted(key[:9] for key, _ in rows(dbs[0]))


def test_root_is_a_plain_prefix(tmp_path):
    status, _ = run(tmp_path, root=ROOT + "im", list_file=write_list(tmp_path, "ages/00.jpg 4"))
    assert status == 0


@pytest.fixture
def long_list(tmp_path):
    """Forty small images and a list of 3,000 lines."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(40):
        cv2.imwrite(str(folder / f"{index}.jpg"), rng.integers(0, 256, (60, 60, 3), dtype=np.uint8))
    list_file = tmp_path / "long.txt"
    list_file.write_text("".join(f"{index % 40}.jpg {index % 9}\n" for index in range(3000)))
    return folder, list_file


def test_killed_and_rerun_gives_the_same_database(tmp_path, long_list):
    folder, list_file = long_list
    list_file.write_text("".join(list_file.read_text().splitlines(True)[:1500]))
    flags = ["--resize_width=100", "--resize_height=100", "--shuffle"]
    command = [sys.executable, "-m", "caffe", "convert_imageset", *flags, f"{folder}/", str(list_file)]
    subprocess.run([*command, str(tmp_path / "uninterrupted" / "db")], check=True, capture_output=True)
    expected = (tmp_path / "uninterrupted/db/data.mdb").read_bytes()
    target = tmp_path / "killed" / "db"
    for delay in (0.0, 0.2):
        process = subprocess.Popen([*command, str(target)], stderr=subprocess.PIPE)
        process.stderr.readline()  # the conversion has started
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


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc to measure memory")
def test_memory_does_not_grow_with_the_list(tmp_path, long_list):
    folder, list_file = long_list
    code = (
        "import sys; from caffe.tools import main; main(sys.argv[1:]);"
        "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0])"
    )
    flags = ["--resize_width=200", "--resize_height=200"]  # 360 MB of records
    argv = ["convert_imageset", *flags, f"{folder}/", str(list_file), str(tmp_path / "db")]
    process = subprocess.run([sys.executable, "-c", code, *argv], check=True, capture_output=True, text=True)
    assert int(process.stdout) < 300 * 1024  # peak in kB


def test_a_root_without_its_slash_is_one_line(tmp_path, capsys):
    (tmp_path / "images").mkdir()
    for i in range(30):
        (tmp_path / "images" / f"{i}.png").write_bytes(b"x")
    (tmp_path / "list").write_text("".join(f"{i}.png 0\n" for i in range(30)))
    from caffe.tools import main

    assert main(["convert_imageset", str(tmp_path / "images"), str(tmp_path / "list"), str(tmp_path / "db")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "has no slash at its end" in error and not (tmp_path / "db").exists()
