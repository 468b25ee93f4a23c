"""The server as a process: imports, slow clients, thousands of event streams, many watchers, errors of the command."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
from support import workbench_root as wr
from support.workbench_root import identifier

from agegender.workbench.server import job_process, serve, settings

RUN = identifier("run", wr.RUN)
STREAMS = 10_000
WATCHERS = 50
HEAVY = ("torch", "onnx", "onnxruntime", "openvino", "matplotlib", "pandas", "scipy")

needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the test reads /proc")


def start(root, *options):
    command = [sys.executable, "-m", "agegender", "workbench", "--root", str(root), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    line = process.stdout.readline()
    found = re.search(r":(\d+)/", line)
    assert found, line + process.stdout.read()
    return process, int(found.group(1))


@pytest.fixture(scope="module")
def server(trained_root):
    """(process, port) of a workbench of the shared root."""
    process, port = start(trained_root)
    yield process, port
    process.terminate()
    assert process.wait(30) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
    process.stdout.close()


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as response:
        return response.read()


def open_stream(port, path=f"/runs/{RUN}/events"):
    """A connection on which the first event has arrived."""
    connection = socket.create_connection(("127.0.0.1", port), 30)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    received = connection.recv(4096)
    return connection, received


def descriptors(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def settle(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


def test_server_imports_nothing_heavy():
    names = ", ".join(map(repr, HEAVY))
    text = f"import sys, agegender.workbench.server.app as a; print([n for n in ({names},) if n in sys.modules])"
    result = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@needs_proc
def test_thousands_of_streams_leave_nothing(server):
    process, port = server
    get(port, "/index.json")
    for _ in range(200):
        open_stream(port)[0].close()
    assert settle(lambda: descriptors(process) < 60)
    before = descriptors(process), job_process.resident(process.pid)
    for number in range(STREAMS):
        connection, received = open_stream(port) if number % 100 == 0 else _dropped(port)
        assert number % 100 or received.startswith((b"HTTP/1.1 200", b"HTTP/1.1 503"))
        connection.close()
    assert settle(lambda: descriptors(process) <= before[0] + 2), (before, descriptors(process))
    assert job_process.resident(process.pid) < before[1] + 25  # megabytes
    assert get(port, "/index.json")
    connection, received = open_stream(port)
    assert received.startswith(b"HTTP/1.1 200")
    connection.close()


def _dropped(port):
    """A connection that is closed as soon as its request is sent."""
    connection = socket.create_connection(("127.0.0.1", port), 30)
    connection.sendall(f"GET /runs/{RUN}/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    return connection, b""


@needs_proc
def test_number_of_open_streams_is_limited(server):
    process, port = server
    opened = [open_stream(port) for _ in range(settings.MAX_STREAMS + 5)]
    assert any(received.startswith(b"HTTP/1.1 503") for _, received in opened)
    assert get(port, "/index.json")  # other requests are answered
    for connection, _ in opened:
        connection.close()
    assert settle(lambda: descriptors(process) < 60)


def test_slow_header_is_disconnected(server):
    _, port = server
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: ")
        began = time.monotonic()
        assert connection.recv(100) == b""
        assert time.monotonic() - began < serve.HEADER_SECONDS + 10


def test_slow_body_does_not_block_others(server):
    process, port = server
    head = f"POST /train HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    slow = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(60)]
    for connection in slow:
        connection.sendall(head.encode() + b"Content-Length: 1000\r\n\r\nnet=")
    began = time.monotonic()
    assert get(port, "/index.json")
    assert time.monotonic() - began < 10
    for connection in slow:
        connection.close()
    time.sleep(1)
    assert process.poll() is None and "Traceback" not in _log(process)


def _log(process):
    """What the process has printed since its first line, without waiting."""
    os.set_blocking(process.stdout.fileno(), False)
    return (process.stdout.buffer.read() or b"").decode()  # None: it has printed nothing; a text stream fails then


@needs_proc
def test_fifty_watchers_cost_little(trained_root, tmp_path):
    """Less than a tenth of a core for 50 clients of one run whose log grows by ten lines a second."""
    import shutil

    root = shutil.copytree(trained_root, tmp_path / "root")
    process, port = start(root)
    try:
        opened = [open_stream(port)[0] for _ in range(WATCHERS)]
        time.sleep(2)
        counts = [0] * WATCHERS

        def read(number):
            with contextlib.suppress(OSError):  # closed below
                while data := opened[number].recv(65536):
                    counts[number] += data.count(b"data:")

        threads = [threading.Thread(target=read, args=(number,), daemon=True) for number in range(WATCHERS)]
        for thread in threads:
            thread.start()
        before, began = job_process.cpu_seconds(process.pid), time.monotonic()
        with open(root / (wr.RUN + ".log"), "a") as stream:
            for number in range(60):
                line = f"Iteration {1000 + number} (10 iter/s, 0.1s/1 iters), loss = {1 / (1 + number)}"
                stream.write(f"I0101 10:00:{number % 60:02d}.000000 1 solver.cpp:239] {line}\n")
                stream.flush()
                time.sleep(0.1)
        seconds, wall = job_process.cpu_seconds(process.pid) - before, time.monotonic() - began
        assert min(counts) >= 3
        assert seconds / wall < 0.1, f"{seconds:.2f} s of processor in {wall:.1f} s"
        for connection in opened:
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def test_foreign_host_is_refused_by_the_process(server):
    _, port = server
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")


def test_port_in_use_is_one_line(server, trained_root):
    _, port = server
    command = [sys.executable, "-m", "agegender", "workbench", "--root", str(trained_root), "--port", str(port)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1 and "choose another --port" in result.stderr
    assert "Traceback" not in result.stderr


def test_missing_root_is_one_line(tmp_path):
    command = [sys.executable, "-m", "agegender", "workbench", "--root", str(tmp_path / "missing")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1 and "expected a directory" in result.stderr and "Traceback" not in result.stderr


def test_token_is_in_the_printed_address(trained_root):
    command = [
        sys.executable,
        "-m",
        "agegender",
        "workbench",
        "--root",
        str(trained_root),
        "--host",
        "0.0.0.0",
        "--port",
        "0",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    process.terminate()
    process.wait(30)
    process.stdout.close()
    assert re.search(r"/\?token=[\w-]{20,}", line)
