"""The section on training size: its numbers, and what it says it cannot tell."""

import pytest
from fake_study import finish, make_study, sample_ids

from segstudy.analysis.results import gather
from segstudy.analysis.training_size import training_sizes
from segstudy.reporting.page import read_report_data
from segstudy.reporting.rendering import ENVIRONMENT
from segstudy.reporting.sections import training_size
from segstudy.reporting.sections.methods import methods

SHARES = (0.25, 0.5, 1.0)
PARTS = {**sample_ids(), "train": [f"train{n:02}" for n in range(16)]}


def made(path, seeds=3, shares=SHARES, losses=("bce", "dice"), noise=0.002, **fields):
    """A study whose errors fall with the number of images: bce by a power law, dice faster and faster."""
    factors = {"train_frac": list(shares)}
    folder = make_study(path, ("unet",), losses, seeds=seeds, factors=factors, **fields)
    splits = [
        {"split": "auto", "split_seed": 0, "fold": None, "train_frac": share, **parts_of(share)}
        for share in shares
    ]
    folder.write_json("split.json", {"splits": splits})
    for loss in losses:
        for share in shares:
            error = 0.2 * share**-0.3 if loss == "bce" else {0.25: 0.31, 0.5: 0.3}.get(share, 0.19)
            for seed in range(seeds):
                name = f"unet-{loss}-b8" + (f"-train_frac={share}" if len(shares) > 1 else "")
                finish(folder, name, 1 - error, 1 - error, seed=seed, parts=parts_of(share), noise=noise)
    return folder


def parts_of(share):
    return {**PARTS, "train": PARTS["train"][: round(16 * share)]}


def sizes_of(folder):
    return {split.ids.fingerprint: len(split.train) for split in folder.splits()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made(tmp_path_factory.mktemp("sizes") / "s")


def test_every_configuration_has_its_sizes_and_an_answer(folder):
    found = training_sizes(gather(folder), sizes_of(folder))
    assert found is not None
    curves = {curve.name: curve for curve in found.curves}
    assert set(curves) == {"unet-bce-b8", "unet-dice-b8"}
    bce = curves["unet-bce-b8"]
    assert [point.num_images for point in bce.points] == [4, 8, 16]
    assert [point.test.mean for point in bce.points] == pytest.approx(
        [1 - 0.2 * share**-0.3 for share in SHARES], abs=0.003
    )
    assert bce.more.state == "estimated"
    assert bce.answer.startswith("about ")
    assert " more images for +0.01 (95 %: " in bce.answer
    assert curves["unet-dice-b8"].answer == "cannot tell: no power law fits, the curve becomes steeper"
    assert any("1 - IoU = c + a n^-b" in note and "4 times its largest" in note for note in found.notes)
    assert any("also made fewer training steps" in note for note in found.notes)


def test_the_section_shows_them(folder):
    report = read_report_data(folder, images=False)
    values = training_size.values(report)
    assert values is not None
    text = ENVIRONMENT.get_template("training_size.html.j2").render(values)
    assert "cannot tell: no power law fits, the curve becomes steeper" in text
    assert text.count("<tr>") == 1 + 6
    assert (folder.path / "figures" / "iou-by-training-size.svg").exists()
    paragraph = methods(report.study, report.results, report.data, report.answers).paragraph
    assert "differ in loss (bce and dice) and share of the training images (0.25, 0.5 and 1.0)" in paragraph
    assert "Of the training images a share of 0.25, 0.5 or 1 was used: whole groups" in paragraph
    sentences = [each.sentence for each in report.answers.factors.effects]
    assert any(
        "train_frac=1.0 is highest on validation" in each for each in sentences
    )  # a factor like others


def test_one_size_has_no_curve_and_two_have_no_extrapolation(tmp_path):
    one = made(tmp_path / "one", shares=(1.0,), losses=("bce",))
    assert training_sizes(gather(one), sizes_of(one)) is None
    two = made(tmp_path / "two", shares=(0.5, 1.0), losses=("bce",))
    found = training_sizes(gather(two), sizes_of(two))
    assert found is not None
    assert found.curves[0].answer == "cannot tell: at least 3 sizes are needed"


def test_what_is_left_out_is_counted(tmp_path):
    folder = make_study(
        tmp_path / "s",
        ("unet",),
        ("bce",),
        grids=[
            {"architecture": ["unet"], "loss": ["dice"], "train_frac": [0.5, 1.0], "batch_size": [8]},
            {"architecture": ["segnet"], "loss": ["dice"], "train_frac": [0.5, 1.0], "batch_size": [8]},
        ],
    )
    splits = [
        {"split": "auto", "split_seed": 0, "fold": None, "train_frac": share, **parts_of(share)}
        for share in (0.5, 1.0)
    ]
    folder.write_json("split.json", {"splits": splits})
    for share in (0.5, 1.0):
        finish(folder, f"unet-dice-b8-train_frac={share}", 0.7, 0.7, parts=parts_of(share))
    finish(folder, "unet-bce-b8-train_frac=1.0", 0.7, 0.7, parts=parts_of(1.0))
    found = training_sizes(gather(folder), sizes_of(folder))
    assert found is not None
    assert "Left out, with one size only: 1 configuration (unet-bce-b8-train_frac=1.0)." in found.notes
    assert any(
        note.startswith("Left out, with missing runs: 2 configurations (segnet") for note in found.notes
    )
