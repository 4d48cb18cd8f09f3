"""The recipes of CONTRIBUTING.md, each carried out in a copy of the tree; prints what they touch.

    python tests/recipes.py

For each of the eight: the files are written, the line is added to the table, the line to the docs. Then one
small study in the copy uses them all, and what shows them is looked at.
"""

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from small import write_dataset

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("src", "docs", "tests", "README.md", "pyproject.toml")
SEGSTUDY = "src/segstudy"

NETWORK = '''"""Two convolutions: the smallest network that can learn something."""

from torch import Tensor, nn


class PlainNet(nn.Module):
    """A 3 x 3 convolution with batch norm and ReLU, and an output layer.

    Args:
        width: channels between them.
    """

    def __init__(self, width: int):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images))
        return logits
'''
LOSS = '''

def squared(logits: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of the probabilities, the Brier score, per image and then averaged."""
    return ((logits.float().sigmoid() - target.float()) ** 2).flatten(1).mean(1).mean()
'''
METRIC = '''

def mcc(c: Confusion) -> float:
    """Matthews correlation coefficient; 1 where both masks are empty or both are full."""
    spread = ((c.tp + c.fp) * (c.tp + c.fn) * (c.tn + c.fp) * (c.tn + c.fn)) ** 0.5
    return (c.tp * c.tn - c.fp * c.fn) / spread if spread else _ratio(0, 0, c)
'''
READER = '''"""Images and masks in one folder, the masks with the ending ``_truth``."""

from pathlib import Path

from segstudy.data.datasets.pairing import image_files
from segstudy.data.samples import Dataset, Sample

DESCRIPTION = "one folder with NAME.png and NAME_truth.png"


def detect(root: Path) -> bool:
    """Whether images and files with the ending ``_truth`` lie together."""
    return any(file.stem.endswith("_truth") for file in image_files(root))


def read(root: Path) -> Dataset:
    """Pair each image with its mask."""
    names = [file.stem for file in image_files(root) if not file.stem.endswith("_truth")]
    samples = [Sample(name, root / f"{name}.png", root / f"{name}_truth.png", group=name) for name in names]
    return Dataset(root.name, "with_truths", root, tuple(samples))
'''
EXECUTOR = '''"""The last run first, one by one in this process."""

from collections.abc import Iterator, Sequence

from segstudy.training.executors.base import Watch, listener_of
from segstudy.training.job import Job, Outcome
from segstudy.training.worker import execute


def backwards(jobs: Sequence[Job], _workers: int, watch: Watch) -> Iterator[Outcome]:
    """The last run first, one by one in this process."""
    for job in reversed(jobs):
        if watch.stop.is_set():
            return
        watch.begin(job)
        yield execute(job, listener_of(job, watch))
'''
TRACKER = '''"""Progress as lines of JSON in the study's folder."""

import json
from pathlib import Path

from segstudy.study.trackers.base import StudyStart
from segstudy.training.job import Job, Outcome


class Lines:
    """Appends a line to ``progress.jsonl`` for each event."""

    def __init__(self) -> None:
        self._file = Path()

    def study_begins(self, start: StudyStart) -> None:
        self._file = start.folder / "progress.jsonl"
        self._write(event="study begins", study=start.overview.name, num_runs=len(start.runs))

    def run_begins(self, job: Job) -> None:
        self._write(event="run begins", run=job.name)

    def run_progresses(self, job: Job, row: dict[str, float]) -> None:
        self._write(event="epoch", run=job.name, validation_iou=row["validation_iou"])

    def run_notes(self, job: Job, text: str) -> None:
        self._write(event="note", run=job.name, text=text)

    def run_ends(self, job: Job, outcome: Outcome) -> None:
        self._write(event="run ends", run=job.name, status=outcome.status)

    def study_ends(self) -> None:
        self._write(event="study ends")

    def _write(self, **event: object) -> None:
        with self._file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(event) + "\\n")
'''
SECTION = '''"""The configurations that took longest to train."""

from typing import Any

from segstudy.reporting.sections.base import ReportData


def values(report: ReportData) -> dict[str, Any] | None:
    """What ``slowest.html.j2`` reads."""
    timed = [row for row in report.trained if row["seconds"] is not None]
    return {"rows": sorted(timed, key=lambda row: -row["seconds"])[:3]} if timed else None
'''
TEMPLATE = """{# rows: of the leaderboard, the slowest first #}
<ol>
{% for row in rows %}
<li>{{ row.configuration }}: {{ "%.0f" | format(row.seconds) }} s</li>
{% endfor %}
</ol>
"""
FORMAT = '''"""The format ``described``: an ONNX file with what it is in words beside it."""

from pathlib import Path

from segstudy.core.atomic_files import write_text
from segstudy.deploy.export.onnx import write_onnx
from segstudy.store.card import Package


def write_described(model: bytes, package: Package, file: Path) -> None:
    """Write an ONNX model, and the text of its card as ``.txt``."""
    write_text(file.with_suffix(".txt"), package.text)
    write_onnx(model, package, file)
'''

# Uses all of it; arguments: a folder of images, a folder for the study.
STUDY = """
import sys
import segstudy
folder, out = sys.argv[1:]
segstudy.run(folder, out=out, protocol="quick", architecture=["unet", "plain_net"], loss="squared",
             executor="backwards", tracker=["lines"], batch_size=4, seeds=1, image_size=32, width=2, epochs=2,
             fields={"record_test": False})
segstudy.export(out, "described", out=out + "/exports/best.onnx")
segstudy.predict(out + "/exports/best.onnx", folder, out + "-masks")
"""


@dataclass(frozen=True)
class Record:
    """A line of a table.

    Attributes:
        module: the table's, below src/segstudy.
        table: its name.
        text: of the record.
        imports: the line that imports what the record names, if it names something.
    """

    module: str
    table: str
    text: str
    imports: str = ""


@dataclass(frozen=True)
class Recipe:
    """One of the eight: what is written, and what is added to what is there.

    Attributes:
        name: the kind of thing that is added.
        record: its line in the table.
        files: new ones.
        appended: what is added at the end of a file, or above the table that it holds.
        doc: the page, the heading that its table stands under, and the line of the table.
    """

    name: str
    record: Record
    doc: tuple[str, str, str]
    files: Mapping[str, str] = field(default_factory=dict)
    appended: Mapping[str, str] = field(default_factory=dict)


CHOICES = "docs/choices.md"
RECIPES = (
    Recipe(
        "architecture",
        Record(
            "models/__init__.py",
            "MODELS",
            '"plain_net": Model(PlainNet, title="plain network"),',
            "from segstudy.models.plain_net import PlainNet",
        ),
        ("README.md", "| `dilated_unet` |", "| `plain_net` | two convolutions |"),
        files={f"{SEGSTUDY}/models/plain_net.py": NETWORK},
    ),
    Recipe(
        "loss",
        Record(
            "losses/__init__.py",
            "LOSSES",
            '"squared": Loss(squared, "distribution", title="squared error"),',
            "from segstudy.losses.distribution import squared",
        ),
        ("README.md", "| `combo` |", "| `squared` | distribution: mean squared error of the probabilities |"),
        appended={f"{SEGSTUDY}/losses/distribution.py": LOSS},
    ),
    Recipe(
        "metric",
        Record(
            "metrics/__init__.py",
            "METRICS",
            '"mcc": Metric(function=overlap.mcc, title="MCC", short="MCC", group=OVERLAP, lowest=-1.0),',
        ),
        ("docs/data.md", "| `brier` |", "| `mcc` | network, native | higher | Matthews correlation |"),
        appended={f"{SEGSTUDY}/metrics/overlap.py": METRIC},
    ),
    Recipe(
        "reader",
        Record(
            "data/datasets/__init__.py",
            "READERS",
            'Reader("with_truths", with_truths.detect, with_truths.read, with_truths.DESCRIPTION),',
            "from segstudy.data.datasets import with_truths",
        ),
        (CHOICES, "## Readers", "| `with_truths` | one folder with NAME.png and NAME_truth.png |"),
        files={f"{SEGSTUDY}/data/datasets/with_truths.py": READER},
    ),
    Recipe(
        "executor",
        Record(
            "training/executors/__init__.py",
            "EXECUTORS",
            'Executor("backwards", "the last run first", '
            '"segstudy.training.executors.backwards:backwards", is_parallel=False),',
        ),
        (CHOICES, "## Executors", "| `backwards` | the last run first |"),
        files={f"{SEGSTUDY}/training/executors/backwards.py": EXECUTOR},
    ),
    Recipe(
        "tracker",
        Record(
            "study/trackers/__init__.py",
            "TRACKERS",
            'Tracker("lines", "lines of JSON", "segstudy.study.trackers.lines:Lines"),',
        ),
        (CHOICES, "## Trackers", "| `lines` | lines of JSON |"),
        files={f"{SEGSTUDY}/study/trackers/lines.py": TRACKER},
    ),
    Recipe(
        "report section",
        Record(
            "reporting/sections/__init__.py",
            "SECTIONS",
            'Section("slowest", "slowest", "Slowest to train", "what took longest", slowest.values),',
            "from segstudy.reporting.sections import slowest",
        ),
        (CHOICES, "## Sections of the report", "| `slowest` | what took longest |"),
        files={
            f"{SEGSTUDY}/reporting/sections/slowest.py": SECTION,
            f"{SEGSTUDY}/reporting/sections/slowest.html.j2": TEMPLATE,
        },
    ),
    Recipe(
        "export format",
        Record(
            "deploy/export/__init__.py",
            "FORMATS",
            'Format("described", "an .onnx file and its card, .txt", ".onnx", '
            '"segstudy.deploy.export.described:write_described", (".txt",)),',
        ),
        (CHOICES, "## Export formats", "| `described` | an .onnx file and its card, .txt |"),
        files={f"{SEGSTUDY}/deploy/export/described.py": FORMAT},
    ),
)


def copy_tree(folder: Path) -> Path:
    """What the recipes change and need, in a folder of its own."""
    folder.mkdir(parents=True)
    for name in COPIED:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(
                source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "results")
            )
        else:
            shutil.copy(source, target)
    return folder


def carry_out(recipe: Recipe, tree: Path) -> list[str]:
    """Do what the recipe says; gives the files that were written or changed, as they are found afterwards."""
    before = _hashes(tree)
    for name, text in recipe.files.items():
        (tree / name).write_text(text, encoding="utf-8")
    for name, text in recipe.appended.items():
        _append(tree / name, text, recipe.record.table)
    _add_record(tree / SEGSTUDY / recipe.record.module, recipe.record)
    _add_to_docs(tree, *recipe.doc)
    after = _hashes(tree)
    return sorted(name for name in after if after[name] != before.get(name))


def _hashes(tree: Path) -> dict[str, str]:
    return {
        path.relative_to(tree).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in tree.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def _append(file: Path, text: str, table: str) -> None:
    above, found, below = file.read_text(encoding="utf-8").partition(f"\n\n{table}: ")
    file.write_text(above.rstrip() + "\n" + text + found + below, encoding="utf-8")


def _add_record(file: Path, record: Record) -> None:
    """A line after the table's last record, and the import below the others."""
    lines = file.read_text(encoding="utf-8").splitlines()
    tree = ast.parse("\n".join(lines))
    (value,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == record.table and node.value
    )
    entries = value.generators[0].iter if isinstance(value, ast.DictComp) else value
    first, last = (
        (entries.keys[-1], entries.values[-1])
        if isinstance(entries, ast.Dict)
        else (entries.elts[-1], entries.elts[-1])  # type: ignore[attr-defined]
    )
    lines.insert(last.end_lineno or 0, " " * first.col_offset + record.text)  # type: ignore[union-attr]
    if record.imports:
        imported = max(node.end_lineno or 0 for node in tree.body if isinstance(node, ast.ImportFrom))
        lines.insert(imported, record.imports)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _add_to_docs(tree: Path, page: str, place: str, line: str) -> None:
    """A row after the one that begins so, or at the end of the table under a heading."""
    lines = (tree / page).read_text(encoding="utf-8").splitlines()
    if place.startswith("## "):
        start = lines.index(place)
        end = next((i for i in range(start + 1, len(lines)) if lines[i].startswith("## ")), len(lines))
        above = max(i for i in range(start, end) if lines[i].startswith("| `"))
    else:
        above = next(i for i, each in enumerate(lines) if each.startswith(place))
    lines.insert(above + 1, line)
    (tree / page).write_text("\n".join(lines) + "\n", encoding="utf-8")


def call(tree: Path, *words: str, cwd: Path) -> str:
    """What Python prints, with segstudy from the copy."""
    environment = os.environ | {
        "PYTHONPATH": str(tree / "src"),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
        "SEGSTUDY_CACHE": str(tree / "cache"),
    }
    done = subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def use(tree: Path, place: Path) -> Path:
    """A small study in the copy that uses all that was added; gives its folder."""
    discs = write_dataset(place / "discs", 24)
    for mask in (discs / "masks").iterdir():
        mask.rename(discs / "images" / f"{mask.stem}_truth{mask.suffix}")
    call(tree, "-c", STUDY, str(discs / "images"), str(place / "study"), cwd=place)
    return place / "study"


def _events(study: Path) -> list[tuple[str, str]]:
    lines = (study / "progress.jsonl").read_text(encoding="utf-8").splitlines()
    return [(event["event"], event.get("run", "")) for event in map(json.loads, lines)]


def _help(tree: Path, command: str, cwd: Path) -> str:
    """The help of a command, in one line."""
    text = call(tree, "-m", "segstudy", command, "--help", cwd=cwd)
    return " ".join(text.replace("│", " ").split())


def check_architecture(tree: Path, study: Path) -> None:
    assert "plain_net, file.py:Name" in _help(tree, "run", study)
    assert "plain_net-squared-b4" in (study / "leaderboard.csv").read_text(encoding="utf-8")


def check_loss(tree: Path, study: Path) -> None:
    assert "squared, file.py:Name" in _help(tree, "run", study)
    report = (study / "report.html").read_text(encoding="utf-8")
    assert re.search(r"<th scope=.col.>squared</th>", report)


def check_metric(tree: Path, study: Path) -> None:
    assert ",test_mcc," in (study / "leaderboard.csv").read_text(encoding="utf-8").splitlines()[0]
    assert ">MCC</button>" in (study / "report.html").read_text(encoding="utf-8")
    assert "MCC" in call(tree, "-m", "segstudy", "card", str(study), cwd=study)
    assert "MCC" in call(tree, "-m", "segstudy", "table", str(study), "--format", "latex", cwd=study)


def check_reader(_tree: Path, study: Path) -> None:
    data = json.loads((study / "data.json").read_text(encoding="utf-8"))
    assert data["reader"] == "with_truths"
    assert len(data["samples"]) == 24


def check_executor(tree: Path, study: Path) -> None:
    assert "backwards: the last run first" in _help(tree, "run", study)
    begun = [run for event, run in _events(study) if event == "run begins"]
    assert begun == ["plain_net-squared-b4", "unet-squared-b4"]  # as planned, the other way round


def check_tracker(tree: Path, study: Path) -> None:
    assert "lines: lines of JSON" in _help(tree, "run", study)
    events = [event for event, _ in _events(study)]
    run = ["run begins", "epoch", "epoch", "run ends"]
    assert events == ["study begins", *run, *run, "study ends"]


def check_section(_tree: Path, study: Path) -> None:
    report = (study / "report.html").read_text(encoding="utf-8")
    found = re.search(
        r'<section id="slowest">\s*<h2>Slowest to train</h2>\s*<ol>(.*?)</ol>', report, re.DOTALL
    )
    assert found
    assert found[1].count("<li>") == 2


def check_format(tree: Path, study: Path) -> None:
    assert "described: an .onnx file and its card" in call(
        tree, "-m", "segstudy", "export", "--help", cwd=study
    )
    assert (study / "exports" / "best.txt").read_text(encoding="utf-8").startswith("# ")
    parity = json.loads((study / "exports" / "best.onnx.parity.json").read_text(encoding="utf-8"))
    assert all(each["passed"] for each in parity)
    assert len(list((study.parent / "study-masks" / "masks").iterdir())) == 24


CHECKS: dict[str, Callable[[Path, Path], None]] = {
    "architecture": check_architecture,
    "loss": check_loss,
    "metric": check_metric,
    "reader": check_reader,
    "executor": check_executor,
    "tracker": check_tracker,
    "report section": check_section,
    "export format": check_format,
}


# Those tests of the tree that run over the tables: they have to pass in the copy without a change.
CONTRACTS = (
    "tests/end_to_end/test_docs_choices.py",
    "tests/reporting/test_sections.py",
    "tests/deploy/test_engines.py",
    "tests/metrics/test_metrics.py",
    "tests/losses/test_losses.py",
    "tests/models/test_models.py",
    "tests/study/test_trackers.py",
)


def run_contracts(tree: Path) -> str:
    """The last line of what the contracts of the tables say in the copy."""
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow and not very_slow")
    return call(tree, *words, *CONTRACTS, cwd=tree).splitlines()[-1]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        tree = copy_tree(Path(folder) / "tree")
        for recipe in RECIPES:
            print(f"{recipe.name}: {', '.join(carry_out(recipe, tree))}")
        study = use(tree, Path(folder))
        for recipe in RECIPES:
            CHECKS[recipe.name](tree, study)
            print(f"{recipe.name}: used by a study, and shown")
        print(f"tests of the tables in the copy: {run_contracts(tree)}")


if __name__ == "__main__":
    main()
