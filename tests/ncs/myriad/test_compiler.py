"""The native compiler: blobs, error messages, and no search for a stick."""

import os
import subprocess
import sys

import numpy as np
import pytest
from support import onnx_nets

from ncs.errors import NcsError
from ncs.myriad import compile_process
from ncs.myriad import compiler as driver
from ncs.myriad.blob import read_blob
from ncs.myriad.compiler import CompileError, Job, compile_blob, compile_blobs


def test_the_same_net_gives_the_same_bytes(compiler, tmp_path):
    model = onnx_nets.tiny(tmp_path / "tiny.onnx")
    compile_blobs([Job(model, str(tmp_path / name)) for name in ("one.blob", "two.blob")])
    compile_blob(model, str(tmp_path / "three.blob"))
    contents = {(tmp_path / name).read_bytes() for name in ("one.blob", "two.blob", "three.blob")}
    assert len(contents) == 1


def test_skipping_the_device_search_gives_the_same_bytes(compiler, tmp_path, monkeypatch):
    """The reference for docs/adr/0005: the unmodified compiler, with its search of five seconds."""
    model = onnx_nets.tiny(tmp_path / "tiny.onnx")
    compile_blob(model, str(tmp_path / "fast.blob"))
    unmodified = "import ncs.myriad.compile_worker as c; c.hide_devices = lambda path: True; c.main()"
    start = subprocess.Popen

    def start_unmodified(command, **options):
        *_, root, module = command
        assert module == "ncs.myriad.compile_worker"
        program = f"import sys; sys.path.append({root!r}); {unmodified}"
        return start([sys.executable, "-I", "-S", "-c", program], **options)

    monkeypatch.setattr(subprocess, "Popen", start_unmodified)
    compile_blob(model, str(tmp_path / "slow.blob"))
    assert (tmp_path / "slow.blob").read_bytes() == (tmp_path / "fast.blob").read_bytes()


def test_a_process_that_was_started_early_gives_the_same_bytes(compiler, tmp_path):
    model = onnx_nets.tiny(tmp_path / "tiny.onnx")
    compile_blob(model, str(tmp_path / "late.blob"))
    order = []
    process = compile_process.start_early()
    compile_blobs([Job(model, str(tmp_path / "early.blob"))], started=process, meanwhile=lambda: order.append(1))
    assert (tmp_path / "early.blob").read_bytes() == (tmp_path / "late.blob").read_bytes()
    assert order == [1] and process._process.returncode == 0


def test_a_process_that_was_not_needed_ends(compiler):
    process = compile_process.start_early()
    process.close()
    assert process._process.returncode is not None


def test_agenet_blob(compiler, tmp_path):
    """Values reported by OpenVINO's API for AgeNet: sizes, stages, shaves, slices, memory."""
    model = onnx_nets.agenet(tmp_path / "age.onnx")
    compile_blobs([Job(model, str(tmp_path / "x.blob")), Job(model, str(tmp_path / "2.blob"), "MA2450")])
    blob = read_blob(tmp_path / "x.blob")
    assert blob.file_size == os.path.getsize(tmp_path / "x.blob") == 24583360
    assert blob.counts() == {"MyriadXHwOp": 23, "Copy": 7, "Convert": 2, "LRN": 2, "Sum": 1, "SoftMax": 1}
    assert blob.unit_counts() == {"HW": 23, "DMA": 7, "SHAVE": 6}
    assert (blob.shaves, blob.cmx_slices, blob.bss_size) == (7, 9, 344064)
    assert [(a.name, a.order, a.dims) for a in blob.inputs] == [("data", "NCHW", (1, 3, 227, 227))]
    assert [(a.name, a.order, a.dims) for a in blob.outputs] == [("prob", "NC", (1, 9))]
    myriad_2 = read_blob(tmp_path / "2.blob")
    values = (myriad_2.file_size, len(myriad_2.stages), myriad_2.shaves, myriad_2.cmx_slices)
    assert values == (22835008, 21, 12, 12)
    assert myriad_2.unit_counts() == {"SHAVE": 21}


@pytest.mark.parametrize("shaves", [1, 4, 8, 12, 16])
def test_shaves(compiler, tmp_path, shaves):
    model = onnx_nets.tiny(tmp_path / "tiny.onnx")
    compile_blob(model, str(tmp_path / "x.blob"), shaves=shaves)
    blob = read_blob(tmp_path / "x.blob")
    assert (blob.shaves, blob.cmx_slices) == (shaves, shaves)


def test_all_unsupported_layers_are_listed(compiler, tmp_path):
    model = onnx_nets.chain(tmp_path / "bad.onnx", ["Sin", "Relu", "Sinh", "Atan"])
    with pytest.raises(CompileError) as fault:
        compile_blob(model, str(tmp_path / "bad.blob"))
    text = str(fault.value)
    for layer, kind in (("t0", "Sin"), ("t2", "Sinh"), ("t3", "Atan")):
        assert f'"{layer}": unsupported layer type "{kind}"' in text
    assert "t1" not in text
    assert fault.value.layer == "t0"
    assert not (tmp_path / "bad.blob").exists()


def test_compiler_message_is_reported(compiler, tmp_path):
    b = onnx_nets.Builder()
    flat = b.node("Flatten", ["data"], "flat", axis=1)
    b.linear(flat, "fc", 5, 99)
    model = b.save(tmp_path / "bad.onnx", "fc", [1, 5], [1, 3, 8, 8])
    with pytest.raises(CompileError, match="Incompatible MatMul matrix dimension.*192.*99") as fault:
        compile_blob(model, str(tmp_path / "bad.blob"))
    assert fault.value.layer == "fc"
    assert "/home/" not in str(fault.value) and "\x1b" not in str(fault.value)


def test_one_bad_net_does_not_affect_the_others(compiler, tmp_path):
    good = onnx_nets.tiny(tmp_path / "good.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    bad = str(tmp_path / "bad.onnx")
    jobs = [Job(bad, str(tmp_path / "bad.blob")), Job(good, str(tmp_path / "good.blob"))]
    with pytest.raises(CompileError, match="bad.onnx: cannot be compiled for MA2480: .*Cannot find reader"):
        compile_blobs(jobs)
    assert read_blob(tmp_path / "good.blob").outputs[0].dims == (1, 5)
    assert not (tmp_path / "bad.blob").exists()


def test_plugin_settings_reach_the_compiler(compiler, tmp_path):
    model = onnx_nets.tiny(tmp_path / "tiny.onnx")
    compile_blob(model, str(tmp_path / "sw.blob"), config={"MYRIAD_ENABLE_HW_ACCELERATION": "NO"})
    assert "HW" not in read_blob(tmp_path / "sw.blob").unit_counts()
    with pytest.raises(CompileError, match="NO_SUCH_KEY"):
        compile_blob(model, str(tmp_path / "x.blob"), config={"NO_SUCH_KEY": "1"})


@pytest.mark.parametrize(
    "job, text",
    [
        (dict(platform="MA2490"), "expected platform MA2480 or MA2450, received 'MA2490'; did you mean 'MA2480'"),
        (dict(shaves=17), "SHAVE cores of MA2480: expected 1 to 16, received 17"),
        (dict(shaves=13, platform="MA2450"), "expected 1 to 12, received 13"),
        (dict(cmx_slices=0), "expected 1 to 16, received 0"),
    ],
)
def test_invalid_settings_are_rejected_before_the_download(tmp_path, job, text):
    model = onnx_nets.tiny(tmp_path / "tiny.onnx")
    with pytest.raises(NcsError, match=text):
        driver.plugin_settings(Job(model, "x.blob", **job))


def test_missing_model_is_reported(tmp_path):
    with pytest.raises(NcsError, match="none.onnx: no such file"):
        driver.plugin_settings(Job(str(tmp_path / "none.onnx"), "x.blob"))


def test_names_with_special_characters(compiler, tmp_path):
    folder = tmp_path / 'a & "b" <c> ü'
    folder.mkdir()
    model = onnx_nets.tiny(folder / "n'et.onnx")
    compile_blob(model, str(folder / "o.blob"))
    assert read_blob(folder / "o.blob").shaves == 7


def test_weights_are_in_the_blob_as_half_precision(compiler, tmp_path):
    """The constants of a SHAVE-only blob contain the bias in half precision."""
    b = onnx_nets.Builder(3)
    b.conv("data", "conv", 16, 3, 3)
    model = b.save(tmp_path / "c.onnx", "conv", [1, 16, 6, 6], [1, 3, 8, 8])
    compile_blob(model, str(tmp_path / "c.blob"), "MA2450")
    import onnx
    from onnx import numpy_helper

    bias = next(numpy_helper.to_array(t) for t in onnx.load(model).graph.initializer if t.name == "conv.b")
    assert bias.astype(np.float16).tobytes() in (tmp_path / "c.blob").read_bytes()


def test_layers_have_their_caffe_names(compiler, tmp_path):
    """Errors name the Caffe layer, not the ONNX node or the blob."""
    from onnx import helper, load, save

    model = onnx_nets.chain(tmp_path / "net.onnx", ["Sin", "Relu", "Atan"])
    graph_model = load(model)
    for node, layer in zip(graph_model.graph.node, ("swap", "relu", "turn")):
        node.doc_string = layer  # as caffe.convert.onnx_export writes it
    save(graph_model, model)
    with pytest.raises(CompileError) as fault:
        compile_blob(model, str(tmp_path / "bad.blob"))
    text = str(fault.value)
    assert 'layer "swap": unsupported layer type "Sin"' in text
    assert 'layer "turn": unsupported layer type "Atan"' in text
    assert fault.value.layer == "swap"
    node = helper.make_node("Conv", ["data", "w"], ["top"], doc_string="conv3d", kernel_shape=[3] * 3)
    b = onnx_nets.Builder()
    b.nodes.append(node)
    b.constant("w", 8, 3, 3, 3, 3)
    volume = b.save(tmp_path / "volume.onnx", "top", [1, 8, 6, 6, 6], [1, 3, 8, 8, 8])
    with pytest.raises(CompileError, match="this is layer 'conv3d' of the Caffe net") as fault:
        compile_blob(volume, str(tmp_path / "bad.blob"))
    assert fault.value.layer == "conv3d"


@pytest.mark.parametrize(
    "message",
    [
        "dynamicToStaticShapeNonZero transformation is not applicable for StaticShapeNonZero found@rows",
        "DynamicToStaticShape transformation encountered dynamic node found@rows of type Pad ver. 1, but only [Ceiling "
        "ver. 0, ...] types are supported for dynamic nodes",
    ],
)
def test_messages_about_a_varying_number_of_rows_name_the_node(message):
    assert driver.failing_layer(message) == ("tensor", "found@rows")


def test_failing_layer_with_an_in_place_layer(compiler, tmp_path):
    """The failing node belongs to layer `fc`, although ReLU `relu` writes the final version of the blob `fc`."""
    import onnx
    from support import caffe_nets

    from caffe.convert.onnx_export import export_net

    text = caffe_nets.TINY + 'layer { name: "relu" type: "ReLU" bottom: "fc" top: "fc" }'
    prototxt, _ = caffe_nets.tiny(tmp_path, text.replace('bottom: "fc" top: "prob"', 'bottom: "conv2" top: "prob"'))
    export_net(caffe_nets.seeded(prototxt), str(tmp_path / "net.onnx"))
    model = onnx.load(tmp_path / "net.onnx")
    shape = next(tensor for tensor in model.graph.initializer if tensor.name == "fc@shape")
    shape.CopyFrom(onnx.numpy_helper.from_array(np.array([1, 7]), "fc@shape"))  # not the number of values before `fc`
    onnx.save(model, tmp_path / "bad.onnx")
    with pytest.raises(CompileError) as fault:
        compile_blob(str(tmp_path / "bad.onnx"), str(tmp_path / "bad.blob"))
    assert fault.value.layer == "fc" and "relu" not in str(fault.value)


def test_compiler_crash_without_a_message():
    assert driver._exit_text(11) == "the compiler crashed (signal 11) without a message"
    assert driver._exit_text(3 << 8) == "it ended with status 3"
