"""A second rater's masks beside the models: measured when a study is trained, shown below the leaderboard."""

import shutil

import numpy as np
import pytest
from fake_study import DATA, finish, make_study, sample_ids
from PIL import Image
from small import TINY, write_dataset

import segstudy
from segstudy.analysis.results import gather
from segstudy.analysis.second_rater import human_ceiling
from segstudy.core.mask_rules import USUAL
from segstudy.data.datasets import read
from segstudy.evaluation.second_rater import write_second_rater
from segstudy.reporting.page import write_report
from segstudy.store.folder import StudyFolder
from segstudy.store.second_rater import FILE, SecondRaterRecord, second_rater_of

TEST = sample_ids()["test"]


@pytest.mark.slow
def test_the_report_of_a_study_has_the_second_rater_of_its_data(tmp_path):
    data = write_dataset(tmp_path / "discs", n=16)
    (data / "masks2").mkdir()
    for file in (data / "masks").iterdir():
        moved = np.roll(np.asarray(Image.open(file)), 2, 1)
        Image.fromarray(moved).save(data / "masks2" / file.name)
    study = segstudy.run(
        data, architecture="unet", loss="bce", out=tmp_path / "s", images=False, workers=1, **TINY
    )
    record = second_rater_of(study.folder)
    assert len(record.ious) == 16
    tested = study.images().filter(part="test")["id"].unique().to_list()
    by_hand = []
    for each in tested:
        first, second = (np.asarray(Image.open(data / m / f"{each}.png")) > 0 for m in ("masks", "masks2"))
        by_hand.append((first & second).sum() / (first | second).sum())
    mean = f"{np.mean(by_hand):.3f}"
    page = (study.path / "report.html").read_text(encoding="utf-8")
    assert "second rater (masks2)</span></th><td data-value" in page
    said = page.partition("A second rater")[2].partition("</p>")[0]
    assert f"(masks2) agree with the data&#39;s by IoU {mean} [" in said
    assert f"on {len(tested)} test images" in said


@pytest.fixture
def folder(tmp_path) -> StudyFolder:
    made = make_study(tmp_path / "s", ("unet",), ("bce",), seeds=3)
    for seed in range(3):
        finish(made, "unet-bce-b8", 0.8, 0.8, seed=seed, noise=0.002)
    return made


def rated(folder: StudyFolder, iou: float, ids=TEST, data: str = DATA, problem: str = ""):
    ious = {each: iou + 0.002 * (i % 3) for i, each in enumerate(ids)}
    record = SecondRaterRecord(folder="masks2", data=data, ious=ious, problem=problem)
    folder.write_json(FILE, record.model_dump())
    return human_ceiling(gather(folder), second_rater_of(folder), ["unet-bce-b8"])


@pytest.mark.parametrize(
    ("iou", "said"),
    [
        (0.9, "unet-bce-b8 agrees with them less than that person does, by -0.10"),
        (0.7, "more IoU than people have need not mean better masks."),
        (None, "unet-bce-b8 may agree with them better or less than that person: 0.000"),
    ],
)
def test_the_model_is_compared_with_the_person_on_the_same_images(folder, iou, said):
    same = float(gather(folder).scores("unet-bce-b8").mean()) - 0.002
    assert said in rated(folder, iou or same).sentence


def test_images_without_a_second_mask_take_no_part(folder):
    found = rated(folder, 0.9, TEST[:4])
    scores = gather(folder).scores("unet-bce-b8")
    kept = [gather(folder).ids("unet-bce-b8").index(each) for each in TEST[:4]]
    assert (found.num_images, found.num_tested) == (4, len(TEST))
    assert found.difference.mean == pytest.approx(scores[:, kept].mean() - found.interval.mean)
    assert f"on 4 test images of {len(TEST)}." in found.sentence
    page = write_report(folder, images=False).read_text(encoding="utf-8")
    assert f"second rater (masks2, 4 of {len(TEST)} images)" in page


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"data": "f" * 16}, "were compared with other data and are left out"),
        ({"ids": [], "problem": "holds several sets of masks"}, "could not be compared: holds several sets"),
    ],
)
def test_what_could_not_be_compared_is_left_out_and_said(folder, changed, said):
    assert rated(folder, 0.9, **changed) is None
    assert said in write_report(folder, images=False).read_text(encoding="utf-8")


def test_masks_of_another_size_stop_no_training_and_gone_ones_leave_nothing(tmp_path, folder):
    data = write_dataset(tmp_path / "discs", n=4)
    (data / "masks2").mkdir()
    Image.fromarray(np.eye(20, dtype=np.uint8) * 255).save(data / "masks2" / "disc00.png")
    samples = read(data).samples
    write_second_rater(folder, str(data), samples, DATA, {USUAL})
    assert "must be 48 x 40 px as the image, got 20 x 20" in second_rater_of(folder).problem
    shutil.rmtree(data / "masks2")
    write_second_rater(folder, str(data), samples, DATA, {USUAL})
    assert second_rater_of(folder) is None
