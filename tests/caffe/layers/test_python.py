"""Python layers: pycaffe's interface, and errors in user code."""

import numpy as np
import pytest
from support.layer_nets import net_of

import caffe
from caffe.errors import CaffeError

MODULE = '''
import caffe

class Times(caffe.Layer):
    """Multiplies by a weight that starts as param_str."""
    def setup(self, bottom, top):
        self.blobs.add_blob(1)
        self.blobs[0].data[0] = float(self.param_str)
        self.calls = []
    def reshape(self, bottom, top):
        self.calls.append("reshape")
        top[0].reshape(*bottom[0].data.shape)
    def forward(self, bottom, top):
        self.calls.append("forward")
        top[0].data[...] = self.blobs[0].data[0] * bottom[0].data
    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[0] += (top[0].diff * bottom[0].data).sum()
        if propagate_down[0]:
            bottom[0].diff[...] = self.blobs[0].data[0] * top[0].diff
    def greet(self):
        return "hello from " + self.param_str

class Count(caffe.Layer):
    def setup(self, bottom, top):
        self.at = 0
    def reshape(self, bottom, top):
        top[0].reshape(3)
        top[1].reshape()
    def forward(self, bottom, top):
        top[0].data[...] = [self.at, self.at + 1, self.at + 2]
        top[1].data[()] = self.phase
        self.at += 3
    def state(self):
        return {"at": self.at}
    def restore(self, state):
        self.at = state["at"]

class Own(Exception):
    pass

class Fails(caffe.Layer):
    def setup(self, bottom, top):
        if self.param_str == "setup":
            raise ValueError("no such thing")
    def reshape(self, bottom, top):
        top[0].reshape(1)
    def forward(self, bottom, top):
        raise {"own": Own, "key": KeyError, "stop": StopIteration}[self.param_str]("the reason")

class Old(caffe.Layer):
    def setup(self, bottom, top):
        self.value = float(self.param_str_)
    def reshape(self, bottom, top):
        pass
    def forward(self, bottom, top):
        bottom[0].data[...] *= self.value
    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] *= self.value

class NoLayer:
    pass
'''


@pytest.fixture(autouse=True)
def module_on_path(tmp_path, monkeypatch):
    (tmp_path / "my_layers.py").write_text(MODULE)
    (tmp_path / "broken_layers.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    import sys

    sys.modules.pop("my_layers", None)


def layer(layer_class, param_str="", bottom="data", top="out", module="my_layers", more=""):
    blobs = f'bottom: "{bottom}" ' if bottom else ""
    blobs += " ".join(f'top: "{name}"' for name in top.split())
    param = f'module: "{module}" layer: "{layer_class}" param_str: "{param_str}"'
    return f'layer {{ name: "mine" type: "Python" {blobs} {more} python_param {{ {param} }} }}'


INPUT = """force_backward: true
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } } """


def test_forward_backward_and_weights():
    net = net_of(INPUT + layer("Times", "2.5"))
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    net.blobs["data"].data[...] = x
    assert np.array_equal(net.forward()["out"], 2.5 * x)
    net.blobs["out"].diff[...] = 2
    net.backward()
    assert np.array_equal(net.blobs["data"].diff, np.full((2, 3), 5.0))
    assert net.params["mine"][0].diff[0] == 2 * x.sum()
    net.params["mine"][0].data[0] = -1
    assert np.array_equal(net.forward()["out"], -x)


def test_net_layers_are_the_users_objects():
    net = net_of(INPUT + layer("Times", "3"))
    assert net.layers[1].greet() == net.layer_dict["mine"].greet() == "hello from 3"
    assert net.layers[1].type == "Python" and list(net.layers[1].blobs[0].data) == [3.0]


def test_reshape_is_called_before_every_forward():
    net = net_of(INPUT + layer("Times", "2"))
    net.layers[1].calls.clear()
    net.blobs["data"].reshape(4, 1, 5)
    net.forward()
    net.forward()
    calls = net.layers[1].calls
    assert calls[-2:] == ["reshape", "forward"] and calls[calls.index("forward") - 1] == "reshape"
    assert net.blobs["out"].data.shape == (4, 1, 5)


def test_weights_are_learnable_shared_saved_and_loaded(tmp_path):
    text = INPUT + layer("Times", "2", more='param { name: "w" lr_mult: 3 }')
    text += layer("Times", "9", "out", "out2", more='param { name: "w" }').replace('"mine"', '"second"')
    net = net_of(text)
    assert [w.lr_mult for w in net.learnable_weights] == [3.0]
    net.blobs["data"].data[...] = 1
    assert np.array_equal(net.forward()["out2"], np.full((2, 3), 4.0))
    net.params["mine"][0].data[0] = 5
    net.save(str(tmp_path / "w.caffemodel"))
    other = net_of(text)
    other.copy_from(str(tmp_path / "w.caffemodel"))
    assert other.params["second"][0].data[0] == 5.0


def test_data_layer_in_python():
    net = net_of(layer("Count", bottom="", top="a phase"), caffe.TEST)
    assert list(net.forward()["a"]) == [0, 1, 2] and net.blobs["phase"].data == caffe.TEST
    state = net.nodes[0].layer.state()
    assert list(net.forward()["a"]) == [3, 4, 5] and state == {"at": 3}
    net.nodes[0].layer.restore(state)
    assert list(net.forward()["a"]) == [3, 4, 5]
    assert net.nodes[0].layer.is_data


def test_in_place_python_layer():
    text = INPUT + 'layer { name: "p" type: "Power" bottom: "data" top: "p" power_param { shift: 1 } } '
    net = net_of(text + layer("Old", "4", "p", "p"))
    net.blobs["data"].data[...] = 1
    assert np.array_equal(net.forward()["p"], np.full((2, 3), 8.0))
    net.blobs["p"].diff[...] = 1
    net.backward()
    assert np.array_equal(net.blobs["data"].diff, np.full((2, 3), 4.0))


def test_error_in_setup_keeps_its_type_location_and_cause():
    with pytest.raises(ValueError, match="no such thing") as caught:
        net_of(INPUT + layer("Fails", "setup"))
    assert isinstance(caught.value, RuntimeError) and isinstance(caught.value, CaffeError)
    assert "net.prototxt:2" in str(caught.value) and "my_layers.Fails raised in setup" in str(caught.value)
    assert type(caught.value.__cause__) is ValueError


@pytest.mark.parametrize("layer_class, error", [("own", "Own"), ("key", "KeyError"), ("stop", "StopIteration")])
def test_error_in_forward_is_a_runtime_error_with_its_cause(layer_class, error):
    net = net_of(INPUT + layer("Fails", layer_class))
    with pytest.raises(RuntimeError, match="my_layers.py") as caught:
        net.forward()
    assert type(caught.value.__cause__).__name__ == error
    assert isinstance(caught.value, type(caught.value.__cause__))


@pytest.mark.parametrize(
    "layer_class, module, message",
    [
        ("Tims", "my_layers", "did you mean 'Times'"),
        ("NoLayer", "my_layers", "derived from caffe.Layer"),
        ("Times", "no_such_module", "PYTHONPATH"),
        ("Times", "broken_layers", "division by zero"),
        ("", "my_layers", "needs module and layer"),
    ],
)
def test_invalid_python_param_raises(layer_class, module, message):
    with pytest.raises(CaffeError, match=message):
        net_of(INPUT + layer(layer_class, module=module))


def test_missing_backward_raises():
    net = net_of(INPUT + layer("Fails", "own"))
    with pytest.raises(CaffeError, match="has no backward"):
        net.backward()


@pytest.mark.parametrize("where", ["import", "setup", "forward"])
def test_sys_exit_is_an_error_of_the_layer(tmp_path, monkeypatch, where):
    code = "import caffe, sys\nclass Exits(caffe.Layer):\n"
    for method in ("setup", "reshape", "forward"):
        code += f"    def {method}(self, bottom, top): {'sys.exit(0)' if method == where else 'pass'}\n"
    (tmp_path / f"exits_{where}.py").write_text(code + ("sys.exit(0)\n" if where == "import" else ""))
    monkeypatch.syspath_prepend(tmp_path)
    text = f'layer {{ name: "p" type: "Python" top: "y" python_param {{ module: "exits_{where}" layer: "Exits" }} }}'
    with pytest.raises(CaffeError, match="SystemExit"):
        net_of(text).forward()
