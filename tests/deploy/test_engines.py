"""The tables of engines, kinds of files and export formats: what their records say is what is done."""

from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pytest

from segstudy.core import libraries
from segstudy.core.errors import UserError
from segstudy.deploy.engines import ENGINES, SUFFIXES, exported, sandbox
from segstudy.deploy.engines.exported import open_untried
from segstudy.deploy.export import FORMATS
from segstudy.deploy.file_kinds import FILE_KINDS, FileKind, read_graph
from segstudy.deploy.file_kinds.checksums import has_right_checksum, with_checksum
from segstudy.deploy.file_kinds.graph import Graph, MalformedError
from segstudy.deploy.predict import trained


@pytest.mark.parametrize("engine", ENGINES.values(), ids=lambda engine: engine.name)
def test_each_engine_names_a_function_and_a_format_that_are_there(engine):
    assert callable(resolve_name(engine.function))
    if engine.converted_to:
        assert FORMATS[engine.converted_to].suffix in engine.suffixes


@pytest.mark.parametrize("format_", FORMATS.values(), ids=lambda format_: format_.name)
def test_each_format_names_a_function_and_is_run_by_an_engine(format_):
    assert callable(resolve_name(format_.function))
    assert format_.suffix in SUFFIXES
    assert format_.suffixes[-1] == format_.suffix


@pytest.mark.parametrize(("file", "engine"), [("a.onnx", "onnxruntime"), ("a.XML", "openvino")])
def test_the_first_engine_of_the_table_that_runs_such_files_is_taken(tmp_path, file, engine):
    (tmp_path / file).touch()
    assert exported._engine_for(tmp_path / file, "auto") == engine


@pytest.mark.parametrize("engine", ["torch", "onnxruntime"])
def test_an_engine_that_does_not_run_such_files_is_refused(tmp_path, engine):
    (tmp_path / "a.xml").touch()
    with pytest.raises(UserError, match=f"cannot be run by {engine}; omit --engine"):
        open_untried(tmp_path / "a.xml", engine)


def test_a_record_alone_decides_which_engine_opens_a_file(tmp_path, monkeypatch):
    opened: list[Path] = []
    monkeypatch.setattr(exported, "opens", lambda file, *_: opened.append(file), raising=False)
    ours = replace(ENGINES["onnxruntime"], name="ours", function=f"{exported.__name__}:opens")
    monkeypatch.setitem(ENGINES, "ours", ours)
    (tmp_path / "a.onnx").touch()
    open_untried(tmp_path / "a.onnx", "ours")
    assert opened == [tmp_path / "a.onnx"]


# Kinds of exported files


@pytest.mark.parametrize("kind", FILE_KINDS.values(), ids=lambda kind: kind.suffix)
def test_each_kind_of_file_names_a_reader_of_graphs_and_is_run_by_an_engine(kind):
    assert callable(resolve_name(kind.graph))
    assert kind.suffix in SUFFIXES


def test_every_file_that_an_engine_runs_has_a_kind():
    assert set(SUFFIXES) == set(FILE_KINDS)


def test_a_record_alone_makes_a_new_kind_of_file_one_that_is_looked_at(tmp_path, monkeypatch):
    kind = FileKind(
        suffix=".net",
        graph=f"{__name__}:graph_of_net",
        checksum=(b"<", b">"),
        max_bytes=1000,
        beside={".values": 10},
    )
    monkeypatch.setitem(FILE_KINDS, ".net", kind)
    file, values = tmp_path / "a.NET", tmp_path / "a.values"
    values.write_bytes(b"12345")
    file.write_bytes(with_checksum(kind, b"graph", b"12345"))
    assert has_right_checksum(file)
    sandbox.refuse_too_large(file)
    assert read_graph(file, "segstudy").text == "segstudy of graph"
    values.write_bytes(b"12346")
    with pytest.raises(UserError, match=r"it or its \.values was altered"):
        has_right_checksum(file)
    values.write_bytes(bytes(11))
    with pytest.raises(UserError, match=r"a\.values: larger than"):
        sandbox.refuse_too_large(file)
    file.write_bytes(b"nonsense")
    assert not has_right_checksum(file)
    with pytest.raises(UserError, match=r"a\.NET: cannot be loaded \(no graph\)"):
        read_graph(file, "segstudy")


def graph_of_net(content: bytes, metadata: str) -> Graph:
    if not content.startswith(b"graph"):
        raise MalformedError("no graph")
    return Graph(text=f"{metadata} of graph")


# OpenVINO


def test_fixed_sizes_give_the_bits_of_free_ones_in_float32(exported_openvino):
    openvino = pytest.importorskip("openvino")
    core, one_thread = openvino.Core(), {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1}
    free = core.compile_model(
        core.read_model(exported_openvino), "CPU", {**one_thread, "INFERENCE_PRECISION_HINT": "f32"}
    )
    network = open_untried(exported_openvino, "openvino", 1, "float32")
    for shape in ((3, 32, 32, 3), (1, 32, 48, 3)):
        images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        expected = [free.create_infer_request().infer([image[None]])[0][0].copy() for image in images]
        np.testing.assert_array_equal(network.forward(images), expected)
        np.testing.assert_array_equal(network.forward(images), expected)  # with a request used before


# The engine of a run's folder


@pytest.mark.parametrize(
    ("installed", "converting", "expected"),
    [
        (("openvino", "onnx", "onnxscript"), True, ["openvino", "torch"]),
        (("openvino", "onnx", "onnxscript"), False, ["torch"]),
        (("openvino", "onnx"), True, ["torch"]),
        (("onnxruntime", "onnx", "onnxscript"), True, ["torch"]),
    ],
)
def test_runs_are_opened_by_the_preferred_engine_whose_packages_are_installed(
    monkeypatch, installed, converting, expected
):
    monkeypatch.setattr(libraries, "find_spec", lambda name: name if name in installed else None)
    assert [engine.name for engine in trained.engines_for_runs(converting)] == expected


def test_the_records_alone_decide_which_engine_is_preferred(monkeypatch):
    monkeypatch.setattr(libraries, "find_spec", lambda name: name)
    monkeypatch.setitem(ENGINES, "onnxruntime", replace(ENGINES["onnxruntime"], preference=3))
    assert [engine.name for engine in trained.engines_for_runs()] == ["onnxruntime", "openvino", "torch"]
    assert [engine.name for engine in trained.engines_for_runs(converting=False)] == ["torch"]
