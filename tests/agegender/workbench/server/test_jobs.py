"""Jobs: order, output, stop, survival of the server, resuming a training to the same bytes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from support import workbench_root as wr

from agegender.errors import AgeGenderError
from agegender.workbench.server import jobs
from agegender.workbench.server.settings import Settings

LIST = ["agegender", "train", "--list"]
FAILING = ["caffe", "train", "--solver", "missing.prototxt"]
SECONDS = 90


def queue_of(root):
    return jobs.Queue(Settings.checked(str(root), "127.0.0.1", 8080))


def wait(queue, name, states=jobs.ENDED, seconds=SECONDS):
    """Advance the queue until the job is in one of the states; return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        queue.advance()
        job = queue.get(name)
        if job["state"] in states:
            return job
        time.sleep(0.05)
    raise AssertionError(f"{queue.get(name)}\n{queue.output(name)}")


def test_job_runs_all_steps(tmp_path):
    queue = queue_of(tmp_path)
    name = queue.add("List", [LIST, LIST], {"a": "b"}, "train", page="/x")
    job = wait(queue, name)
    assert (job["state"], job["status"], job["step"]) == ("finished", 0, 1)
    assert queue.output(name).count("$ agegender train --list") == 2 and "compact" in queue.output(name)
    assert (job["form"], job["page"], job["kind"]) == ({"a": "b"}, "/x", "train")


def test_second_server_of_the_same_root_does_not_start_a_job_again(tmp_path):
    first, second = queue_of(tmp_path), queue_of(tmp_path)
    with first._folder_lock() as alone:
        assert alone
        second.advance()
        name = second.add("List", [LIST])
        assert second.get(name)["state"] == "waiting"
    assert wait(first, name)["state"] == "finished"
    assert first.output(name).count("$ agegender") == 1


def test_failing_step_ends_the_job_with_its_message(tmp_path):
    queue = queue_of(tmp_path)
    job = wait(queue, queue.add("Fail", [FAILING, LIST]))
    assert (job["state"], job["step"]) == ("failed", 0)
    assert "missing.prototxt" in queue.output(job["id"]) and "Traceback" not in queue.output(job["id"])


def test_one_job_runs_at_a_time_in_order(tmp_path):
    queue = queue_of(tmp_path)
    names = [queue.add(f"Job {number}", [LIST]) for number in range(3)]
    states = [queue.get(name)["state"] for name in names]
    assert states[1:] == ["waiting", "waiting"]
    ended = [wait(queue, name)["ended"] for name in names]
    assert ended == sorted(ended)


def test_waiting_job_can_be_stopped_and_removed(tmp_path):
    queue = queue_of(tmp_path)
    first, second = queue.add("First", [LIST]), queue.add("Second", [LIST])
    queue.stop(second)
    assert queue.get(second)["state"] == "stopped"
    wait(queue, first)
    queue.remove(second)
    assert queue.get(second) is None and queue.output(second) == ""


def test_module_of_the_root_is_not_imported(tmp_path):
    (tmp_path / "json.py").write_text("raise SystemExit('imported from the root')")
    (tmp_path / "numpy.py").write_text("raise SystemExit('imported from the root')")
    queue = queue_of(tmp_path)
    job = wait(queue, queue.add("List", [LIST]))
    assert job["state"] == "finished", queue.output(job["id"])


def test_number_of_waiting_jobs_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "MAX_WAITING", 1)
    monkeypatch.setattr(jobs.Queue, "advance", lambda self: None)
    queue = queue_of(tmp_path)
    queue.add("First", [LIST])
    with pytest.raises(AgeGenderError, match="jobs are waiting"):
        queue.add("Second", [LIST])


@pytest.mark.parametrize("name", ["../x", "20260101-120000-000-a/../b", "", "20260101-120000-000-" + "a" * 200])
def test_name_that_is_no_job(tmp_path, name):
    assert queue_of(tmp_path).get(name) is None


def test_process_of_another_program_with_the_same_number_is_not_the_job(tmp_path):
    queue = queue_of(tmp_path)
    name = "20260101-120000-000-demo"
    folder = tmp_path / "jobs" / name
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(
        json.dumps({"title": "x", "steps": [], "run": "", "state": "waiting", "created": 1})
    )
    (folder / "process.json").write_text(json.dumps({"pid": os.getpid(), "state": "running"}))
    assert queue.get(name)["state"] == "interrupted"
    queue.stop(name)  # must not end this process


SERVER = """
import sys, time
from agegender.workbench.server import jobs
from agegender.workbench.server.settings import Settings
queue = jobs.Queue(Settings.checked(sys.argv[1], "127.0.0.1", 8080))
print(queue.add("Train", [["caffe", "train", "--solver", "models/demo/solver.prototxt", "--resume"]], run="models/demo/train"))
sys.stdout.flush()
time.sleep(600)
"""


def test_training_survives_a_killed_server_and_resumes_to_the_same_bytes(trained_root, tmp_path):
    """Reference: the undisturbed training of the shared root."""
    root = tmp_path / "root"
    wr.write_inputs(str(root))
    solver = root / "models/demo/solver.prototxt"
    solver.write_text(wr.SOLVER.replace("max_iter: 20", "max_iter: 4000"))
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(root)], stdout=subprocess.PIPE, text=True)
    name = server.stdout.readline().strip()
    server.send_signal(signal.SIGKILL)
    server.wait()
    server.stdout.close()
    queue = queue_of(root)  # the server after its restart
    log = root / "models/demo/train.log"
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and not (log.exists() and "Iteration 12" in log.read_text()):
        time.sleep(0.05)
    assert queue.get(name)["state"] == "running"
    queue.stop(name)
    assert wait(queue, name)["state"] == "stopped"
    stopped_at = max(int(path.name.split("_")[2].split(".")[0]) for path in log.parent.glob("*.solverstate"))
    assert stopped_at >= 12
    shutil.copytree(trained_root, tmp_path / "undisturbed")
    step = ["caffe", "train", "--solver", "models/demo/solver.prototxt", "--resume", "--max_iter", str(stopped_at + 5)]
    assert wait(queue, queue.add("Resume", [step]))["state"] == "finished"
    shutil.rmtree(tmp_path / "undisturbed/models/demo")
    other = tmp_path / "undisturbed"
    (other / "models/demo").mkdir()
    for part in ("train_val", "solver"):
        shutil.copy(root / f"models/demo/{part}.prototxt", other / f"models/demo/{part}.prototxt")
    with wr.working_directory(other):
        from caffe.tools import main

        assert main(["train", *step[2:]]) == 0
    weights = f"models/demo/train_iter_{stopped_at + 5}.caffemodel"
    assert (root / weights).read_bytes() == (other / weights).read_bytes()
