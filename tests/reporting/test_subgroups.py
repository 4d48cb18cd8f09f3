"""Scores by category and by what the mask says."""

import numpy as np
import polars as pl
import pytest
from fake_study import disc, encoded, finish, make_study, rewrite, sample_ids

from segstudy.analysis.results import gather
from segstudy.reporting.sections import subgroups as module
from segstudy.reporting.sections.subgroups import subgroups

TEST = sample_ids()["test"]
CATEGORIES = {each: ("nevus", "melanoma")[i % 2] for i, each in enumerate(TEST)}


@pytest.fixture
def folder(tmp_path):
    folder = make_study(tmp_path / "s", ("unet",), ("bce", "dice"), seeds=2)
    for seed in range(2):
        finish(folder, "unet-bce-b8", 0.8, 0.8, seed=seed, noise=0.01)
        finish(folder, "unet-dice-b8", 0.7, 0.7, seed=seed, noise=0.01)
    return folder


def found(folder, categories=CATEGORIES):
    return subgroups(folder, gather(folder), ["unet-bce-b8", "unet-dice-b8"], categories)


def test_every_category_has_the_mean_of_its_images(folder):
    mine = next(group for group in found(folder).groups if group.name == "melanoma")
    scores, ids = gather(folder).scores("unet-bce-b8"), gather(folder).ids("unet-bce-b8")
    of_it = [i for i, each in enumerate(ids) if CATEGORIES[each] == "melanoma"]
    assert mine.num_images == len(of_it)
    assert mine.scores[0].mean == pytest.approx(scores[:, of_it].mean())


def test_a_small_subgroup_has_points_only_and_a_larger_one_an_interval(folder, monkeypatch):
    assert {score.low for group in found(folder).groups for score in group.scores} == {None}
    monkeypatch.setattr(module, "FEWEST", 4)
    assert all(
        score.low < score.mean < score.high
        for group in found(folder).groups
        if group.num_images >= 4
        for score in group.scores
    )


def test_a_subgroup_of_one_image_has_no_difference_and_is_counted(folder):
    rare = {**CATEGORIES, TEST[0]: "naevus of Spitz"}
    section = found(folder, rare)
    assert "naevus of Spitz" in {group.name for group in section.groups}
    assert not [one for each in section.differences for one in each.subgroups if "Spitz" in one.name]
    assert section.left_out == (
        "1 subgroup left out of the differences, with one image or the images of one group only: "
        "category naevus of Spitz."
    )
    assert found(folder).left_out == ""


def test_sizes_are_thirds_of_the_test_images_by_the_mask(folder):
    radii = np.linspace(3, 11, len(TEST))
    rows = [
        {
            "id": each,
            "height": 24,
            "width": 40,
            "image": b"",
            "mask": encoded(np.uint8(255) * disc(24, 40, r), "PNG"),
        }
        for each, r in zip(TEST, radii, strict=True)
    ]
    pl.DataFrame(rows).write_parquet(folder.path / "thumbnails.parquet")
    sizes = [group for group in found(folder).groups if group.kind == "lesion size"]
    assert [group.num_images for group in sizes] == [3, 3, 3]
    assert [group.name.split(",")[0] for group in sizes] == ["small", "middle", "large"]


def test_whether_the_lesion_reaches_the_frame_is_read_from_the_mask(folder):
    masks = [np.zeros((10, 10), np.uint8) for _ in TEST]
    for mask in masks:
        mask[4:6, 4:6] = 255
    masks[0][0, 3] = 255
    masks[1][5, 9] = 255
    rows = [
        {"id": each, "height": 10, "width": 10, "image": b"", "mask": encoded(mask, "PNG")}
        for each, mask in zip(TEST, masks, strict=True)
    ]
    pl.DataFrame(rows).write_parquet(folder.path / "thumbnails.parquet")
    counts = {group.name: group.num_images for group in found(folder).groups if group.kind == "frame"}
    assert counts == {"lesion reaches it": 2, "lesion lies inside": len(TEST) - 2}


def test_without_categories_and_masks_there_is_nothing(folder):
    (folder.path / "thumbnails.parquet").unlink()
    assert found(folder, dict.fromkeys(TEST)) is None
    assert found(folder, dict.fromkeys(TEST, "nevus")) is None  # one category is no subgroup


def by_category(tmp_path, moved: float, seeds: int = 3, images: int = 60):
    """Two configurations; one is better by `moved` on melanomas only."""
    ids = [f"i{n:02}" for n in range(images)]
    parts = {"train": ["t"], "validation": ["v"], "test": ids}
    folder = make_study(tmp_path / "s", ("unet",), ("bce", "dice"), seeds=seeds)
    folder.write_json("split.json", {"splits": [{"split": "auto", "split_seed": 0, "fold": None, **parts}]})
    categories = {each: ("nevus", "melanoma")[n % 2] for n, each in enumerate(ids)}
    for seed in range(seeds):
        for name in ("unet-bce-b8", "unet-dice-b8"):
            key = finish(folder, name, 0.8, 0.7, seed=seed, noise=0.02, parts=parts)
            if name == "unet-bce-b8":
                file = folder.runs / key / "images.parquet"
                melanoma = pl.col("id").replace_strict(categories, default="nevus") == "melanoma"
                better = pl.when(melanoma).then(pl.col("native_iou") + moved).otherwise(pl.col("native_iou"))
                rewrite(file, pl.read_parquet(file).with_columns(native_iou=better))
    (folder.path / "thumbnails.parquet").unlink()
    results = gather(folder)
    return subgroups(folder, results, ["unet-bce-b8", "unet-dice-b8"], categories)


def test_a_difference_in_one_category_alone_depends_on_the_category(tmp_path):
    shown = by_category(tmp_path, 0.1)
    (each,) = shown.differences
    assert each.depends
    by_name = {one.name: one.difference for one in each.subgroups}
    assert by_name["melanoma"].mean - by_name["nevus"].mean == pytest.approx(0.1, abs=0.02)
    assert by_name["melanoma"].low > 0
    (sentence,) = shown.sentences
    assert sentence.startswith(
        "The difference between unet-bce-b8 and unet-dice-b8 depends on category (p < 0.001)"
    )
    assert "where it is melanoma" in sentence
    assert "<svg" in shown.differences_chart


def test_equal_differences_are_not_said_to_be_proven_equal(tmp_path):
    (sentence,) = by_category(tmp_path, 0.0).sentences
    assert sentence.startswith(
        "No difference between unet-bce-b8 and the others is shown to depend on category"
    )
    assert sentence.endswith("corrected for 1 test); it still may.")


def test_one_seed_tests_no_dependence(tmp_path):
    shown = by_category(tmp_path, 0.1, seeds=1)
    assert shown.sentences == ()
    assert shown.differences[0].p is None


def test_small_subgroups_take_no_part_in_the_test(tmp_path):
    shown = by_category(tmp_path, 0.1, images=16)
    assert shown.differences[0].p is None
    assert not any(one.is_tested or one.has_interval for one in shown.differences[0].subgroups)
