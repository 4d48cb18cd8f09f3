"""Users' own code: what they name runs, with what lies beside it; what merely lies in a folder never does."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small import write_dataset

import segstudy
from segstudy.config.study import preset_study
from segstudy.core.registry import Extension, parse, resolve, source_hash
from segstudy.core.source_files import source_files
from segstudy.store.folder import StudyFolder
from segstudy.study.machine import Machine
from segstudy.study.plan import make_plan
from segstudy.training.executors import EXECUTORS
from segstudy.training.failures import REMEDIES, remedy

EXTENSION = Extension("architecture", object, lambda record: record, given=("width",))
NAMES = ("queue", "random", "torch", "numpy", "sitecustomize", "typing", "statistics", "segstudy_plugin")
CONSOLE = [str(Path(sys.executable).with_name("segstudy"))]
SMALL = "--epochs 1 --width 2 --image-size 32 --batch-size 4 --architecture unet --loss bce,dice --workers 2"


@pytest.fixture
def trapped(tmp_path):
    """A data set among whose files lie modules that write down that they ran."""
    folder = write_dataset(tmp_path / "data", n=12)
    for name in NAMES:
        (folder / f"{name}.py").write_text(
            f"import pathlib; pathlib.Path({str(tmp_path / 'ran')!r}).open('a').write({name + chr(10)!r})\n"
        )
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(CONSOLE, id="script"),
        pytest.param([sys.executable, "-m", "segstudy"], id="module"),
    ],
)
def test_no_code_that_lies_in_the_current_folder_runs(trapped, tmp_path, command):
    if not Path(command[0]).exists():
        pytest.skip("the command segstudy is not installed beside this Python")
    done = subprocess.run(
        [
            *command,
            "run",
            ".",
            "--out",
            str(tmp_path / "s"),
            "--executor",
            "processes",
            *SMALL.split(),
        ],
        cwd=trapped,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert len(StudyFolder(tmp_path / "s").finished()) == 2
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()


def test_every_python_that_is_started_is_told_to_keep_the_current_folder_out():
    for file in Path(segstudy.__file__).parent.rglob("*.py"):
        for line in file.read_text(encoding="utf-8").splitlines():
            if "[sys.executable" in line:
                assert '"-P"' in line, f"{file.name}: {line.strip()}"
            assert "get_context(" not in line, f"{file.name}: a spawned process looks into the current folder"


# What lies beside one's own file


@pytest.fixture
def network(tmp_path):
    def write(folder: str, answer: int, imports: str = "from layers import answer") -> Path:
        place = tmp_path / folder
        place.mkdir()
        (place / "my.py").write_text(f"{imports}\ndef Net(width=8):\n    return answer\n")
        (place / "layers.py").write_text(f"answer = {answer}\n")
        return place / "my.py"

    return write


def call(file):
    return resolve(f"{file}:Net", {}, EXTENSION)[1](8)


def test_a_network_may_import_what_lies_beside_its_file(network):
    assert call(network("a", 1)) == 1


def test_modules_of_one_name_in_two_folders_are_two(network):
    one, two = network("a", 1), network("b", 2)
    assert [call(one), call(two), call(one)] == [1, 2, 1]


def test_what_lies_beside_hides_nothing(network):
    file = network("a", 1, "import random, torch, json\nfrom layers import answer\nassert json.dumps")
    for name in ("random", "torch", "json"):
        (file.parent / f"{name}.py").write_text("raise RuntimeError('hidden')")
    assert call(file) == 1
    assert source_files(file) == [file, file.parent / "layers.py"]


def test_the_path_is_as_it_was_afterwards(network):
    before = list(sys.path)
    call(network("a", 1))
    with pytest.raises(segstudy.UserError):
        call(network("b", 1, "import layers, nowhere_to_be_found"))
    assert sys.path == before
    assert "layers" not in sys.modules


def test_the_hash_of_a_file_alone_is_that_of_its_content(network):
    """Keys of runs that exist stay valid."""
    file = network("a", 1, "answer = 3")
    assert source_hash(parse(f"{file}:Net")) == hashlib.sha256(file.read_bytes()).hexdigest()[:16]


@pytest.mark.parametrize(
    "imports", ["import layers", "from layers import answer", "import layers as l, os.path"]
)
def test_the_hash_sees_what_is_imported_from_beside(network, imports):
    file = network("a", 1, imports)
    before = source_hash(parse(f"{file}:Net"))
    (file.parent / "layers.py").write_text("answer = 2\n")
    assert source_hash(parse(f"{file}:Net")) != before


def test_the_hash_sees_what_that_imports_in_turn_and_packages(network):
    file = network("a", 1)
    (file.parent / "layers.py").write_text("from parts.deep import answer\nimport my\n")
    deep = file.parent / "parts" / "deep.py"
    deep.parent.mkdir()
    (deep.parent / "__init__.py").write_text("")
    deep.write_text("answer = 5\n")
    names = [str(source.relative_to(file.parent)) for source in source_files(file)]
    assert names == ["my.py", "layers.py", "parts/__init__.py", "parts/deep.py"]
    before = source_hash(parse(f"{file}:Net"))
    deep.write_text("answer = 6\n")
    assert source_hash(parse(f"{file}:Net")) != before


@pytest.mark.slow
def test_a_run_in_workers_finds_what_lies_beside(tmp_path):
    data = write_dataset(tmp_path / "data", n=12)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "weights.py").write_text("import segstudy.losses\nours = segstudy.losses.bce\n")
    (tmp_path / "own" / "my.py").write_text(
        "from weights import ours\ndef loss(x, y):\n    return ours(x, y)\n"
    )
    study = segstudy.run(
        data,
        out=tmp_path / "s",
        protocol="quick",
        architecture=["unet"],
        loss=[f"{tmp_path / 'own' / 'my.py'}:loss"],
        epochs=[1],
        width=[2],
        image_size=[32],
        executor="processes",
        workers=1,
        threads=1,
    )
    assert len(study.folder.finished()) == 1
    assert not study.folder.failed()


# A worker that died says why itself, if it can


@pytest.fixture
def run(tmp_path):
    study = preset_study("classic", "t", str(write_dataset(tmp_path / "set", n=12)))
    return make_plan(study, Machine("cpu", 1, 1, "serial")).runs[0]


def test_the_last_line_of_a_dead_worker_stands_before_the_guess(run):
    text = remedy("worker died", run, "Traceback\n  File\nImportError: no module of that name\n\n")
    assert text.startswith("its last line was: ImportError: no module of that name; ")
    assert text.index("ImportError") < text.index("memory")
    assert "memory" in remedy("worker died", run)
    assert remedy("crashed", run, "some line") == REMEDIES["crashed"]


def test_a_worker_that_cannot_even_start_says_so(tmp_path, monkeypatch):
    """PYTHONPATH is what its user sets, and stays."""
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "queue.py").write_text("raise RuntimeError('my own queue')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "bad"))
    assert "processes" in EXECUTORS
    study = segstudy.run(
        write_dataset(tmp_path / "data", n=12),
        out=tmp_path / "s",
        protocol="quick",
        architecture=["unet"],
        loss=["bce"],
        epochs=[1],
        width=[2],
        image_size=[32],
        executor="processes",
        workers=1,
    )
    (failure,) = study.folder.failed().values()
    assert failure.reason == "worker died"
    assert "exit code 1" in failure.detail
    assert failure.remedy.startswith("its last line was: RuntimeError: my own queue; ")
