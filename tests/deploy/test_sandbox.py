"""Forged model files end in one line, within limits of time and memory; honest ones are tried once."""

import os
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import forged
import numpy as np
import pytest
from onnx import TensorProto, helper

from segstudy.core.errors import UserError
from segstudy.deploy.engines import sandbox
from segstudy.deploy.engines.base import METADATA
from segstudy.deploy.engines.exported import open_exported
from segstudy.deploy.file_kinds import read_graph
from segstudy.store.card import parse_package

pytestmark = pytest.mark.filterwarnings("ignore")  # exporters warn of what is none of ours


@pytest.fixture(scope="module")
def good(exported_model) -> Path:
    return exported_model


@pytest.fixture(scope="module")
def good_xml(exported_openvino) -> Path:
    return exported_openvino


def test_a_harmless_file_of_another_kind_is_run(good, tmp_path):
    """What is forged below is forged rightly: without anything hostile it passes."""
    file = forged.forged(good, forged.brightness(), tmp_path / "m.onnx")
    image = np.full((1, 8, 9, 3), 51, np.uint8)
    for engine in ("onnxruntime", "openvino"):
        np.testing.assert_allclose(open_exported(file, engine).forward(image), 0.2, atol=2e-3)


TOO_MUCH = "cannot be|memory|trial ended"
FORGED = {
    "a loop of 2**62 rounds": (lambda g, f: forged.forged(g, forged.endless_loop(), f), "holds a loop"),
    "weights in /etc/passwd": (
        lambda g, f: forged.external_weights(g, f, "../../../../../etc/passwd"),
        "weights from another file",
    ),
    "weights beside": (lambda g, f: forged.external_weights(g, f, "w.bin"), "weights from another file"),
    "a constant of a terabyte": (forged.huge_constant, "cannot be"),
    "a terabyte filled": (forged.huge_fill, TOO_MUCH),
    "an array of 4 TB": (lambda g, f: forged.forged(g, forged.expanded([10**12]), f), TOO_MUCH),
    "an array of 16 GB": (lambda g, f: forged.forged(g, forged.expanded([4 * 10**9]), f), TOO_MUCH),
    "hours of products": (
        lambda g, f: forged.forged(g, forged.huge_products(6000, 500), f),
        "too much time",
    ),
    "an operation of its own": (forged.own_operation, "cannot be"),
    "300,000 operations": (forged.many_nodes, "more than 100000 operations"),
    "graphs 5,000 deep": (forged.nested, "nested too deeply"),
    "cut short": (lambda g, f: f.write_bytes(g.read_bytes()[:-500]), "cut short|cannot be"),
    "zeros": (lambda _, f: f.write_bytes(bytes(5000)), "cannot be|not made by"),
    "a varint without end": (lambda _, f: f.write_bytes(b"\xff" * 5000), "not an ONNX file"),
    "empty": (lambda _, f: f.write_bytes(b""), "not made by"),
    "no metadata": (lambda g, f: f.write_bytes(stripped(g)), "not made by"),
}  # fmt: skip


LONG = ("hours of products", "300,000 operations")  # seconds each


def stripped(good: Path) -> bytes:
    import onnx

    model = onnx.load(good)
    del model.metadata_props[:]
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in FORGED],
)
@pytest.mark.parametrize("engine", ["onnxruntime", pytest.param("openvino", marks=pytest.mark.slow)])
def test_a_forged_onnx_file_is_refused_in_a_line(good, tmp_path, name, engine):
    make, said = FORGED[name]
    make(good, tmp_path / "m.onnx")
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(UserError, match=said) as caught:
        open_exported(tmp_path / "m.onnx", engine)
    assert str(tmp_path / "m.onnx") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KB
    assert time.process_time() - began < 5


FORGED_XML = {
    "weights far away": (forged.offsets_far_away, "cannot be"),
    "weights of other sizes": (forged.sizes_wrong, "cannot be"),
    "entities of a gigabyte": (forged.entities, "declares entities"),
    "a loop": (forged.a_loop, "holds a loop"),
    "an operation of its own": (forged.an_extension, "cannot be"),
    "no layers": (lambda text: re.sub(r"<layers>.*</layers>", "", text, flags=re.DOTALL), "cannot be"),
    "cut short": (lambda text: text[: len(text) // 2], "cannot be"),
    "empty": (lambda _: "", "cannot be"),
    "100,000 deep": (lambda text: "<a>" * 100_000 + text, "nested too deeply"),
}


@pytest.mark.parametrize("name", FORGED_XML)
def test_a_forged_openvino_file_is_refused_in_a_line(good_xml, tmp_path, name):
    change, said = FORGED_XML[name]
    file = forged.xml_with(good_xml, tmp_path / "m.xml", change)
    with pytest.raises(UserError, match=said) as caught:
        open_exported(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_cut_short_or_missing_are_refused(good_xml, tmp_path):
    file = forged.xml_with(good_xml, tmp_path / "m.xml", lambda text: text)
    weights = file.with_suffix(".bin")
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(UserError, match="altered after the export"):
        open_exported(file)
    file.write_bytes(file.read_bytes().rpartition(b"\n<!-- ")[0])  # without a checksum
    with pytest.raises(UserError, match="cannot be loaded"):
        open_exported(file)
    weights.unlink()
    with pytest.raises(UserError, match=r"m\.bin: cannot be read"):
        open_exported(file)
    os.mkfifo(weights)
    with pytest.raises(UserError, match="not a regular file"):
        open_exported(file)


@pytest.mark.parametrize(
    ("kind", "shape", "node"),
    [
        (TensorProto.FLOAT, None, helper.make_node("ReduceMean", ["b"], ["probability"], keepdims=0)),
        (TensorProto.INT64, None, helper.make_node("Shape", ["b"], ["probability"])),
        (TensorProto.STRING, None, helper.make_node("Cast", ["b"], ["probability"], to=TensorProto.STRING)),
    ],
    ids=["one number", "whole numbers", "text"],
)
def test_an_output_of_another_kind_never_becomes_a_mask(good, tmp_path, kind, shape, node):
    file = forged.forged(good, [*forged.brightness("b"), node], tmp_path / "m.onnx", kind, shape)
    code = (
        "import sys; from segstudy.cli.models import main; "
        f"main(['predict', {str(file)!r}, {str(tmp_path / 'a.png')!r}, '--out', {str(tmp_path / 'out')!r}])"
    )
    from PIL import Image

    Image.new("RGB", (40, 30), "black").save(tmp_path / "a.png")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode in (1, 2), done.stderr
    assert "unexpected" not in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("out/masks/*"))


# Once


@pytest.mark.slow
def test_a_file_is_tried_once_for_each_engine_and_again_when_it_differs(good, tmp_path, monkeypatch):
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "cache"))
    calls = []
    real = sandbox._try
    monkeypatch.setattr(sandbox, "_try", lambda *words: (calls.append(words[1]), real(*words)))
    file = shutil.copy(good, tmp_path / "m.onnx")
    for engine in ("onnxruntime", "onnxruntime", "openvino", "openvino"):
        open_exported(Path(file), engine)
    assert calls == ["onnxruntime", "openvino"]
    forged.forged(good, forged.brightness(), Path(file))
    open_exported(Path(file))
    assert len(calls) == 3
    (tmp_path / "cache" / "tried-models").rename(tmp_path / "gone")
    open_exported(Path(file))
    assert len(calls) == 4


def test_where_the_cache_cannot_be_written_a_file_is_tried_each_time(good, tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("no folder")
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "cache"))
    assert open_exported(good).package is not None


def test_a_trial_that_takes_too_long_or_dies_is_said(good, tmp_path, monkeypatch):
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path))
    monkeypatch.setattr(sandbox, "WALL_S", 0.01)
    with pytest.raises(UserError, match=r"not finished with one image after 0\.01 s"):
        open_exported(good)
    monkeypatch.setattr(sandbox, "WALL_S", 60)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(UserError, match="its trial ended with exit code 1"):
        open_exported(good)


def test_sizes_are_bounded(tmp_path):
    with (tmp_path / "m.onnx").open("wb") as stream:
        stream.truncate(2**41)
    with pytest.raises(UserError, match="larger than"):
        open_exported(tmp_path / "m.onnx")


def test_a_graph_is_read_as_its_own_library_reads_it(good, good_xml):
    import onnx

    model = onnx.load(good)
    found = read_graph(good, METADATA)
    assert found.kinds == {node.op_type for node in model.graph.node}
    assert found.num_nodes == len(model.graph.node)
    assert parse_package(found.text, good).card.format == 1
    assert not found.external
    from_xml = read_graph(good_xml, METADATA)
    assert parse_package(from_xml.text, good_xml).card == parse_package(found.text, good).card
    assert {"Convolution", "Const", "Result"} <= from_xml.kinds


def test_openvino_reads_an_onnx_file_with_its_metadata(good):
    assert open_exported(good, "openvino").package == open_exported(good).package
