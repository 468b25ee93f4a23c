"""`ncs serve` under load against bare OpenVINO: CPU milliseconds per request, latencies, throughput, errors.

python bench/serving.py graph/NAME.json [--clients 1 8 64] [--requests 400] [--hostile 100000]

Bare OpenVINO runs the same input in this process right before and after each server run; both are measured in CPU
seconds, which a busy machine disturbs less than wall-clock time. --hostile sends that many requests while other clients
disconnect, send garbage and announce bodies of 100 MB; every good request must be answered correctly.
"""

import argparse
import asyncio
import json
import os
import random
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))


class Server:
    """`ncs serve` as a child; `cpu()` is its CPU time so far."""

    def __init__(self, manifest, hint="throughput"):
        command = [sys.executable, "-m", "ncs", "serve", manifest, "-d", "CPU", "--port", "0", "--access-log", "off"]
        command += ["--hint", hint]
        path = os.pathsep.join([str(Path(__file__).parents[1] / "src"), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": path}
        self.process = subprocess.Popen(
            [*command, "--queue", "1024"], stderr=subprocess.PIPE, text=True, env=environment
        )
        for line in self.process.stderr:
            found = re.search(r"Serving .* at http://127.0.0.1:(\d+)", line)
            if found:
                self.port = int(found.group(1))
                return
        raise SystemExit("the server did not start")

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat") as stream:
            fields = stream.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        with open(f"/proc/{self.process.pid}/smaps_rollup") as stream:
            return int(re.search(r"Pss:\s+(\d+)", stream.read()).group(1)) / 1024

    def stop(self):
        self.process.terminate()
        return self.process.wait(60)


def bare(manifest, count):
    """CPU milliseconds per image and the output, batch 1, one request at a time."""
    from ncs.runtime import open_runner
    from ncs.runtime.manifest import Manifest

    shape = Manifest.read(manifest).shape
    blob = np.random.RandomState(0).uniform(-1, 1, (1, *shape[1:])).astype(np.float32)
    with open_runner("CPU", manifest) as runner:
        for _ in range(5):
            output = runner.run(blob)
        began = _own_cpu()
        for _ in range(count):
            runner.run(blob)
        return 1e3 * (_own_cpu() - began) / count, blob, output[0]


def _own_cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def message(manifest, blob):
    """The bytes of an inference request with a binary tensor and a binary answer."""
    from ncs.runtime.manifest import Manifest

    facts = Manifest.read(manifest)
    tensor = {"name": facts.input, "datatype": "FP32", "shape": list(blob.shape)}
    tensor["parameters"] = {"binary_data_size": blob.nbytes}
    header = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    body = header + blob.tobytes()
    head = f"POST /v2/models/{facts.name}/infer HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    return (head + f"Inference-Header-Content-Length: {len(header)}\r\n\r\n").encode() + body


async def _answer(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(re.search(rb"\r\ncontent-length: (\d+)", head).group(1))
    return int(head.split(b" ", 2)[1]), await reader.readexactly(length)


async def _client(port, data, expected, counter, times, faults):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while counter[0] > 0:
        counter[0] -= 1
        began = time.perf_counter()
        writer.write(data)
        status, content = await _answer(reader)
        times.append(time.perf_counter() - began)
        if status != 200 or not np.allclose(np.frombuffer(content[-expected.nbytes :], "<f4"), expected, atol=1e-4):
            faults.append(status)
    writer.close()


async def _load(port, data, expected, clients, requests):
    counter, times, faults = [requests], [], []
    began = time.perf_counter()
    await asyncio.gather(*(_client(port, data, expected, counter, times, faults) for _ in range(clients)))
    return time.perf_counter() - began, sorted(times), faults


async def _vandal(port, data, running, done):
    """Disconnects in the middle of a request, sends garbage, and announces or sends too much."""
    rng = random.Random(id(running) ^ len(done))
    head = b"POST /v2/models/x/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n"
    while running[0]:
        kind = rng.choice(("leave", "garbage", "announce", "send", "unread"))
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            if kind == "leave":
                writer.write(data[: rng.randrange(len(data))])
            elif kind == "garbage":
                writer.write(rng.randbytes(rng.randrange(1, 4000)))
            elif kind == "announce":
                writer.write(head)
                await reader.read(4096)
            elif kind == "unread":
                writer.write(data)
            else:
                writer.write(head.replace(b"Content-Length: 104857600", b"Transfer-Encoding: chunked"))
                for _ in range(1600):
                    writer.write(b"10000\r\n" + bytes(65536) + b"\r\n")
                    await writer.drain()
            await writer.drain()
            writer.close()
            done.append(kind)
        except (ConnectionError, asyncio.IncompleteReadError):
            done.append(kind)
        await asyncio.sleep(0.02)


async def _hostile(port, data, expected, requests):
    running, done = [True], []
    vandals = [asyncio.create_task(_vandal(port, data, running, done)) for _ in range(3)]
    result = await _load(port, data, expected, 8, requests)
    running[0] = False
    await asyncio.gather(*vandals)
    return result, done


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--hint", default="throughput")
    parser.add_argument("--hostile", type=int, default=0)
    args = parser.parse_args()
    server = Server(args.manifest, args.hint)
    try:
        _, blob, expected = bare(args.manifest, 5)
        data = message(args.manifest, blob)
        asyncio.run(_load(server.port, data, expected, 8, 50))
        print("clients  server CPU ms  bare CPU ms  ratio  p50 ms  p99 ms  requests/s  errors")
        for clients in args.clients:
            before, _, _ = bare(args.manifest, args.requests // 2)
            began = server.cpu()
            seconds, times, faults = asyncio.run(_load(server.port, data, expected, clients, args.requests))
            cpu = 1e3 * (server.cpu() - began) / args.requests
            after, _, _ = bare(args.manifest, args.requests // 2)
            alone = (before + after) / 2
            p50, p99 = (1e3 * times[int(len(times) * q)] for q in (0.5, 0.99))
            print(
                f"{clients:7d}  {cpu:13.2f}  {alone:11.2f}  {cpu / alone:5.2f}  {p50:6.1f}  {p99:6.1f}  "
                f"{args.requests / seconds:10.0f}  {len(faults):6d}",
                flush=True,
            )
        print(f"memory (PSS): {server.memory():.0f} MB")
        if args.hostile:
            (seconds, times, faults), done = asyncio.run(_hostile(server.port, data, expected, args.hostile))
            kinds = {kind: done.count(kind) for kind in sorted(set(done))}
            print(f"hostile: {args.hostile} requests in {seconds:.0f} s, {len(faults)} errors; other clients: {kinds}")
            print(f"memory (PSS): {server.memory():.0f} MB")
    finally:
        print("exit status", server.stop())


if __name__ == "__main__":
    main()
