"""`ncs serve` as a process: answers equal the runner's, limits, token, garbage, shutdown; tritonclient if installed."""

import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest
from support.tiny_manifest import NAMES, compile_tiny

from ncs.cli import main
from ncs.runtime import open_runner
from ncs.runtime.manifest import Manifest

pytest.importorskip("starlette", reason="the extra `serve` is not installed")
pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")
IMAGE = np.random.RandomState(6).randint(0, 256, (40, 30, 3), np.uint8)
PNG = cv2.imencode(".png", IMAGE)[1].tobytes()
INFER = "/v2/models/tiny/infer"


class Server:
    """A running `ncs serve`."""

    def __init__(self, manifest, *options, device="CPU"):
        command = [sys.executable, "-m", "ncs", "serve", manifest, "--port", "0", "-d", device, *options]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        self.grpc_port, self.lines = None, []
        for line in self.process.stderr:
            self.lines.append(line)
            grpc = re.match(r"gRPC at .*:(\d+)", line)
            self.grpc_port = int(grpc.group(1)) if grpc else self.grpc_port
            address = re.match(r"Serving tiny at https?://127.0.0.1:(\d+)", line)
            if address:
                self.port = int(address.group(1))
                threading.Thread(target=lambda: self.lines.extend(self.process.stderr), daemon=True).start()
                return
        raise AssertionError("".join(self.lines))

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content

    def infer(self, inputs, *parts, headers=None, **more):
        header = json.dumps({"inputs": inputs, **more}).encode()
        length = {"Inference-Header-Content-Length": str(len(header))} if parts else {}
        answer, content = self.request("POST", INFER, b"".join([header, *parts]), {**length, **(headers or {})})
        if answer.status == 200 and answer.headers.get("Inference-Header-Content-Length"):
            size = int(answer.headers["Inference-Header-Content-Length"])
            return answer.status, {**json.loads(content[:size]), "raw": content[size:]}
        return answer.status, json.loads(content)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return compile_tiny(tmp_path_factory.mktemp("serve"), [104, 117, 123], "RGB")


@pytest.fixture(scope="module")
def server(manifest):
    grpc = ["--grpc", "0"] if _has("grpc") else []
    server = Server(manifest, "--max-request", "1", *grpc)
    yield server
    server.process.kill()
    server.process.wait()


def _has(name):
    from ncs.runtime import is_importable

    return is_importable(name)


@pytest.fixture(scope="module")
def expected(manifest):
    """The runner's output for IMAGE, and the net's input."""
    blob = Manifest.read(manifest).transform.image(IMAGE)[None]
    with open_runner("CPU", manifest) as runner:
        return blob, runner.run(blob)


def tensor(blob, **more):
    return {"name": "data", "datatype": "FP32", "shape": list(blob.shape), **more}


def test_health_and_metadata(server, manifest):
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/tiny/ready", "/v2/models/tiny/versions/1/ready"):
        assert server.request("GET", path)[0].status == 200
    facts = json.loads(server.request("GET", "/v2/models/tiny")[1])
    assert facts["name"] == "tiny" and facts["inputs"] == [
        {"name": "data", "datatype": "FP32", "shape": [-1, 3, 24, 24]},
        {"name": "image", "datatype": "BYTES", "shape": [-1]},
    ]
    assert facts["outputs"] == [{"name": Manifest.read(manifest).output, "datatype": "FP32", "shape": [-1, 5]}]
    answer, content = server.request("GET", "/v2/models/other")
    assert answer.status == 404 and "no model 'other'; known: tiny" in json.loads(content)["error"]
    assert server.request("GET", "/v2/models/tiny/versions/2")[0].status == 404


def test_json_and_binary_tensors_give_the_runners_output(server, expected):
    blob, output = expected
    status, answer = server.infer([tensor(blob, data=blob.ravel().tolist())], id="7")
    assert status == 200 and answer["id"] == "7" and answer["outputs"][0]["shape"] == [1, 5]
    np.testing.assert_allclose(answer["outputs"][0]["data"], output[0], atol=1e-6)
    status, answer = server.infer(
        [tensor(blob, parameters={"binary_data_size": blob.nbytes})],
        blob.tobytes(),
        parameters={"binary_data_output": True},
    )
    np.testing.assert_allclose(np.frombuffer(answer["raw"], "<f4"), output[0], atol=1e-6)


def test_image_files_get_the_transform(server, expected):
    element = struct.pack("<I", len(PNG)) + PNG
    image = {"name": "image", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": 2 * len(element)}}
    status, answer = server.infer([image], element, element)
    values = np.reshape(answer["outputs"][0]["data"], (2, 5))
    np.testing.assert_allclose(values, np.repeat(expected[1], 2, 0), atol=1e-6)
    name = answer["outputs"][0]["name"]
    pixels = {"name": "image", "datatype": "UINT8", "shape": [1, 40, 30, 3], "data": IMAGE.ravel().tolist()}
    status, answer = server.infer([pixels], outputs=[{"name": name, "parameters": {"classification": 1}}])
    (best,) = answer["outputs"][0]["data"]
    index = int(expected[1].argmax())
    assert best.split(":")[1:] == [str(index), NAMES[index]]


def test_clients_at_once_get_their_own_answers(server, manifest):
    blobs = np.random.RandomState(1).uniform(-1, 1, (12, 1, 3, 24, 24)).astype(np.float32)
    with open_runner("CPU", manifest) as runner:
        expected = [runner.run(blob)[0] for blob in blobs]
    answers = [None] * len(blobs)

    def ask(i):
        inputs = [tensor(blobs[i], parameters={"binary_data_size": blobs[i].nbytes})]
        answers[i] = server.infer(inputs, blobs[i].tobytes())[1]["outputs"][0]["data"]

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(blobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose(answers, expected, atol=1e-5)


@pytest.mark.parametrize(
    "inputs, message",
    [
        ([{"name": "data", "datatype": "FP32", "shape": [1, 3, 8, 8], "data": [0] * 192}], "expected shape"),
        ([{"name": "x", "datatype": "FP32", "shape": [1], "data": [0]}], "no input 'x'; expected 'data' or 'image'"),
        (
            [{"name": "image", "datatype": "BYTES", "shape": [1], "data": ["YWJj"]}],
            "image 0: truncated or not an image",
        ),
        ([{"name": "image", "datatype": "INT8", "shape": [1], "data": [1]}], "received INT8"),
        ([{"name": "image", "datatype": "UINT8", "shape": [1, 0, 5, 3], "data": []}], "received UINT8"),
        ([{"name": "data", "datatype": "FP32", "shape": [0, 3, 24, 24], "data": []}], "expected 1 to 256 images"),
    ],
)
def test_invalid_inputs_are_400(server, inputs, message):
    status, answer = server.infer(inputs)
    assert status == 400 and message in answer["error"]


def test_limits_and_foreign_pages(server, expected):
    answer, _ = server.request("POST", INFER, b"x" * 1_000_001)
    assert answer.status == 413
    assert server.request("POST", INFER, b"{}", {"Content-Encoding": "gzip"})[0].status == 415
    assert server.request("GET", "/v2", headers={"Origin": "http://evil.example"})[0].status == 403
    assert server.request("GET", INFER)[0].status == 405
    huge = np.zeros((1, 1), np.uint8)
    header = bytearray(cv2.imencode(".png", huge)[1].tobytes())
    header[16:24] = struct.pack(">II", 100_000, 100_000)  # the pixel limit applies before decoding
    element = struct.pack("<I", len(header)) + bytes(header)
    image = {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(element)}}
    status, answer = server.infer([image], element)
    assert status == 400 and "megapixels" in answer["error"]


def test_garbage_and_leaving_clients_do_no_harm(server, expected):
    blob, output = expected
    message = json.dumps({"inputs": [tensor(blob, data=blob.ravel().tolist())]}).encode()
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(message)}\r\n\r\n".encode()
    for data in (b"\x16\x03\x01\x00" * 50, b"GET / HTTP/9\r\n\r\n", head + message[:100], head + message):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.sendall(data)
    status, answer = server.infer([tensor(blob, data=blob.ravel().tolist())])
    assert status == 200
    np.testing.assert_allclose(answer["outputs"][0]["data"], output[0], atol=1e-6)


def test_metrics_and_access_log(server, expected):
    before = _requests(server)
    blob, _ = expected
    server.infer([tensor(blob, data=blob.ravel().tolist())], id="logged")
    assert _requests(server) == before + 1
    text = server.request("GET", "/metrics")[1].decode()
    assert 'ncs_request_seconds_count{model="tiny"}' in text and 'ncs_queued_images{model="tiny"} 0' in text
    (line,) = [line for line in server.lines if '"logged"' in line]
    facts = json.loads(line)
    assert (facts["method"], facts["status"], facts["images"], facts["model"]) == ("POST", 200, 1, "tiny")


def _requests(server):
    text = server.request("GET", "/metrics")[1].decode()
    found = re.search(r'ncs_requests_total\{model="tiny",protocol="http",code="200"\} (\d+)', text)
    return int(found.group(1)) if found else 0


def test_tritonclient(server, expected):
    client = pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed")
    blob, output = expected
    with client.InferenceServerClient(f"127.0.0.1:{server.port}") as triton:
        assert triton.is_server_ready() and triton.is_model_ready("tiny")
        name = triton.get_model_metadata("tiny")["outputs"][0]["name"]
        data = client.InferInput("data", list(blob.shape), "FP32")
        for binary in (True, False):
            data.set_data_from_numpy(blob, binary_data=binary)
            result = triton.infer("tiny", [data], outputs=[client.InferRequestedOutput(name, binary_data=binary)])
            np.testing.assert_allclose(result.as_numpy(name), output, atol=1e-6)
        image = client.InferInput("image", [1], "BYTES")
        image.set_data_from_numpy(np.array([PNG], object))
        np.testing.assert_allclose(triton.infer("tiny", [image]).as_numpy(name), output, atol=1e-6)


def _field(number, content):
    """A length-delimited field of protobuf's wire format, written by hand."""
    size, prefix = len(content), bytes([number << 3 | 2])
    encoded = b""
    while size > 127:
        encoded, size = encoded + bytes([size & 127 | 128]), size >> 7
    return prefix + encoded + bytes([size]) + content


def test_grpc(server, expected):
    grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
    blob, output = expected
    shape = _field(3, bytes([1, 3, 24, 24]))
    request = _field(1, b"tiny") + _field(3, b"9") + _field(5, _field(1, b"data") + _field(2, b"FP32") + shape)
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:

        def call(method, message):
            return channel.unary_unary(f"/inference.GRPCInferenceService/{method}")(message, timeout=20)

        assert call("ServerLive", b"") == call("ServerReady", b"") == b"\x08\x01"
        assert call("ModelReady", _field(1, b"tiny")) == b"\x08\x01"
        answer = call("ModelInfer", request + _field(7, blob.tobytes()))
        assert answer.startswith(_field(1, b"tiny") + _field(2, b"1") + _field(3, b"9"))
        np.testing.assert_allclose(np.frombuffer(answer[-20:], "<f4"), output[0], atol=1e-6)
        with pytest.raises(grpc.RpcError) as caught:
            call("ModelInfer", request + _field(7, b"1234"))
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(grpc.RpcError) as caught:
            call("ModelReady", _field(1, b"other"))
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_token_and_graceful_end(manifest, tmp_path, expected):
    (tmp_path / "token").write_text("secret\n")
    server = Server(manifest, "--token-file", str(tmp_path / "token"), "--access-log", "off")
    assert server.request("GET", "/v2")[0].status == 401
    assert server.request("GET", "/v2", headers={"Authorization": "Bearer wrong"})[0].status == 401
    assert server.request("GET", "/v2", headers={"Authorization": "Bearer secret"})[0].status == 200
    assert server.request("GET", "/v2/health/live")[0].status == 200
    assert server.stop() == 0


@pytest.mark.parametrize(
    "options, message",
    [
        (["--max-batch", "0"], "--max-batch must be at least 1, received 0"),
        (["--certificate", "x"], "both --certificate and --key"),
        (["--token-file", "/nowhere/token"], "/nowhere/token: no such file"),
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1:0"),
    ],
)
def test_invalid_options(manifest, capsys, options, message):
    assert main(["serve", manifest, "-d", "CPU", "--port", "0", *options]) == 1
    assert message in capsys.readouterr().err
