"""Input files have limited size and any name; every layer with a file parameter uses this reader."""

import io
import subprocess
import tracemalloc

import pytest
from support.layer_nets import net_of

from caffe.errors import CaffeError
from caffe.utils import input_file

LAYERS = {
    "HDF5Data": 'layer { name: "d" type: "HDF5Data" top: "x" hdf5_data_param { source: "%s" batch_size: 1 } }',
    "ImageData": 'layer { name: "d" type: "ImageData" top: "x" top: "y" image_data_param { source: "%s" batch_size: 1 } }',
    "WindowData": """layer { name: "d" type: "WindowData" top: "x" top: "y"
        transform_param { crop_size: 2 } window_data_param { source: "%s" batch_size: 1 } }""",
    "mean_file": """layer { name: "d" type: "ImageData" top: "x" top: "y"
        transform_param { mean_file: "%s" } image_data_param { source: "list" batch_size: 1 } }""",
    "InfogainLoss": """layer { name: "i" type: "Input" top: "x" top: "y" input_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }
        layer { name: "d" type: "InfogainLoss" bottom: "x" bottom: "y" top: "z" infogain_loss_param { source: "%s" } }""",
    "Data": 'layer { name: "d" type: "Data" top: "x" data_param { source: "%s" batch_size: 1 backend: LMDB } }',
}


@pytest.fixture(autouse=True)
def small_limits(monkeypatch):
    from caffe.proto import binary

    for name in ("MAX_TEXT_BYTES", "MAX_BLOB_BYTES"):
        monkeypatch.setattr(input_file, name, 1000)
    monkeypatch.setattr(binary, "MAX_PIPED_BYTES", 1000)
    monkeypatch.setattr(input_file.read_bytes, "__defaults__", (1000,))
    monkeypatch.setattr(input_file.read_text, "__defaults__", ("strict", 1000))


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/urandom", "a\\000b", "/", "/none"])
@pytest.mark.parametrize("kind", LAYERS)
def test_layers_reject_other_files(kind, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list").write_text("a.png 1\n")
    with pytest.raises(CaffeError):
        net_of(LAYERS[kind] % path)


def test_text_must_be_utf8(tmp_path):
    (tmp_path / "a").write_bytes(b"caf\xe9 1")
    with pytest.raises(CaffeError, match="byte 3 is not UTF-8"):
        input_file.read_text(tmp_path / "a")
    assert input_file.read_text(tmp_path / "a", "surrogateescape") == "caf\udce9 1"
    assert input_file.shown("caf\udce9\x1b\n") == "caf\\xe9\\x1b\\x0a"


@pytest.mark.parametrize("count", [1, 10, 11, 5_000_000])
@pytest.mark.parametrize("kind", ["file", "pipe", "memory"])
def test_read_at_most_returns_what_there_is(kind, count, tmp_path):
    data = bytes(range(10)) if count < 100 else bytes(3_000_000)
    (tmp_path / "file").write_bytes(data)
    if kind == "pipe":
        process = subprocess.Popen(["cat", tmp_path / "file"], stdout=subprocess.PIPE)
        with process.stdout as stream:
            assert input_file.read_at_most(stream, count) == data[:count]
        process.wait()
        return
    with open(tmp_path / "file", "rb") if kind == "file" else io.BytesIO(data) as stream:
        assert input_file.read_at_most(stream, count) == data[:count]


def test_a_small_file_needs_little_memory(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 1000)
    tracemalloc.start()
    try:
        assert len(input_file.read_bytes(tmp_path / "file", 256 << 20)) == 1000
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_file_of_unknown_size_is_read():
    assert input_file.read_text("/proc/self/status", "strict", 1 << 20).startswith(
        "Name:"
    )  # the system says that it has 0 bytes
