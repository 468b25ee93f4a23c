"""What is found below the root; ids that do not depend on where the root is."""

import shutil

from support import workbench_root as wr

from agegender.workbench.server import scan


def test_everything_of_the_root_is_found_once(trained_root):
    found = {(item.kind, item.path) for item in scan.find(str(trained_root))}
    assert found == {
        ("database", wr.TRAIN),
        ("database", wr.TEST),
        ("run", wr.RUN),
        ("evaluation", wr.EVALUATION),
        ("model", wr.MODEL),
        ("images", "data/faces"),
    }


def test_moving_the_root_changes_no_id(root, tmp_path):
    before = {item.id for item in scan.find(str(root))}
    moved = shutil.move(root, tmp_path / "elsewhere")
    assert {item.id for item in scan.find(str(moved))} == before


def test_ids_are_unique_and_safe_in_addresses():
    paths = ["a b/c", "a-b/c", "ä/c", "c", "x" * 300, "a/../c", "\udcff"]
    ids = [scan.Item("database", path).id for path in paths]
    assert len(set(ids)) == len(ids)
    assert all(set(i) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") for i in ids)
    assert scan.Item("run", "c").id != scan.Item("weights", "c").id


def test_large_folders_are_read_without_sorting_names(tmp_path):
    folder = tmp_path / "faces"
    folder.mkdir()
    for number in range(3000):
        (folder / f"{number}.jpg").touch()
    assert [(item.kind, item.path) for item in scan.find(str(tmp_path))] == [("images", "faces")]


def test_hidden_folders_and_jobs_are_left_out(tmp_path):
    for name in (".venv", "jobs", "node_modules"):
        (tmp_path / name / "x_lmdb").mkdir(parents=True)
        (tmp_path / name / "x_lmdb" / "data.mdb").touch()
    assert list(scan.find(str(tmp_path))) == []


def test_scan_is_kept_for_a_moment(root):
    kept = scan.Scan(str(root))
    assert kept.get(wr.identifier("database", wr.TEST)).path == wr.TEST
    shutil.rmtree(root / wr.TEST)
    assert kept.get(wr.identifier("database", wr.TEST)) is not None
    kept.forget()
    assert kept.get(wr.identifier("database", wr.TEST)) is None
