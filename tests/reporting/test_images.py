"""The gallery: the same test images under every model."""

import base64
import io
import json
import re
import shutil

import numpy as np
import polars as pl
import pytest
from fake_study import disc, encoded, finish, make_study, rewrite, sample_ids, scores
from PIL import Image

from segstudy.analysis.configurations import Row, rows_of
from segstudy.core.errors import UserError
from segstudy.reporting.class_layers import (
    ERRORS,
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    NOTHING,
    PREDICTION,
    TRUTH,
    painted,
)
from segstudy.reporting.rendering import ENVIRONMENT
from segstudy.reporting.sections import images as module
from segstudy.reporting.sections.images import PICTURE_PX, _places, gallery, legend
from segstudy.store.pack_record import pack_json

TEST = sample_ids()["test"]
NAMES = ["unet-bce-b8", "unet-dice-b8"]


def study(tmp_path, **fields):
    return make_study(tmp_path / "s", ("unet",), ("bce", "dice"), **fields)


def of(folder, ranked=NAMES):
    return gallery(folder, rows_of(folder), ranked)


def shown(found) -> dict[str, list[str]]:
    return {name: [picture.id for picture in pictures] for name, pictures in found.groups}


def pictures_of(found):
    return [picture for _, pictures in found.groups for picture in pictures]


def rescore(folder, key: str, ious: dict[str, float]) -> None:
    """Give these test images alone, with these IoUs, to a run."""
    parts = {"test": list(ious)}
    table = scores("test", parts, 0.5).with_columns(native_iou=pl.Series(list(ious.values())))
    rewrite(folder.runs / key / "images.parquet", table)


def repredict(folder, key: str, radius: float) -> None:
    prob = encoded(np.uint8(255) * disc(32, 32, radius), "PNG")
    file = folder.runs / key / "predictions.parquet"
    rewrite(file, pl.read_parquet(file).with_columns(prob=pl.lit(prob)))


def pixels(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGBA"))


def page_of(folder, found) -> str:
    study = folder.study()
    classes = legend(study.protocol.outputs())
    return ENVIRONMENT.get_template("images.html.j2").render(
        gallery=found, images=True, study=study, classes=classes
    )


def test_worst_median_and_best_never_share_an_image():
    for count in range(30):
        places = _places(count)
        taken = [i for name in ("worst", "median", "best") for i in range(count)[places.get(name, slice(0))]]
        assert taken == sorted(set(taken))
        assert count == 0 or (taken[0], taken[-1]) == (0, count - 1)
        assert len(taken) == min(count, 12)


def test_the_leader_chooses_and_every_model_is_shown_on_the_same_images(tmp_path):
    folder = study(tmp_path)
    leader, other = (finish(folder, name, 0.8, 0.8) for name in NAMES)
    ious = dict(zip(TEST, [0.1, 0.9, 0.5, 0.2, 0.8, 0.4, 0.3, 0.7, 0.6], strict=True))
    rescore(folder, leader, ious)
    rescore(folder, other, {i: 1 - iou for i, iou in ious.items()})
    found = of(folder)
    ranked = sorted(TEST, key=ious.__getitem__)
    assert shown(found) == {"worst": ranked[:3], "median": ranked[3:6], "best": ranked[6:]}
    for picture in pictures_of(found):
        first, second = picture.overlays
        assert (first.iou, second.iou) == pytest.approx((ious[picture.id], 1 - ious[picture.id]))


def test_each_model_has_its_own_mask(tmp_path):
    folder = study(tmp_path)
    keys = [finish(folder, name, 0.8, 0.8) for name in NAMES]
    for key, radius in zip(keys, (3, 14), strict=True):
        repredict(folder, key, radius)
    for picture in pictures_of(of(folder)):
        small, large = (pixels(overlay.uri) for overlay in picture.overlays)
        assert small.shape == large.shape == (*picture.size_px[::-1], 4)
        assert max(picture.size_px) == PICTURE_PX
        for drawn, seen, unseen in (
            (small, FALSE_NEGATIVE, FALSE_POSITIVE),
            (large, FALSE_POSITIVE, FALSE_NEGATIVE),
        ):
            assert (drawn == seen).all(-1).any()
            assert not (drawn == unseen).all(-1).any()
        assert {tuple(colour) for colour in pixels(picture.truth).reshape(-1, 4).tolist()} == {NOTHING, TRUTH}


def test_errors_and_outline_have_their_colours_and_agreement_stays_clear():
    truth, predicted = np.zeros((20, 30), bool), np.zeros((20, 30), bool)
    truth[2:18, 2:20] = predicted[2:18, 10:28] = True
    drawn = painted(truth, predicted)
    expected = {(10, 15): NOTHING, (0, 0): NOTHING, (10, 27): PREDICTION, (10, 10): PREDICTION}
    expected |= {(10, 24): FALSE_POSITIVE, (10, 5): FALSE_NEGATIVE}
    assert {place: ERRORS[drawn[place]] for place in expected} == expected


def test_with_folds_an_image_is_shown_by_the_run_that_tested_it(tmp_path):
    folder = study(tmp_path, folds=3)
    for fold, (ids, iou, radius) in enumerate(((TEST[:5], 0.3, 3), (TEST[4:], 0.7, 14))):
        key = finish(folder, NAMES[0], 0.8, 0.8, fold=fold)
        rescore(folder, key, dict.fromkeys(ids, iou))
        repredict(folder, key, radius)
    found = of(folder)
    assert found.num_tested == len(TEST)  # the one that both tested counts once
    for picture in pictures_of(found):
        first = picture.id in TEST[:5]
        assert picture.overlays[0].iou == (0.3 if first else 0.7)
        drawn = pixels(picture.overlays[0].uri)
        assert (drawn == (FALSE_NEGATIVE if first else FALSE_POSITIVE)).all(-1).any()


def test_of_several_seeds_only_the_first_is_read(tmp_path):
    folder = study(tmp_path, seeds=3)
    finish(folder, NAMES[0], 0.8, 0.8, seed=1)
    later = finish(folder, NAMES[0], 0.8, 0.8, seed=2)
    (folder.runs / later / "predictions.parquet").unlink()
    (folder.runs / later / "images.parquet").unlink()
    found = of(folder)
    assert found.seed == found.models[0].seed == 1
    assert "seed 1" in page_of(folder, found)


def test_a_complete_model_leads_before_a_better_one_that_waits(tmp_path):
    folder = study(tmp_path, seeds=2)
    finish(folder, NAMES[0], 0.9, 0.9)
    for seed in range(2):
        finish(folder, NAMES[1], 0.8, 0.8, seed=seed)
    assert [model.name for model in of(folder).models] == NAMES[::-1]


def test_an_image_that_a_model_has_not_met_yet_is_said(tmp_path):
    folder = study(tmp_path)
    _, other = (finish(folder, name, 0.8, 0.8) for name in NAMES)
    rescore(folder, other, dict.fromkeys(TEST[1:], 0.5))
    by_id = {picture.id: picture.overlays for picture in pictures_of(of(folder))}
    assert by_id[TEST[0]][0] is not None
    assert by_id[TEST[0]][1] is None
    assert all(by_id[i][1] is not None for i in TEST[1:])


def test_models_beyond_the_most_are_counted_and_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_MODELS", 1)
    folder = study(tmp_path)
    _, other = (finish(folder, name, 0.8, 0.8) for name in NAMES)
    (folder.runs / other / "predictions.parquet").unlink()
    found = of(folder)
    assert (len(found.models), found.num_cut) == (1, 1)
    assert "The first 1 of 2 configurations can be picked" in page_of(folder, found)


def test_predicted_masks_that_a_pack_left_out_are_counted_and_others_are_missed(tmp_path):
    folder = study(tmp_path, seeds=2)
    first, _, other = (
        finish(folder, name, 0.8, 0.8, seed=seed)
        for name, seed in ((NAMES[0], 0), (NAMES[0], 1), (NAMES[1], 0))
    )
    for key in (first, other):
        (folder.runs / key / "predictions.parquet").unlink()
    with pytest.raises(UserError, match=r"predictions\.parquet: damaged"):
        of(folder)
    about = {"name": "s", "weights": True, "images": False, "runs": [first, other]}
    (folder.path / "pack.json").write_text(pack_json(about))
    found = of(folder)
    assert [(model.name, model.seed) for model in found.models] == [(NAMES[0], 1)]
    assert (found.num_cut, found.num_without_masks) == (0, 1)
    assert "masks of 1 further configuration were left out" in page_of(folder, found)
    for key in folder.finished() - {first, other}:
        shutil.rmtree(folder.runs / key)
    assert of(folder) is None


def test_there_is_no_gallery_without_runs_thumbnails_or_tested_images(tmp_path):
    folder = study(tmp_path)
    masks = Row("another tool", {}, (), (), 1, 1, masks={})
    assert gallery(folder, [*rows_of(folder), masks], ["another tool", *NAMES]) is None
    key = finish(folder, NAMES[0], 0.8, 0.8)
    assert of(folder) is not None
    rescore(folder, key, dict.fromkeys(["not pictured"], 0.5))
    assert of(folder) is None
    (folder.path / "thumbnails.parquet").unlink()
    assert of(folder) is None


def test_the_page_holds_every_overlay_and_shows_the_leader_without_scripts(tmp_path):
    folder = study(tmp_path)
    for name, mean in zip(NAMES, (0.8, 0.6), strict=True):
        finish(folder, name, mean, mean)
    found = of(folder)
    page = page_of(folder, found)
    categories = {
        each["id"]: each["category"]
        for each in json.loads((folder.path / "data.json").read_text())["samples"]
    }
    figures = re.findall(r"<figure>.*?</figure>", page)
    data = json.loads(page.partition('id="images-overlays">')[2].partition("</script>")[0])
    assert len(figures) == len(data) == len(TEST)
    for figure, picture, overlays in zip(figures, pictures_of(found), data, strict=True):
        leader = picture.overlays[0]
        assert leader.uri in figure
        assert f"IoU {leader.iou:.3f}" in figure
        assert f"{picture.id}, {categories[picture.id]} " in figure
        assert [each["uri"] for each in overlays] == [each.uri for each in picture.overlays]
    assert re.findall(r"<option>(.*?)</option>", page) == NAMES


def test_hostile_ids_stay_text(tmp_path):
    folder = study(tmp_path, ids="</script><b>{:02}")
    finish(folder, NAMES[0], 0.8, 0.8, ids="</script><b>{:02}")
    page = page_of(folder, of(folder))
    assert "</script><b>" not in page
    assert "&lt;/script&gt;&lt;b&gt;" in page


def test_twelve_images_under_twelve_models_fit_the_page(tmp_path):
    folder = study(tmp_path)
    finish(folder, NAMES[0], 0.8, 0.8)
    heaviest = max(len(picture.overlays[0].uri) for picture in pictures_of(of(folder)))
    assert 12 * 12 * heaviest < 1_000_000
