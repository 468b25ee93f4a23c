"""An IR's graph, read from its .xml and .bin, changed and written again as v10."""

from __future__ import annotations

import os
import shutil
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ncs.errors import NcsError

_DTYPES = {"i32": np.int32, "i64": np.int64, "f16": np.float16, "f32": np.float32}


class IrGraph:
    """The parsed .xml, and constants that are to be appended to the .bin."""

    def __init__(self, path: str) -> None:
        self.path, self.weights = path, os.path.splitext(path)[0] + ".bin"
        try:
            self.tree = ElementTree.parse(path)
        except (OSError, ElementTree.ParseError) as error:
            raise NcsError(f"{path}: not an IR: {error}") from error
        root = self.tree.getroot()
        root.set("version", "10")
        layers, edges = root.find("layers"), root.find("edges")
        if layers is None or edges is None:
            raise NcsError(f"{path}: not an IR: it has no layers or no edges")
        self.layers, self.edges = layers, edges
        self.more: list[np.ndarray] = []
        self.size = os.path.getsize(self.weights)
        for parent in root.iter():
            for child in parent.findall("rt_info"):
                parent.remove(child)

    def source(self, layer: Any, port: int) -> Any:
        """The layer that makes an input."""
        for edge in self.edges:
            if (edge.get("to-layer"), edge.get("to-port")) == (layer.get("id"), str(port)):
                return next(other for other in self.layers if other.get("id") == edge.get("from-layer"))
        return None

    def constant(self, layer: Any, port: int) -> np.ndarray:
        """The numbers of a constant input."""
        maker = self.source(layer, port)
        data = maker.find("data") if maker is not None and maker.get("type") == "Const" else None
        if data is None or data.get("element_type") not in _DTYPES:
            raise NcsError("its input %d is no constant" % port)
        with open(self.weights, "rb") as stream:
            stream.seek(int(data.attrib["offset"]))
            return np.frombuffer(stream.read(int(data.attrib["size"])), _DTYPES[data.attrib["element_type"]])

    def disconnect(self, layer: Any, ports: range) -> None:
        """Take away the edges to inputs."""
        for edge in list(self.edges):
            if edge.get("to-layer") == layer.get("id") and int(edge.attrib["to-port"]) in ports:
                self.edges.remove(edge)

    def set_constants(self, layer: Any, first: int, arrays: list[np.ndarray]) -> None:
        """Have constants of one axis (int64, float32) as the inputs from `first` on, in the place of whatever is there."""
        inputs = layer.find("input")
        self.disconnect(layer, range(first, len(inputs)))
        for port in list(inputs)[first:]:
            inputs.remove(port)
        for number, array in enumerate(arrays, first):
            _port(inputs, number, array)
            self._connect(layer, number, array)

    def _connect(self, layer: Any, port: int, array: np.ndarray) -> None:
        number, kind = (
            1 + max(int(other.attrib["id"]) for other in self.layers),
            "i64" if array.dtype == np.int64 else "f32",
        )
        made = ElementTree.SubElement(
            self.layers,
            "layer",
            id=str(number),
            name="%s/%d" % (layer.get("name"), port),
            type="Const",
            version="opset1",
        )
        ElementTree.SubElement(
            made, "data", element_type=kind, shape=str(len(array)), offset=str(self.size), size=str(array.nbytes)
        )
        _port(ElementTree.SubElement(made, "output"), 0, array)
        ElementTree.SubElement(
            self.edges,
            "edge",
            {"from-layer": str(number), "from-port": "0", "to-layer": layer.get("id"), "to-port": str(port)},
        )
        self.more.append(array)
        self.size += array.nbytes

    def write(self, folder: str) -> str:
        """Write both files; returns the .xml's path."""
        target = os.path.join(folder, os.path.basename(self.path))
        weights = os.path.splitext(target)[0] + ".bin"
        if self.more:
            shutil.copyfile(self.weights, weights)
            with open(weights, "ab") as stream:
                for array in self.more:
                    stream.write(array.tobytes())
        else:
            os.symlink(os.path.abspath(self.weights), weights)
        self.tree.write(target, encoding="utf-8", xml_declaration=True)
        return target


def _port(parent: Any, number: int, array: np.ndarray) -> None:
    port = ElementTree.SubElement(
        parent, "port", id=str(number), precision="I64" if array.dtype == np.int64 else "FP32"
    )
    ElementTree.SubElement(port, "dim").text = str(len(array))


def sizes(layer: Any) -> np.ndarray:
    """The sizes of a layer's first input."""
    return np.array([int(dim.text) for dim in layer.find("input")[0].findall("dim")])
