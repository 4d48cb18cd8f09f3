"""One photograph in several parts: found, refused before training, accepted or left out."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from fake_data import disc, make_folder, photo, save
from PIL import Image, ImageOps
from small import TINY

import segstudy
from segstudy.cli.studies import main
from segstudy.config.study import override, preset_study
from segstudy.core.errors import UserError
from segstudy.data.check import check
from segstudy.data.datasets import read
from segstudy.data.leakage import as_line, clusters, ids_in, leaks, to_exclude
from segstudy.data.samples import Problem, Sample
from segstudy.data.split import Split
from segstudy.reporting.data_description import described_data
from segstudy.store.folder import StudyFolder
from segstudy.study.machine import choose_machine
from segstudy.study.options import excluded
from segstudy.study.plan import make_plan

pytestmark = pytest.mark.usefixtures("no_report")

SIDE = (120, 160)
GRID = {"architecture": "unet", "loss": "bce", "batch_size": 4, "executor": "serial", "images": False}


def write(root: Path, images: dict[str, Image.Image]) -> Path:
    """Images and masks by id; ids with a slash begin with their part's folder."""
    for i, (sample_id, image) in enumerate(images.items()):
        part, _, stem = sample_id.rpartition("/")
        save(root / part / "images" / f"{stem}.png", np.asarray(image))
        mask = Image.fromarray(disc(i, SIDE)[1]).resize(image.size)
        save(root / part / "masks" / f"{stem}.png", np.asarray(mask))
    return root


def jpeg(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=50)
    return Image.open(stream).convert("RGB")


def photos(number: int) -> dict[str, Image.Image]:
    return {f"p{i:02}": photo(i, SIDE) for i in range(number)}


@pytest.fixture
def mirrored(tmp_path: Path) -> Path:
    """Ten photographs; p10 is p03, mirrored, compressed and cropped."""
    copy = jpeg(ImageOps.mirror(photo(3, SIDE))).crop((0, 4, 154, 120))
    return write(tmp_path / "data", {**photos(10), "p10": copy})


def split_file(folder: Path, test: list[str], of: int = 11) -> Path:
    ids = [f"p{i:02}" for i in range(of)]
    rest = [sample_id for sample_id in ids if sample_id not in test]
    file = folder / "split.json"
    file.write_text(json.dumps({"train": rest[2:], "validation": rest[:2], "test": test}))
    return file


def planned(data: Path, **fields: object):
    levels = {name: value if isinstance(value, list) else [value] for name, value in fields.items()}
    study = override(preset_study("quick", "s", str(data)), levels)
    return make_plan(study, choose_machine("cpu", 1, 1))


# What stops a run


def test_a_mirrored_copy_in_another_part_stops_run_before_anything_is_written(
    mirrored: Path, tmp_path: Path
) -> None:
    split = split_file(tmp_path, ["p10", "p09"])
    with pytest.raises(UserError) as error:
        segstudy.run(mirrored, out=tmp_path / "s", split=split, **TINY, **GRID)
    text = str(error.value)
    assert "p03 (train) = p10 (test)" in text
    assert all(remedy in text for remedy in ("--write-exclude", "--exclude", "--accept-duplicates", "group"))
    assert "\n" not in text
    assert not (tmp_path / "s").exists()
    assert_exits(["run", str(mirrored), "--split", str(split), "--out", str(tmp_path / "s")], 2)


def test_plan_says_the_same_as_run(mirrored: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"p03 \(train\) = p10 \(test\)"):
        segstudy.plan(mirrored, split=split_file(tmp_path, ["p10", "p09"]), **TINY, architecture="unet")


def test_copies_in_one_part_are_no_leak_whatever_the_part(mirrored: Path, tmp_path: Path) -> None:
    for test in (["p10", "p03"], ["p04", "p05"]):
        plan = planned(mirrored, split_file=str(split_file(tmp_path, test)))
        assert clusters(plan.findings.problems) == [("p03", "p10")]
        assert plan.leaks(plan.runs) == []


def test_samples_of_one_group_are_no_leak(mirrored: Path, tmp_path: Path) -> None:
    (mirrored / "metadata.csv").write_text("id,group\np03,x\np10,x\n")
    plan = planned(mirrored)
    assert clusters(plan.findings.problems) == []
    assert plan.leaks(plan.runs) == []


@pytest.mark.slow
def test_a_random_split_is_looked_at_as_it_is_cut(mirrored: Path) -> None:
    by_seed = [planned(mirrored, split_seed=seed) for seed in range(8)]
    for plan in by_seed:
        [split] = plan.splits.values()
        parts = {part for part in ("train", "validation", "test") for i in split.part(part) if i in "p03 p10"}
        assert bool(plan.leaks(plan.runs)) == (len(parts) > 1)
    assert {bool(plan.leaks(plan.runs)) for plan in by_seed} == {False, True}


def test_with_folds_every_pair_that_is_divided_once_is_a_leak(mirrored: Path) -> None:
    plan = planned(mirrored, folds=5)
    where = [{k for k, split in enumerate(plan.splits.values()) if i in split.test} for i in ("p03", "p10")]
    assert bool(plan.leaks(plan.runs)) == (where[0] != where[1])


@pytest.mark.slow
def test_official_parts_with_a_copy_stop_run_and_other_shares_do_not_if_they_keep_it_together(
    tmp_path: Path,
) -> None:
    images = {f"train/{name}": image for name, image in photos(8).items()}
    images |= {"val/a": photo(20, SIDE), "test/b": photo(2, SIDE).rotate(180), "test/c": photo(21, SIDE)}
    data = write(tmp_path / "data", images)
    severities = {problem.severity for problem in check(read(data)) if problem.samples}
    assert severities == {"error"}
    official = planned(data)
    assert official.leaks(official.runs) == ["test/b (test) = train/p02 (train)"]
    random = [planned(data, split="50/25/25", split_seed=seed) for seed in range(8)]
    assert {bool(plan.leaks(plan.runs)) for plan in random} == {False, True}
    assert_exits(["check", str(data)], 2)


def test_equal_pixels_stop_a_run_as_near_duplicates_do(tmp_path: Path) -> None:
    data = write(tmp_path / "data", {**photos(10), "p10": photo(3, SIDE)})
    plan = planned(data, split_file=str(split_file(tmp_path, ["p10", "p09"])))
    assert plan.leaks(plan.runs) == ["p03 (train) = p10 (test)"]


def test_a_chain_over_an_unused_sample_is_still_one_photograph() -> None:
    problems = [
        Problem("warning", "near-duplicate images", "", "", ("a", "b")),
        Problem("warning", "near-duplicate images", "", "", ("b", "c")),
    ]
    assert clusters(problems) == [("a", "b", "c")]
    assert leaks(problems, [Split(("a", "x"), ("y",), ("c",))]) == ["a (train) = c (test)"]
    assert leaks(problems, [Split(("a", "c"), ("y",), ("x",))]) == []


# Accepting it


@pytest.mark.slow
def test_accepted_duplicates_are_kept_in_the_study_and_change_no_key(mirrored: Path, tmp_path: Path) -> None:
    options = {"split": split_file(tmp_path, ["p10", "p09"]), **TINY, **GRID}
    study = segstudy.run(mirrored, out=tmp_path / "s", accept_duplicates=True, **options)
    assert "accept_duplicates = true" in (study.path / "study.toml").read_text()
    plan = planned(mirrored, split_file=str(options["split"]), accept_duplicates=True)
    assert {run.key for run in plan.runs} == {
        run.key for run in planned(mirrored, split_file=str(options["split"])).runs
    }
    assert described_data(StudyFolder(study.path))["leaks"] == ["p03 (train) = p10 (test)"]
    assert (
        "near-duplicate images in different subsets" in segstudy.report(study.path, images=False).read_text()
    )
    finished = StudyFolder(study.path).finished()
    segstudy.run(study.path, loss="dice", executor="serial", images=False)
    assert len(StudyFolder(study.path).finished()) == 2 * len(finished)

    toml = study.path / "study.toml"
    toml.write_text(toml.read_text().replace("accept_duplicates = true", "accept_duplicates = false"))
    segstudy.run(study.path, executor="serial", images=False)  # nothing is left to train
    with pytest.raises(UserError, match=r"p03 \(train\) = p10 \(test\)"):
        segstudy.run(study.path, loss="focal", executor="serial", images=False)


# Leaving samples out


def test_the_exclude_file_lets_run_go_on(mirrored: Path, tmp_path: Path) -> None:
    file = tmp_path / "exclude.txt"
    assert [problem.samples for problem in segstudy.check(mirrored, write_exclude=file)] == [("p03", "p10")]
    assert excluded(file) == ("p10",)
    plan = planned(mirrored, exclude=list(excluded(file)), folds=5)
    assert plan.findings.problems == ()
    assert len(plan.dataset.samples) == 10


def test_check_writes_the_file_says_how_many_and_exits_with_what_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = {f"train/{name}": image for name, image in photos(6).items()}
    data = write(
        tmp_path / "data", {**images, "val/a": photo(20, SIDE), "test/b": ImageOps.flip(photo(2, SIDE))}
    )
    file = tmp_path / "exclude.txt"
    assert_exits(["check", str(data), "--write-exclude", str(file)], 0)
    assert "1 of 8 samples to leave out" in capsys.readouterr().err
    assert excluded(file) == ("train/p02",)
    assert file.read_text().startswith("# ")
    assert_exits(["check", str(data), "--write-exclude", str(file)], 0)  # its own file it may replace
    (data / "test" / "images" / "b.png").write_bytes(b"x")
    assert_exits(["check", str(data), "--write-exclude", str(file)], 2)


def sample(sample_id: str, part: str | None = None, group: str | None = None) -> Sample:
    return Sample(sample_id, Path(), Path(), group or sample_id, None, part)


def near(*pairs: str) -> list[Problem]:
    return [Problem("warning", "near-duplicate images", "", "", tuple(pair)) for pair in pairs]


CASES = {
    "the first of a set without parts": ([sample("a"), sample("b"), sample("c")], ["ab", "bc"], ["b", "c"]),
    "training before validation": ([sample("a", "validation"), sample("b", "train")], ["ab"], ["b"]),
    "validation before test": ([sample("a", "test"), sample("b", "validation")], ["ab"], ["b"]),
    "all but test, over a chain": (
        [sample("a", "train"), sample("b", "validation"), sample("c", "test"), sample("d", "train")],
        ["ab", "bc", "ad"],
        ["a", "b", "d"],
    ),
    "within a part": ([sample("a", "train"), sample("b", "train")], ["ab"], ["b"]),
    "test samples stay": (
        [sample("a", "test"), sample("b", "test"), sample("c", "train")],
        ["ab", "bc"],
        ["c"],
    ),
    "what is of one group with the first stays": (
        [sample("a", group="g"), sample("b", group="g"), sample("c")],
        ["ac", "bc"],
        ["c"],
    ),
    "two sets": ([sample(name) for name in "abcd"], ["ab", "cd"], ["b", "d"]),
}


@pytest.mark.parametrize("case", CASES)
def test_which_samples_are_left_out(case: str) -> None:
    samples, pairs, expected = CASES[case]
    left_out = to_exclude(samples, near(*pairs))
    assert sorted(sample_id for ids in left_out.values() for sample_id in ids) == expected


def test_comments_and_ids_that_look_like_them(tmp_path: Path) -> None:
    ids = ["IMD002", "#1", "\\odd", "two words", "train/0001"]
    lines = [line for sample_id in ids for line in ("# why", as_line(sample_id), "")]
    file = tmp_path / "exclude.txt"
    file.write_text("\ufeff" + "\r\n".join(["#no blank", *lines]), encoding="utf-8")
    assert list(excluded(file)) == ids == ids_in("\n".join(map(as_line, ids)))


def test_an_exclude_file_of_ones_own_is_not_replaced(mirrored: Path, tmp_path: Path) -> None:
    file = tmp_path / "exclude.txt"
    for content in (b"p01\n", b"\xff\xfe"):
        file.write_bytes(content)
        with pytest.raises(UserError, match=r"is there already.*give another name"):
            segstudy.check(mirrored, write_exclude=file)
        assert file.read_bytes() == content


def test_without_duplicates_the_file_holds_no_id(tmp_path: Path) -> None:
    file = tmp_path / "exclude.txt"
    segstudy.check(write(tmp_path / "data", photos(4)), write_exclude=file)
    assert excluded(file) == ()
    assert file.read_text().startswith("# ")


# What check says at the end


def said(data: Path, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        main(["check", str(data)])
    return capsys.readouterr().out


def test_the_summary_names_pairs_groups_sizes_and_foreground(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_folder(tmp_path / "d", ("a", "b", "c"))
    text = said(data, capsys)
    assert "3 pairs; no groups, so that each image counts as a patient of its own" in text
    assert "images of 32 x 24 px; foreground" in text
    assert text.endswith("no problems in 3 samples\n")
    (data / "metadata.csv").write_text("ID, Patient ,category\na,p,x\nb,p,x\nc,q,y\n")
    text = said(data, capsys)
    assert "3 pairs; 2 groups from column `Patient`; 2 categories from column `category`" in text
    assert text.endswith("1 note in 3 samples\n")


def test_the_summary_counts_only_groups_of_samples_that_have_a_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_folder(tmp_path / "d", ("01", "02", "03"))
    (data / "metadata.csv").write_text("id,patient\n01,p\n02,q\n3,r\n")
    assert "3 pairs; 2 groups from column `patient` (1 pair without)" in said(data, capsys)
    (data / "metadata.csv").write_text("id,patient\n1,p\n2,q\n3,r\n")
    text = said(data, capsys)
    assert "3 pairs; no groups, so that each image counts as a patient of its own" in text
    assert "error: no id fits (1)" in text
    assert_exits(["check", str(data)], 2)


def assert_exits(arguments: list[str], code: int) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == code
