"""Files that belong together are replaced together, whatever interrupts the process."""

import concurrent.futures
import os
import threading

import pytest

from caffe.errors import CaffeError
from caffe.utils import file_set


@pytest.fixture
def stem(tmp_path):
    for ending in (".json", ".xml", ".bin"):
        (tmp_path / f"net{ending}").write_text("old")
    return tmp_path / "net"


def write(stem, text="new", endings=(".json", ".xml", ".bin"), obsolete=()):
    with file_set.atomic_file_set(stem, obsolete) as staged:
        for ending in endings:
            with open(staged + ending, "w") as stream:
                stream.write(text)


def contents(stem):
    return {path.name: path.read_text() for path in stem.parent.iterdir() if path.is_file()}


def test_new_files_replace_the_old_ones_and_nothing_is_left(stem):
    (stem.parent / "net_v10.xml").write_text("old")
    write(stem, endings=(".xml", ".onnx"), obsolete=(".json", "_v10.xml", ".xml"))
    assert contents(stem) == {"net.xml": "new", "net.onnx": "new", "net.bin": "old"}
    assert sorted(os.listdir(stem.parent)) == ["net.bin", "net.onnx", "net.xml"]


def test_after_an_error_the_old_files_are_left_and_it_names_the_final_path(stem):
    with pytest.raises(CaffeError, match=f"^{stem}.xml: no$"), file_set.atomic_file_set(stem, (".json",)) as staged:
        open(staged + ".xml", "w").close()
        raise CaffeError(f"{staged}.xml: no")
    with pytest.raises(OSError) as fault, file_set.atomic_file_set(stem) as staged:
        open(staged + "/x", "w").close()
    assert fault.value.filename == str(stem) + "/x"
    assert set(contents(stem).values()) == {"old"} and len(os.listdir(stem.parent)) == 3


@pytest.mark.parametrize("moved", range(5))
def test_an_interrupted_exchange_is_completed_by_the_next_reader(stem, moved, monkeypatch):
    """The process ends before its file operation number `moved` after the files count."""
    done = []

    def limited(operation):
        def run(*arguments):
            if os.path.isdir(stem.parent / ".net.replacing"):
                done.append(arguments)
                if len(done) > moved:
                    raise KeyboardInterrupt
            return operation(*arguments)

        return run

    with monkeypatch.context() as patch:
        for name in ("replace", "unlink", "rmdir"):
            patch.setattr(os, name, limited(getattr(os, name)))
        with pytest.raises(KeyboardInterrupt):
            write(stem, obsolete=("_v10.xml",))
    file_set.complete(stem)
    assert contents(stem) == {"net.json": "new", "net.xml": "new", "net.bin": "new"}
    assert len(os.listdir(stem.parent)) == 3


def test_a_directory_in_the_way_is_refused_before_anything_is_replaced(stem):
    (stem.parent / "net.onnx").mkdir()
    with pytest.raises(CaffeError, match="net.onnx is a directory"):
        write(stem, endings=(".xml", ".onnx"))
    assert set(contents(stem).values()) == {"old"}


def test_a_folder_that_is_a_file_is_refused(stem):
    with pytest.raises(NotADirectoryError):
        write(stem.parent / "net.xml" / "net")


def test_a_link_is_kept(stem):
    target = stem.parent / "elsewhere"
    target.write_text("old")
    os.unlink(f"{stem}.xml")
    os.symlink(target, f"{stem}.xml")
    write(stem)
    assert os.path.islink(f"{stem}.xml") and target.read_text() == "new"


def test_what_cannot_be_completed_is_an_error(stem, monkeypatch):
    (stem.parent / ".net.replacing").mkdir()
    (stem.parent / ".net.replacing" / "net.xml").write_text("new")

    def read_only(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "replace", read_only)
    with pytest.raises(CaffeError, match="cannot be moved to their places: Read-only file system"):
        file_set.complete(stem)


def test_several_writers_leave_the_files_of_one(stem):
    """Each writes another set and says that the files of the others are obsolete."""
    endings = (".xml", ".bin", ".json", "_v10.xml")

    def write_some(number):
        names = [ending for place, ending in enumerate(endings) if place != number % 4]
        write(stem, str(number), endings=names, obsolete=endings)
        file_set.complete(stem)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(write_some, range(200)))
    assert len(os.listdir(stem.parent)) == 3
    assert len(set(contents(stem).values())) == 1


def test_a_writer_waits_until_another_has_moved_its_files(stem, monkeypatch):
    """The second set has a file that the first one calls obsolete; it comes while the first is about to delete it."""
    (stem.parent / "net_v10.xml").write_text("old")
    second = threading.Thread(target=write, args=(stem, "second", (".xml", "_v10.xml")))
    unlink = os.unlink

    def interrupted(path):
        if not second.ident:
            second.start()
            second.join(0.5)
        unlink(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", interrupted)
        write(stem, "first", endings=(".xml",), obsolete=("_v10.xml",))
    second.join()
    assert contents(stem) == {"net.json": "old", "net.bin": "old", "net.xml": "second", "net_v10.xml": "second"}
