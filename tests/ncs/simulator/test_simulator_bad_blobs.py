"""Damaged blobs, other versions or chips and excessive sizes: a one-line error before anything is allocated."""

import struct
import tracemalloc

import numpy as np
import pytest
from support import onnx_nets

from ncs.cli import main
from ncs.errors import NcsError
from ncs.myriad.compiler import compile_blob
from ncs.simulator import Simulator, products, read_program

HEADER = [
    "magic",
    "size",
    "major",
    "minor",
    "inputs_count",
    "outputs_count",
    "stages_count",
    "inputs_size",
    "outputs_size",
    "batch",
    "bss_size",
    "cmx_slices",
    "shaves",
    "has_hw",
    "has_shave",
    "has_dma",
    "inputs_at",
    "outputs_at",
    "stages_at",
    "constants_at",
]


@pytest.fixture(scope="module")
def blob(compiler, tmp_path_factory):
    """The bytes of a small net's blob for MA2480."""
    folder = tmp_path_factory.mktemp("bad")
    compile_blob(onnx_nets.tiny(folder / "tiny.onnx"), str(folder / "tiny.blob"))
    return (folder / "tiny.blob").read_bytes()


def with_header(content, **fields):
    """Return `content` with some fields of its header replaced."""
    changed = bytearray(content)
    for name, value in fields.items():
        struct.pack_into("<I", changed, 52 + 4 * HEADER.index(name), value)
    return bytes(changed)


@pytest.mark.parametrize(
    "fields, text",
    [
        ({"magic": 1}, "magic number: expected 0x25ed, received 0x1"),
        ({"major": 7}, "blob version: expected 6.0, received 7.0"),
        ({"minor": 3}, "blob version: expected 6.0, received 6.3"),
        ({"bss_size": 1 << 31}, "bss_size: expected at most 536870912 bytes"),
        ({"outputs_size": 0xFFFFFFFF}, "outputs_size: expected at most"),
        ({"shaves": 64}, "a blob for another chip"),
        ({"cmx_slices": 1 << 20}, "a blob for another chip"),
        ({"batch": 1 << 30}, "batch: expected at most"),
        ({"stages_count": 1 << 30}, "do not fit in"),
        ({"stages_count": 100}, "stage 9 .*no end mark"),
        ({"stages_at": 1 << 30}, "sections of the blob are out of order"),
        ({"constants_at": 64}, "sections of the blob are out of order"),
    ],
)
def test_invalid_header(blob, fields, text):
    tracemalloc.start()
    with pytest.raises(NcsError, match=text) as error:
        Simulator(with_header(blob, **fields))
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.1, 0.5, 0.99])
def test_truncated_blob(blob, fraction):
    with pytest.raises(NcsError):
        read_program(blob[: int(len(blob) * fraction)])


def test_excessive_dims_are_rejected_before_allocation(blob):
    """A tensor with two dims of 2^20 would have 2^40 elements."""
    program = read_program(blob)
    changed = bytearray(blob)
    at = len(blob) - len(program.constants)
    offset = struct.unpack_from("<20I", blob, 52)[18]
    words = struct.unpack_from("<7I", blob, offset + 12 + struct.unpack_from("<I", blob, offset + 12)[0])
    struct.pack_into("<2I", changed, at + words[4], 1 << 20, 1 << 20)
    tracemalloc.start()
    with pytest.raises(NcsError, match="exceeds the|do not fit"):
        Simulator(bytes(changed))
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_stage_of_length_zero_is_rejected(blob):
    """A length of 0 would cause an endless loop."""
    offset = struct.unpack_from("<20I", blob, 52)[18]
    changed = bytearray(blob)
    struct.pack_into("<I", changed, offset, 0)
    with pytest.raises(NcsError, match="stage 0 .*no end mark"):
        Simulator(bytes(changed))


def test_unsupported_stage_kind_is_named(blob):
    offset = struct.unpack_from("<20I", blob, 52)[18]
    (length,) = struct.unpack_from("<I", blob, offset)
    changed = bytearray(blob)
    for at in (offset + 4, offset + length - 8):
        struct.pack_into("<I", changed, at, 69)  # MTCNN
    with pytest.raises(
        NcsError, match=r"stage 0 \(MTCNN, layer data\): the simulator does not support this kind of stage"
    ):
        Simulator(bytes(changed), names=["data"])


def test_command_prints_one_line_and_fails(blob, tmp_path, capsys):
    path = tmp_path / "bad.blob"
    path.write_bytes(blob[:500])
    assert main(["run", str(path)]) != 0
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1 and str(path) in output.err
    assert main(["trace", str(tmp_path / "none.blob")]) != 0
    assert "No such file" in capsys.readouterr().err


def test_damaged_words_only_raise_ncs_errors(blob):
    """Replace random words of the file; no other exception may occur."""
    import random

    import numpy as np

    rng, simulator = random.Random(3), Simulator(blob)
    inputs = {"data": np.zeros(simulator.shape(simulator.program.inputs[0]), np.float32)}
    for _ in range(150):
        changed = bytearray(blob)
        offset = rng.randrange(56, 2500) // 4 * 4
        struct.pack_into("<I", changed, offset, rng.choice([0, 1, 2, 7, 255, 1 << 20, 1 << 31, 2**32 - 1]))
        try:
            Simulator(bytes(changed)).run(inputs)
        except NcsError as error:
            assert "\n" not in str(error)


def test_a_pooling_window_without_pixels_is_an_error():
    with pytest.raises(ValueError, match="has no pixels"):
        products.pool(np.zeros((1, 4, 4), np.float32), (0, 2), (1, 1), (2, 2), np.maximum)


BAD = {
    "version": lambda blob: with_header(blob, major=7),
    "chip": lambda blob: with_header(blob, shaves=64),
    "truncated": lambda blob: blob[: len(blob) // 2],
    "memory": lambda blob: with_header(blob, bss_size=0xFFFFFFFF),
    "count": lambda blob: with_header(blob, stages_count=1 << 30),
    "NCSDK graph": lambda blob: bytes(36) + b"\x02" + bytes(999),
    "empty": lambda blob: b"",
}


@pytest.mark.parametrize("damage", BAD)
@pytest.mark.parametrize("command", ["run", "trace", "profile", "inspect"])
def test_every_command_reports_one_line(blob, tmp_path, capsys, command, damage):
    (tmp_path / "bad.blob").write_bytes(BAD[damage](blob))
    if command == "inspect" and damage in ("chip", "memory"):
        pytest.skip("ncs inspect shows headers of other chips")
    assert main([command, str(tmp_path / "bad.blob")]) == 1
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and "bad.blob: " in err


def test_models_with_cycles_and_excessive_sizes(compiler, tmp_path, capsys):
    """Nothing is allocated for an input of 2^40 values."""
    import onnx
    from onnx import TensorProto, helper

    def save(name, nodes, shape):
        ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
        graph = helper.make_graph(nodes, "g", ports, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)])
        model.ir_version = 6
        onnx.save(model, str(tmp_path / name))

    relu = helper.make_node
    save("cycle.onnx", [relu("Add", ["x", "b"], ["a"]), relu("Relu", ["a"], ["b"]), relu("Relu", ["b"], ["y"])], [1, 4])
    save("huge.onnx", [relu("Relu", ["x"], ["y"])], [1, 3, 1 << 20, 1 << 20])
    for name, text in (("cycle.onnx", "b node not found"), ("huge.onnx", "is 1x3x1048576x1048576; a chip with 512 MB")):
        for target in ("stick", "oak"):
            command = ["compile", str(tmp_path / name), "--target", target, "-o", str(tmp_path / "out")]
            assert main(command) == 1
            err = capsys.readouterr().err
            assert text in err and len(err.splitlines()) == 1
    assert not list(tmp_path.glob("out*"))
