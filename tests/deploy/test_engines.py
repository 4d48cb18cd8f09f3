"""The tables of engines and of export formats: what their records say is what is done."""

from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name

import pytest

from segstudy.core.errors import UserError
from segstudy.deploy.engines import ENGINES, SUFFIXES, exported
from segstudy.deploy.engines.exported import open_untried
from segstudy.deploy.export import FORMATS


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
