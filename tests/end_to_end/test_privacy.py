"""segstudy sends nothing anywhere, and writes nothing but what a command is for and its cache."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import TESTS
from small import write_dataset

import segstudy

WATCHER = TESTS / "watcher"
TINY = "--architecture unet --image-size 32 --width 2 --epochs 1"
COMMANDS = (
    "synth made -n 4",
    "check discs",
    f"run discs {TINY} --loss bce,dice,focal --seeds 2 --out study --executor processes --yes",
    "table study --format csv",
    "verify study",
    "evaluate study made",
    "score discs discs/masks --study study --name mine",
    "card study",
    "predict study discs --out by-openvino --overlay",
    "export study --to onnx --out model.onnx",
    "export study --to onnx --int8 --out small.onnx",
    "export study --to openvino --out model.xml",
    "predict model.onnx discs/images --out by-onnx",
    "predict model.xml discs/images --out by-xml",
    "predict model.onnx discs/images --out by-both --engine openvino",
)
PYTHON = (
    "import segstudy; segstudy.status('study'); segstudy.report('study'); segstudy.init('synthetic'); "
    "segstudy.compare('study', 'unet-bce-b8', 'unet-dice-b8'); "
    "segstudy.Predictor('study', engine='torch')('discs/images/disc00.png')",
    "from segstudy.core.libraries import onnxruntime, openvino\n"
    "openvino().Core(); onnxruntime().SessionOptions()",
)


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> Path:
    """The folder in which these commands ran, one after the other, with an empty home."""
    folder = tmp_path_factory.mktemp("watched")
    write_dataset(folder / "discs", n=16)
    for name in ("home", "scratch"):
        (folder / name).mkdir()
    clean = {n: v for n, v in os.environ.items() if n != "CI" and not n.startswith(("XDG_", "MPL"))}
    environment = clean | {
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "scratch"),
        "SEGSTUDY_CACHE": str(folder / "cache"),
        "PYTHONPATH": str(WATCHER),
        "PYTHONDONTWRITEBYTECODE": "1",
        "WATCHER_NOTES": str(folder / "notes"),
        "OMP_NUM_THREADS": "1",
    }
    calls = [[sys.executable, "-m", "segstudy", *words.split()] for words in COMMANDS]
    calls += [[sys.executable, "-c", code] for code in PYTHON]
    for number, call in enumerate(calls):
        trace = [
            "strace",
            "-f",
            "--seccomp-bpf",
            "-qq",
            "-o",
            str(folder / f"trace{number}"),
            "-e",
            "trace=network,openat",
        ]
        command = [*trace, *call] if shutil.which("strace") else call
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (call, done.stdout[-1000:], done.stderr[-1000:])
    return folder


def test_the_watcher_sees_what_it_is_to_see(tmp_path):
    code = "import socket; s = socket.socket(); s.settimeout(1); s.connect_ex(('127.0.0.1', 9))"
    environment = {**os.environ, "PYTHONPATH": str(WATCHER), "WATCHER_NOTES": str(tmp_path / "notes")}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert "127.0.0.1" in (tmp_path / "notes").read_text()


@pytest.mark.slow
def test_no_command_asks_for_an_address_or_calls_one(watched):
    assert not (watched / "notes").exists(), (watched / "notes").read_text()


@pytest.mark.slow
def test_no_command_leaves_anything_in_the_home_or_among_temporary_files(watched):
    assert not [*(watched / "home").iterdir()]
    # PyTorch makes an empty folder when parts of it are imported.
    left = [path for path in (watched / "scratch").rglob("*") if not path.name.startswith("torchinductor_")]
    assert not left


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("strace"), reason="no strace: native code is not watched here")
def test_native_code_opens_no_connection_and_no_file_elsewhere(watched):
    calls = [
        line for file in watched.glob("trace*") for line in file.read_text(errors="replace").splitlines()
    ]
    assert len(calls) > 1000
    assert not [call for call in calls if re.search(r"AF_INET|AF_NETLINK|sin_addr", call)]
    written = {
        found[1]
        for call in calls
        if "O_WRONLY" in call or "O_RDWR" in call or "O_CREAT" in call
        if "= -1" not in call and (found := re.search(r'"(/[^"]*)"', call))
    }
    inside = (str(watched), "/dev/null", "/dev/tty", "/dev/shm/", "/proc/self/")
    assert written
    assert not [path for path in written if not path.startswith(inside)]


def test_only_one_module_imports_what_would_send_or_write():
    root = Path(segstudy.__file__).parent
    named = ("openvino", "onnxruntime", "openvino_telemetry", "nncf")
    found = set()
    for file in root.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            found |= {(file.name, name) for name in names if name.split(".")[0] in named}
    elsewhere = {each for each in found if each[0] != "libraries.py"}
    # Parts of a package that `libraries` has imported just before.
    assert elsewhere == {
        ("onnx.py", "onnxruntime.quantization"),
        ("onnx.py", "onnxruntime.quantization.shape_inference"),
    }


def test_telemetry_that_somebody_imported_before_stays_theirs():
    pytest.importorskip("openvino_telemetry")
    code = (
        "import openvino_telemetry as theirs; from segstudy.core.libraries import openvino; openvino(); "
        "import openvino_telemetry as still; assert theirs is still; "
        "import openvino.tools.ovc.telemetry_utils as u; assert u.tm.__name__.endswith('telemetry_stub')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
