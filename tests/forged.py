"""Exported files with something hostile in them, made from a good one."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from segstudy.deploy.file_kinds import CHECKSUM, FILE_KINDS
from segstudy.deploy.file_kinds.checksums import with_checksum

IMAGE = helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "h", "w", 3])
FLOATS = ("n", "h", "w")


def const(name: str, values: Any, kind: type = np.int64) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.array(values, kind)))


def brightness(out: str = "probability") -> list[onnx.NodeProto]:
    """The mean of the three channels, over 255: a harmless network."""
    return [
        helper.make_node("Cast", ["image"], ["f"], to=TensorProto.FLOAT),
        const("axes", [3]),
        helper.make_node("ReduceMean", ["f", "axes"], ["mean"], keepdims=0),
        const("top", 255.0, np.float32),
        helper.make_node("Div", ["mean", "top"], [out]),
    ]


def forged(
    good: Path,
    nodes: Sequence[onnx.NodeProto],
    file: Path,
    kind: int = TensorProto.FLOAT,
    shape: Sequence[Any] | None = FLOATS,
    **more: Any,
) -> Path:
    """Another graph with the metadata of a good file."""
    out = helper.make_tensor_value_info("probability", kind, shape)
    graph = helper.make_graph(list(nodes), "g", [IMAGE], [out], **more)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    text = {p.key: p.value for p in onnx.load(good, load_external_data=False).metadata_props}
    text.pop(CHECKSUM.decode(), None)  # anybody can compute a checksum again
    helper.set_model_props(model, text)
    file.write_bytes(with_checksum(FILE_KINDS[".onnx"], model.SerializeToString()))
    return file


def endless_loop() -> list[onnx.NodeProto]:
    """2**62 rounds that add nothing."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["goes"]), helper.make_node("Identity", ["x"], ["y"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("goes", TensorProto.BOOL, []),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
        ],
    )
    loop = helper.make_node("Loop", ["rounds", "true", "b"], ["probability"], body=body)
    return [*brightness("b"), const("rounds", 2**62), const("true", True, np.bool_), loop]


def expanded(shape: Sequence[int]) -> list[onnx.NodeProto]:
    """The answer plus the mean of an array of this shape."""
    return [
        *brightness("b"),
        const("shape", list(shape)),
        helper.make_node("ReduceMean", ["b"], ["one"], keepdims=0),
        helper.make_node("Expand", ["one", "shape"], ["large"]),
        helper.make_node("Exp", ["large"], ["larger"]),
        helper.make_node("ReduceMean", ["larger"], ["m"], keepdims=0),
        helper.make_node("Add", ["b", "m"], ["probability"]),
    ]


def huge_products(side: int, rounds: int) -> list[onnx.NodeProto]:
    """A square matrix of the image's mean times itself, again and again."""
    nodes = [
        *brightness("b"),
        const("shape", [side, side]),
        helper.make_node("ReduceMean", ["b"], ["one"], keepdims=0),
        helper.make_node("Expand", ["one", "shape"], ["m0"]),
    ]
    nodes += [helper.make_node("MatMul", [f"m{i}", "m0"], [f"m{i + 1}"]) for i in range(rounds)]
    return [
        *nodes,
        helper.make_node("ReduceMean", [f"m{rounds}"], ["m"], keepdims=0),
        helper.make_node("Add", ["b", "m"], ["probability"]),
    ]


def external_weights(good: Path, file: Path, place: str) -> Path:
    """An initialiser that lies in another file."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=place)
    nodes = [*brightness("b"), helper.make_node("Add", ["b", "w"], ["probability"])]
    return forged(good, nodes, file, initializer=[tensor])


def huge_constant(good: Path, file: Path) -> Path:
    """A constant of a terabyte by its shape, with four bytes."""
    value = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2**38], raw_data=bytes(4))
    nodes = [
        *brightness("b"),
        helper.make_node("ReduceMean", ["w"], ["m"], keepdims=0),
        helper.make_node("Add", ["b", "m"], ["probability"]),
    ]
    return forged(good, nodes, file, initializer=[value])


def huge_fill(good: Path, file: Path) -> Path:
    """A terabyte from a constant shape, which an optimiser may want to compute while it loads."""
    fill = helper.make_node("ConstantOfShape", ["shape"], ["large"])
    nodes = [
        *brightness("b"),
        const("shape", [2**38]),
        fill,
        helper.make_node("ReduceMean", ["large"], ["m"], keepdims=0),
        helper.make_node("Add", ["b", "m"], ["probability"]),
    ]
    return forged(good, nodes, file)


def own_operation(good: Path, file: Path) -> Path:
    """An operation that no runtime has."""
    node = helper.make_node("Format", ["image"], ["probability"], domain="evil")
    return forged(good, [node], file)


def many_nodes(good: Path, file: Path, number: int = 300_000) -> Path:
    chain = [helper.make_node("Relu", [f"r{i}"], [f"r{i + 1}"]) for i in range(number)]
    return forged(
        good, [*brightness("r0"), *chain, helper.make_node("Relu", [f"r{number}"], ["probability"])], file
    )


def nested(good: Path, file: Path, depth: int = 5_000) -> Path:
    """Graphs within graphs, written by hand: each one the body of the only node of the next."""
    message = b""
    for _ in range(depth):
        attribute = b"\x32" + _length(message) + message  # g
        node = b"\x22\x02If" + b"\x2a" + _length(attribute) + attribute  # op_type, attribute
        message = b"\x0a" + _length(node) + node  # graph: node
    content = good.read_bytes()
    file.write_bytes(with_checksum(FILE_KINDS[".onnx"], content + b"\x3a" + _length(message) + message))
    return file


def _length(data: bytes) -> bytes:
    number, out = len(data), b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def xml_with(good: Path, file: Path, change: Callable[[str], str]) -> Path:
    """An ``.xml`` changed as text, with its weights."""
    text, weights = good.read_text(encoding="utf-8"), good.with_suffix(".bin").read_bytes()
    text = change(text[: text.rindex("\n<!-- " + CHECKSUM.decode())])
    file.write_bytes(with_checksum(FILE_KINDS[".xml"], text.encode(), weights))
    file.with_suffix(".bin").write_bytes(weights)
    return file


def offsets_far_away(text: str) -> str:
    return re.sub(r'offset="\d+"', f'offset="{2**62}"', text)


def sizes_wrong(text: str) -> str:
    return re.sub(r' size="(\d+)"', lambda found: f' size="{int(found[1]) * 1000 + 8}"', text)


def entities(text: str) -> str:
    lines = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "x" * 100}">' for i in range(10))
    return text.replace("<net ", f"<!DOCTYPE net [{lines}]>\n<net ", 1).replace('name="g"', 'name="&e9;"', 1)


def a_loop(text: str) -> str:
    return re.sub(r'type="Convolution"', 'type="TensorIterator"', text, count=1)


def an_extension(text: str) -> str:
    return re.sub(r'type="Convolution" version="opset1"', 'type="Evil" version="extension"', text, count=1)
