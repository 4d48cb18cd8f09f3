"""Whatever lies there is read or refused in a line: names to pair, model cards, run folders, saved states."""

import json
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from empty_reports import empty_reports
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from small import TINY, write_dataset

import segstudy
from segstudy.core.errors import UserError
from segstudy.data.datasets.pairing import pair
from segstudy.store.checkpoints import Checkpoints
from segstudy.store.folder import StudyFolder
from segstudy.store.records import CARD
from segstudy.store.weights import load_model, read_state, state_bytes

ROOT = Path("root")
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
REPEATED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


# Pairing

STEMS = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=6)
NAMES = st.tuples(
    STEMS | st.sampled_from(["a", "A", "a_mask", "a_segmentation", "a_mask_mask", "_mask", "é", "e\u0301"]),
    st.sampled_from([".png", ".PNG", ".jpg", ".tiff"]),
).map("".join)


@given(st.sets(NAMES, max_size=8), st.sets(NAMES, max_size=8))
def test_every_file_is_in_a_sample_or_in_a_problem_and_never_twice(images, masks):
    files = [[ROOT / kind / name for name in sorted(names)] for kind, names in (("i", images), ("m", masks))]
    samples, problems = pair(ROOT, *files)
    used = [path for sample in samples for path in (sample.image, sample.mask)]
    assert len(set(used)) == len(used)
    assert {sample.image.parent.name for sample in samples} <= {"i"}
    assert {sample.mask.parent.name for sample in samples} <= {"m"}
    assert len({sample.id for sample in samples}) == len(samples)
    told = "\n".join(problem.where for problem in problems)
    for path in {path for each in files for path in each} - set(used):
        assert path.relative_to(ROOT).as_posix() in told
    for path in used:
        assert path.relative_to(ROOT).as_posix() not in {problem.where for problem in problems}


@given(st.sets(NAMES, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_files_decides_nothing(names, random):
    files = [[ROOT / kind / name for name in sorted(names)] for kind in "im"]
    before = pair(ROOT, *files)
    for each in files:
        random.shuffle(each)
    after = pair(ROOT, *files)
    assert before[0] == after[0]
    assert {(p.severity, p.kind) for p in before[1]} == {(p.severity, p.kind) for p in after[1]}


# Model cards


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished study of two runs."""
    dataset = write_dataset(tmp_path_factory.mktemp("discs") / "set", n=12)
    options = {**TINY, "architecture": "unet", "loss": ["bce", "dice"], "batch_size": 4}
    out = tmp_path_factory.mktemp("whole") / "study"
    with empty_reports():
        return segstudy.run(dataset, out=out, executor="serial", threads=1, images=False, **options).path


@pytest.fixture(scope="module")
def model(whole, tmp_path_factory):
    run = whole / "runs" / min(StudyFolder(whole).finished())
    return Path(shutil.copytree(run, tmp_path_factory.mktemp("models") / "model"))


@pytest.fixture(scope="module")
def card(model):
    return json.loads((model / CARD).read_text())


FIELDS = ["format", "key", "architecture", "width", "image_size", "resize", "threshold", "training"]
FIELDS += ["selected_epoch", "tuned_threshold", "scores", "one more"]
TEMPTING = st.sampled_from(
    [
        "unet:skips=false",
        "segnet",
        "../evil.py:Net",
        "evil.py:Net",
        "unet:depth=10000000",
        "unet:",
        "",
        10**30,
    ]
)


def assert_a_line(error, said):
    assert said in str(error)
    assert len(str(error).splitlines()) == 1


@REPEATED
@example({"architecture": "unet:"})
@given(st.dictionaries(st.sampled_from(FIELDS), ANY_JSON | TEMPTING, min_size=1, max_size=2))
def test_any_card_is_a_model_or_a_line(model, card, fields):
    (model / CARD).write_text(json.dumps({**card, **fields}), encoding="utf-8")
    try:
        network, loaded = load_model(model)
    except UserError as error:
        assert_a_line(error, str(model))
    else:
        assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 1, 32, 32)
        assert loaded["architecture"] == "unet"


@REPEATED
@given(ANY_JSON.map(json.dumps) | st.text())
def test_a_card_of_anything_is_a_line(model, text):
    (model / CARD).write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(UserError):
        load_model(model)


# Run folders


@st.composite
def damages(draw):
    """What happens to a file, by its number among all of a study's."""
    what = draw(
        st.sampled_from(["flip", "cut", "delete", "replace", "rename", "append", "other json", "field"])
    )
    return draw(st.integers(0, 99)), what, draw(st.integers(0, 10**6)), draw(ANY_JSON)


def do_damage(file, what, number, content):
    """Damage one file; False when there is nothing of that sort to do."""
    data = file.read_bytes()
    match what:
        case "flip" if data:
            file.write_bytes(
                data[: number % len(data)]
                + bytes([data[number % len(data)] ^ 1])
                + data[number % len(data) + 1 :]
            )
        case "cut" if data:
            file.write_bytes(data[: number % len(data)])
        case "delete":
            file.unlink()
        case "replace":
            file.write_bytes(str(number).encode())
        case "rename":
            file.rename(file.with_name(f"{number}{file.name}"))
        case "append":
            file.write_bytes(data + b"x")
        case "other json" if file.suffix == ".json":
            file.write_text(json.dumps(content))
        case "field" if file.suffix == ".json" and isinstance(record := json.loads(data), dict):
            name = sorted(record)[number % len(record)]
            if json.dumps(record[name], sort_keys=True) == json.dumps(content, sort_keys=True):
                return False
            file.write_text(json.dumps({**record, name: content}))
        case _:
            return False
    return True


@pytest.mark.slow
@settings(REPEATED, max_examples=40)
@given(damages())
def test_any_damage_to_a_run_is_found_and_readers_say_a_line_at_most(whole, tmp_path, damage):
    damaged_study_is_noticed(whole, tmp_path, damage)


@pytest.mark.slow
@settings(REPEATED, max_examples=300)
@given(damages())
def test_much_damage_is_found(whole, tmp_path, damage):
    damaged_study_is_noticed(whole, tmp_path, damage)


def damaged_study_is_noticed(whole, tmp_path, damage):
    number, what, place, content = damage
    study = tmp_path / "study"
    shutil.rmtree(study, ignore_errors=True)
    shutil.copytree(whole, study)
    files = sorted(path for path in study.rglob("*") if path.is_file() and "figures" not in path.parts)
    files = [path for path in files if path.name not in ("report.html", "leaderboard.csv")]
    file = files[number % len(files)]
    if not do_damage(file, what, place, content):
        return
    for read in (
        segstudy.table,
        segstudy.status,
        lambda path: StudyFolder(path).epochs(sorted(StudyFolder(path).finished())),
    ):
        with suppress(UserError):
            read(study)
    try:
        found = segstudy.verify(study)
    except UserError as error:  # no study left, or a run of a newer version
        assert_a_line(error, "is not a study" if file.name == "study.toml" else "newer version")
        return
    if file.parent.parent.name == "runs":
        assert file.parent.name in {fault.path.name for fault in found.faults}
    segstudy.verify(study, repair=True)
    assert {fault.path.name for fault in segstudy.verify(study).faults} <= {
        "study.toml",
        "data.json",
        "preregistration.json",  # never replaced
        "split.json",
    }


# Saved states


@given(st.binary(max_size=200))
def test_a_state_of_anything_is_no_state(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "states"
    folder.mkdir(exist_ok=True)
    (folder / "000001.state").write_bytes(data)
    assert [content for _, content in Checkpoints(folder).contents()] == [None]
    assert read_state(data) is None


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("evil-was-here"),)


def test_a_state_that_would_run_code_is_no_state(tmp_path, monkeypatch):
    """With a checksum that is right: whoever forged it knew how."""
    monkeypatch.chdir(tmp_path)
    checkpoints = Checkpoints(tmp_path / "states")
    checkpoints.write(1, state_bytes({"key": "k", "training": Evil()}))
    ((_, content),) = checkpoints.contents()
    assert content is not None
    assert read_state(content) is None
    assert not (tmp_path / "evil-was-here").exists()
