"""Reads an IR (.xml and .bin), modifies its graph and writes it as v10."""

from __future__ import annotations

import os
import shutil
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ncs.errors import NcsError

_DTYPES = {"i32": np.int32, "i64": np.int64, "f16": np.float16, "f32": np.float32}


class IrGraph:
    """The parsed .xml, and new constants to append to the .bin."""

    def __init__(self, path: str) -> None:
        self.path, self.weights = path, os.path.splitext(path)[0] + ".bin"
        try:
            self.tree = ElementTree.parse(path)
            self.size = os.path.getsize(self.weights)
        except (OSError, ElementTree.ParseError) as error:
            raise NcsError(f"{path}: not an IR: {error}") from error
        root = self.tree.getroot()
        root.set("version", "10")
        layers, edges = root.find("layers"), root.find("edges")
        if layers is None or edges is None:
            raise NcsError(f"{path}: not an IR: it has no layers or no edges")
        self.layers, self.edges = layers, edges
        self.new_constants: list[np.ndarray] = []
        for parent in root.iter():
            for child in parent.findall("rt_info"):
                parent.remove(child)

    def producer(self, layer: Any, port: int) -> Any:
        """Return the layer that produces an input, or None."""
        for edge in self.edges:
            if (edge.get("to-layer"), edge.get("to-port")) == (layer.get("id"), str(port)):
                return next(other for other in self.layers if other.get("id") == edge.get("from-layer"))
        return None

    def constant(self, layer: Any, port: int) -> np.ndarray:
        """Return the values of a constant input. Raises NcsError if it is not constant."""
        producer = self.producer(layer, port)
        data = producer.find("data") if producer is not None and producer.get("type") == "Const" else None
        if data is None or data.get("element_type") not in _DTYPES:
            raise NcsError(f"its input {port} is not a constant")
        offset, size = int(data.attrib["offset"]), int(data.attrib["size"])
        if min(offset, size) < 0 or offset + size > self.size:
            raise NcsError(f"its input {port} is not in the .bin file")
        with open(self.weights, "rb") as stream:
            stream.seek(offset)
            return np.frombuffer(stream.read(size), _DTYPES[data.attrib["element_type"]])

    def disconnect(self, layer: Any, ports: range) -> None:
        """Remove the edges to inputs."""
        for edge in list(self.edges):
            if edge.get("to-layer") == layer.get("id") and int(edge.attrib["to-port"]) in ports:
                self.edges.remove(edge)

    def set_constants(self, layer: Any, first: int, arrays: list[np.ndarray]) -> None:
        """Replace the inputs from `first` on by one-dimensional constants (int64, float32)."""
        inputs = layer.find("input")
        self.disconnect(layer, range(first, len(inputs)))
        for port in list(inputs)[first:]:
            inputs.remove(port)
        for number, array in enumerate(arrays, first):
            _add_port(inputs, number, array)
            self._connect(layer, number, array)

    def _connect(self, layer: Any, port: int, array: np.ndarray) -> None:
        number = 1 + max(int(other.attrib["id"]) for other in self.layers)
        dtype = "i64" if array.dtype == np.int64 else "f32"
        constant = ElementTree.SubElement(
            self.layers,
            "layer",
            id=str(number),
            name=f"{layer.get('name')}/{port}",
            type="Const",
            version="opset1",
        )
        ElementTree.SubElement(
            constant, "data", element_type=dtype, shape=str(len(array)), offset=str(self.size), size=str(array.nbytes)
        )
        _add_port(ElementTree.SubElement(constant, "output"), 0, array)
        ElementTree.SubElement(
            self.edges,
            "edge",
            {"from-layer": str(number), "from-port": "0", "to-layer": layer.get("id"), "to-port": str(port)},
        )
        self.new_constants.append(array)
        self.size += array.nbytes

    def write(self, folder: str) -> str:
        """Write both files; return the path of the .xml."""
        target = os.path.join(folder, os.path.basename(self.path))
        weights = os.path.splitext(target)[0] + ".bin"
        if self.new_constants:
            shutil.copyfile(self.weights, weights)
            with open(weights, "ab") as stream:
                for array in self.new_constants:
                    stream.write(array.tobytes())
        else:
            os.symlink(os.path.abspath(self.weights), weights)
        self.tree.write(target, encoding="utf-8", xml_declaration=True)
        return target


def _add_port(parent: Any, number: int, array: np.ndarray) -> None:
    port = ElementTree.SubElement(
        parent, "port", id=str(number), precision="I64" if array.dtype == np.int64 else "FP32"
    )
    ElementTree.SubElement(port, "dim").text = str(len(array))


def sizes(layer: Any) -> np.ndarray:
    """Return the shape of a layer's first input."""
    return np.array([int(dim.text) for dim in layer.find("input")[0].findall("dim")])
