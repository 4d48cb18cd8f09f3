"""From images to masks: the training's own preprocessing, files and folders, resuming, errors."""

import csv
import io
import json
import os
import threading
from pathlib import Path

import bombs
import numpy as np
import pytest
from PIL import Image
from small import write_dataset

import segstudy
from segstudy.cli.studies import main
from segstudy.core.errors import UserError
from segstudy.core.outputs import BINARY
from segstudy.deploy.engines.base import Network
from segstudy.deploy.predict.inputs import find_images
from segstudy.deploy.predict.load import models_of, open_model
from segstudy.deploy.predict.predictor import Predictor, Settings

pytestmark = pytest.mark.filterwarnings("ignore")  # exporters warn of what is none of ours


@pytest.fixture(scope="module")
def study(trained_study) -> Path:
    return trained_study


@pytest.fixture(scope="module")
def exported(exported_model) -> Path:
    return exported_model


def images(study: Path) -> Path:
    return study.parent / "discs" / "images"


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "predictions.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_run_predicts_what_its_training_scored(study):
    """Network-size probabilities equal those stored with the run, up to their 8 bits."""
    best = models_of(study).best()
    (record,) = best.records()
    stored = best.home.predictions(record.key).filter(part="test")
    predictor = Predictor(study, engine="torch", precision="float32")
    for sample, png in zip(stored["id"], stored["prob"], strict=True):
        expected = np.asarray(Image.open(io.BytesIO(png))).astype(float) / 255
        pixels = np.asarray(Image.open(images(study) / f"{sample}.png").convert("RGB").resize((32, 32), 2))
        found = predictor.of_network_size(pixels[None])[0]
        assert np.abs(found - expected).max() < 1 / 255


def test_every_engine_gives_the_same_mask(study, exported):
    file = images(study) / "disc00.png"
    expected = Predictor(study, engine="torch", precision="float32")(file)
    assert expected.mask.shape == Image.open(file).size[::-1]
    for model, engine in (
        (study, "onnxruntime"),
        (study, "openvino"),
        (exported, "auto"),
        (exported, "openvino"),
    ):
        found = Predictor(model, engine=engine, precision="float32")(file)
        assert (found.mask != expected.mask).mean() <= 1e-3
        np.testing.assert_allclose(found.probability, expected.probability, atol=1e-4)


def test_arrays_and_files_are_one(exported):
    pixels = np.random.default_rng(1).integers(0, 256, (50, 70, 3), np.uint8)
    predictor = Predictor(exported)
    found = predictor(pixels)
    assert found.mask.shape == found.probability.shape == (50, 70)
    for wrong in (pixels[..., 0], pixels.astype(float), np.zeros((4, 4, 4), np.uint8)):
        with pytest.raises(UserError, match=r"uint8 of shape \(H, W, 3\)"):
            predictor(wrong)


def test_many_threads_get_their_own_masks(exported):
    predictor = Predictor(exported, threads=4)
    rng = np.random.default_rng(2)
    pictures = [rng.integers(0, 256, (40 + i, 60, 3), np.uint8) for i in range(16)]
    expected = [predictor(each).probability for each in pictures]
    found: dict[int, np.ndarray] = {}

    def work(i: int) -> None:
        found[i] = predictor(pictures[i]).probability

    threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for i in range(16):
        assert np.array_equal(found[i], expected[i])


def position_network(card) -> Network:
    """Says how far right a pixel of value 200 stands: equivariant, so that averaging changes nothing."""
    return Network(card, "test", "test, float32", lambda x: (x[..., 0] / 255).astype(np.float32))


def test_flips_and_turns_come_back_in_place(exported):
    card = open_model(exported)[0].card
    network = position_network(card)
    rng = np.random.default_rng(3)
    for shape in ((32, 32), (32, 48)):
        pictures = rng.integers(0, 256, (2, *shape, 3), np.uint8)
        plain = Predictor([network])
        turned = Predictor([network], Settings(tta=True))
        np.testing.assert_allclose(
            turned.of_network_size(pictures), plain.of_network_size(pictures), atol=1e-6
        )


def test_an_ensemble_is_the_mean(study):
    best = models_of(study)
    networks = [open_model(best.home.runs / key, engine="torch", precision="float32")[0] for key in best.keys]
    image = np.random.default_rng(4).integers(0, 256, (1, 32, 32, 3), np.uint8)
    twice = Predictor([networks[0], position_network(networks[0].card)])
    expected = (networks[0].forward(image) + image[..., 0] / np.float32(255)) / 2
    np.testing.assert_allclose(twice.of_network_size(image), expected, atol=1e-6)


def test_threshold_and_clean_up(exported):
    card = open_model(exported)[0].card
    network = position_network(card)
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[10:50, 10:50] = 255
    picture[20:40, 20:40] = 0
    picture[56:62, 2:8] = 255
    plain = Predictor([network])(picture).mask
    assert not plain[30, 30]
    assert plain[59, 5]
    cleaned = Predictor([network], Settings(fill_holes=True, largest_component=True))(picture).mask
    assert cleaned[30, 30]
    assert not cleaned[59, 5]
    low, high = (Predictor([network], Settings(threshold=t))(picture).mask.sum() for t in (0.1, 0.9))
    assert low > plain.sum() > high
    with pytest.raises(UserError, match="between 0 and 1"):
        Settings(threshold=1.5)


def test_a_data_set_s_masks_are_no_images(study, exported, tmp_path):
    found = segstudy.predict(exported, study.parent / "discs", tmp_path / "out")
    assert len(found) == 24
    assert (tmp_path / "out" / "masks" / "images" / "disc00.png").is_file()


def test_each_of_several_inputs_may_be_a_data_set(study, exported, tmp_path):
    picture = Image.open(images(study) / "disc00.png")
    (tmp_path / "plain").mkdir()
    picture.save(tmp_path / "plain" / "x.png")
    write_dataset(tmp_path / "more", n=6)
    inputs = [tmp_path / "plain", study.parent / "discs", tmp_path / "more"]
    found = segstudy.predict(exported, inputs, tmp_path / "out")
    assert len(found) == 1 + 24 + 6
    assert not [row["image"] for row in found if "mask" in Path(row["image"]).parent.name]
    assert (tmp_path / "out" / "masks" / "discs" / "images" / "disc00.png").is_file()
    assert (tmp_path / "out" / "masks" / "plain" / "x.png").is_file()


def test_results_lie_as_the_images_do(study, exported, tmp_path):
    deep = tmp_path / "in" / "a b" / "c"
    deep.mkdir(parents=True)
    picture = Image.open(images(study) / "disc00.png")
    picture.save(deep / "x.jpg", quality=95)
    picture.save(deep / "x.tif")
    picture.save(tmp_path / "in" / "y.bmp")
    (tmp_path / "in" / ".hidden.png").write_bytes(b"")
    (tmp_path / "in" / "notes.txt").write_text("no image")
    out = tmp_path / "out"
    kinds = ("probability", "overlay", "outline")
    segstudy.predict(exported, tmp_path / "in", out, kinds=kinds)
    masks = sorted(file.relative_to(out).as_posix() for file in out.rglob("*") if file.is_file())
    assert masks == sorted(
        ["predictions.csv", "predictions.json"]
        + [
            f"{kind}/{name}.png"
            for kind in ("masks", "probability")
            for name in ("a b/c/x.jpg", "a b/c/x.tif", "y")
        ]
        + [
            f"{kind}/{name}.jpg"
            for kind in ("overlay", "outline")
            for name in ("a b/c/x.jpg", "a b/c/x.tif", "y")
        ]
    )
    mask = np.asarray(Image.open(out / "masks" / "y.png"))
    assert mask.shape == picture.size[::-1]
    assert set(np.unique(mask)) <= {0, 255}
    (row,) = [row for row in rows(out) if row["image"].endswith("y.bmp")]
    assert int(row["area_px"]) == (mask > 0).sum()
    assert (int(row["image_height_px"]), int(row["image_width_px"])) == mask.shape


def test_a_bomb_is_listed_and_stops_nothing(study, exported, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "bomb.jpg").write_bytes(bombs.scans(100_000))
    (folder / "good.png").write_bytes((images(study) / "disc00.png").read_bytes())
    found = segstudy.predict(exported, [folder], tmp_path / "out")
    assert [bool(row["error"]) for row in found] == [True, False]
    assert "more than 100 scans" in found[0]["error"]


def test_one_bad_file_is_listed_and_stops_nothing(study, exported, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    Image.open(images(study) / "disc00.png").save(folder / "good.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n nothing")
    (folder / "empty.jpg").write_bytes(b"")
    found = segstudy.predict(exported, folder, tmp_path / "out")
    assert [bool(row["error"]) for row in found] == [True, True, False]
    assert len(rows(tmp_path / "out")) == 3
    assert [file.name for file in (tmp_path / "out" / "masks").iterdir()] == ["good.png"]


def test_the_same_call_goes_on_where_it_was_stopped(study, exported, tmp_path):
    out = tmp_path / "out"

    class StoppedError(Exception):
        pass

    def stop(done: int, _: int) -> None:
        if done == 5:
            raise StoppedError

    with pytest.raises(StoppedError):
        segstudy.predict(exported, images(study), out, progress=stop, threads=1)
    before = {file: file.stat().st_mtime_ns for file in (out / "masks").iterdir()}
    assert len(rows(out)) == 5
    with (out / "predictions.csv").open("a") as stream:
        stream.write("half a li")  # as a power failure leaves it
    told: list[tuple[int, int]] = []
    found = segstudy.predict(exported, images(study), out, progress=lambda *now: told.append(now))
    assert told[0] == (5, 24)
    assert told[-1] == (24, 24)
    assert len(found) == len(rows(out)) == 24
    done = [file for file in before if file.name in {f"disc{i:02}.png" for i in range(5)}]
    assert len(done) == 5
    assert all(file.stat().st_mtime_ns == before[file] for file in done)
    fresh = segstudy.predict(exported, images(study), tmp_path / "fresh")
    assert found == fresh


def test_a_changed_image_is_done_again(study, exported, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    Image.open(images(study) / "disc00.png").save(folder / "a.png")
    segstudy.predict(exported, folder, tmp_path / "out")
    Image.new("RGB", (80, 60), "white").save(folder / "a.png")
    os.utime(folder / "a.png", (2e9, 2e9))
    (row,) = segstudy.predict(exported, folder, tmp_path / "out")
    assert (row["image_width_px"], row["image_height_px"]) == ("80", "60")


def test_results_of_another_image_are_not_taken_for_one_s_own(study, exported, tmp_path):
    for folder, name in (("a", "disc00"), ("b", "disc07")):
        (tmp_path / folder).mkdir()
        Image.open(images(study) / f"{name}.png").save(tmp_path / folder / "x.png")
    out = tmp_path / "out"
    segstudy.predict(exported, tmp_path / "a", out)
    with pytest.raises(UserError, match=r"x\.png is the mask of .*; choose another folder"):
        segstudy.predict(exported, tmp_path / "b", out)
    assert len(rows(out)) == 1


def test_a_file_replaced_by_an_older_one_is_done_again(study, exported, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    Image.open(images(study) / "disc00.png").save(folder / "a.png")
    segstudy.predict(exported, folder, tmp_path / "out")
    Image.new("RGB", (80, 60), "white").save(folder / "a.png")
    os.utime(folder / "a.png", (1e9, 1e9))
    (row,) = segstudy.predict(exported, folder, tmp_path / "out")
    assert row["image_width_px"] == "80"


def test_a_relative_path_means_the_folder_it_was_called_in(study, exported, tmp_path, monkeypatch):
    for folder, name in (("a", "disc00"), ("b", "disc07")):
        (tmp_path / folder / "in").mkdir(parents=True)
        Image.open(images(study) / f"{name}.png").save(tmp_path / folder / "in" / "x.png")
    monkeypatch.chdir(tmp_path / "a")
    segstudy.predict(exported, "in", tmp_path / "out")
    monkeypatch.chdir(tmp_path / "b")
    with pytest.raises(UserError, match="choose another folder"):
        segstudy.predict(exported, "in", tmp_path / "out")


def test_results_within_the_images_are_no_images(study, exported, tmp_path):
    Image.open(images(study) / "disc00.png").save(tmp_path / "x.png")
    for _ in range(3):
        found = segstudy.predict(exported, tmp_path, tmp_path / "out", kinds=["overlay"])
        assert len(found) == 1


def test_a_table_of_another_origin_is_left_alone(study, exported, tmp_path):
    (tmp_path / "predictions.csv").write_text("mine\n")
    with pytest.raises(UserError, match="was not written by segstudy"):
        segstudy.predict(exported, images(study), tmp_path)
    assert (tmp_path / "predictions.csv").read_text() == "mine\n"
    for name, content in (("predictions.json", "[]"), ("predictions.csv", "\xff")):
        out = tmp_path / f"out-{name}"
        segstudy.predict(exported, images(study) / "disc00.png", out)
        (out / name).write_bytes(content.encode("latin-1"))
        with pytest.raises(UserError, match="cannot be read"):
            segstudy.predict(exported, images(study) / "disc00.png", out)


def test_a_folder_of_something_else_is_refused(study, exported, tmp_path):
    photos = tmp_path / "photos"
    for place in (photos, photos / "deep", tmp_path / "masks"):
        place.mkdir(exist_ok=True)
        Image.open(images(study) / "disc00.png").save(place / "x.png")
    for given, out, message in (
        (photos, study, "is in the folder of a study"),
        (photos, study / "runs" / "masks", "is in the folder of a study"),
        (photos, photos, "contains the images"),
        (photos, photos / "deep", "contains the images"),
        (photos / "x.png", photos, "contains the images"),
        (photos, tmp_path, "masks: exists already and was not written by segstudy"),
    ):
        with pytest.raises(UserError, match=f"{message}.*choose another folder with --out"):
            segstudy.predict(exported, given, out)
    assert sorted(each.name for each in photos.rglob("*")) == ["deep", "x.png", "x.png"]
    assert not list(study.rglob("predictions.json"))


def test_results_beside_the_images_that_an_earlier_version_began_are_continued(study, exported, tmp_path):
    Image.open(images(study) / "disc00.png").save(tmp_path / "x.png")
    segstudy.predict(exported, tmp_path / "x.png", tmp_path / "out")
    for each in (tmp_path / "out").iterdir():
        each.rename(tmp_path / each.name)
    (row,) = segstudy.predict(exported, tmp_path, tmp_path)
    assert row["error"] == ""


def test_a_wrong_threshold_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(UserError, match=r"^--threshold must be between 0 and 1, got 1\.5$"):
        segstudy.predict(tmp_path / "no model", tmp_path / "no image", tmp_path / "out", threshold=1.5)


def test_without_a_terminal_nothing_but_lines_is_printed(study, exported, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(exported), str(images(study) / "disc00.png"), "--out", str(tmp_path / "out")])
    assert ended.value.code == 0
    out, err = capsys.readouterr()
    assert out.startswith("with ")
    assert err == ""


def test_one_process_at_a_time(study, exported, tmp_path):
    from segstudy.core.locks import hold

    with (
        hold(tmp_path / ".predict.lock", "these predictions"),
        pytest.raises(UserError, match="is working on these predictions"),
    ):
        segstudy.predict(exported, images(study), tmp_path)


def test_a_name_that_is_no_text(study, exported, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    name = os.fsdecode(b"b\xff.png")
    Image.open(images(study) / "disc00.png").save(folder / name, "PNG")
    Image.open(images(study) / "disc01.png").save(folder / "good.png")
    found = segstudy.predict(exported, folder, tmp_path / "out")
    assert [row["error"] for row in found] == ["", ""]
    assert found == segstudy.predict(exported, folder, tmp_path / "out")
    assert "b\\xff.png" in (tmp_path / "out" / "predictions.csv").read_text()


def test_an_overlay_tints_the_mask_alone():
    from segstudy.deploy.predict.result_files import COLOUR, TINT, picture

    pixels = np.full((60, 60, 3), 100, np.uint8)
    mask = np.zeros((60, 60), np.bool_)
    mask[10:50, 10:50] = True
    content = picture("overlay", pixels, mask, BINARY, [1])
    found = np.asarray(Image.open(io.BytesIO(content))).astype(int)
    assert found[30, 30] == pytest.approx([(1 - TINT) * 100 + TINT * c for c in COLOUR], abs=8)
    assert found[2, 2] == pytest.approx([100] * 3, abs=8)


def test_results_of_other_settings_are_not_mixed(study, exported, tmp_path):
    out = tmp_path / "out"
    segstudy.predict(exported, images(study) / "disc00.png", out)
    with pytest.raises(UserError, match=r"other threshold \(0\.5\); choose another folder"):
        segstudy.predict(exported, images(study) / "disc00.png", out, threshold=0.7)
    made_by = json.loads((out / "predictions.json").read_text())
    assert made_by["threshold"] == 0.5
    del made_by["names"]  # as an older version wrote it
    (out / "predictions.json").write_text(json.dumps(made_by))
    segstudy.predict(exported, images(study) / "disc00.png", out)
    assert json.loads((out / "predictions.json").read_text())["names"]


def test_names_that_would_collide(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (20, 20)).save(tmp_path / folder / "x.png")
    names = [item.name for item in find_images([tmp_path / "a", tmp_path / "b"])]
    assert names == ["a/x", "b/x"]
    with pytest.raises(UserError, match="both results would have the name x"):
        find_images([tmp_path / "a" / "x.png", tmp_path / "b" / "x.png"])
    assert [item.name for item in find_images([tmp_path], match="a/*.png")] == ["a/x"]
    with pytest.raises(UserError, match="no such file"):
        find_images([tmp_path / "gone"])
    with pytest.raises(UserError, match="no image"):
        find_images([tmp_path / "a"], match="*.bmp")


def test_wrong_models_are_said_in_a_line(study, tmp_path):
    with pytest.raises(UserError, match="neither a study's folder nor that of a finished run"):
        Predictor(tmp_path)
    (tmp_path / "m.onnx").write_bytes(b"")
    with pytest.raises(UserError, match="run on the CPU"):
        Predictor(tmp_path / "m.onnx", device="cuda")
    with pytest.raises(UserError, match="is not an ensemble"):
        Predictor(tmp_path / "m.onnx", ensemble=True)


def test_the_command_line(study, exported, tmp_path, capsys):
    from segstudy.cli.studies import main

    with pytest.raises(SystemExit) as ended:
        main(["predict", str(exported), str(images(study)), "--out", str(tmp_path / "out"), "--overlay"])
    assert ended.value.code == 0
    (name,) = json.loads((tmp_path / "out" / "predictions.json").read_text())["names"]
    num_empty = sum(row["area_px"] == "0" for row in rows(tmp_path / "out"))
    said = (
        f"with {name} (ONNX Runtime, float32): 24 masks in {tmp_path / 'out' / 'masks'} "
        f"(%d new, {num_empty} empty), measurements in"
    )
    assert said % 24 in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["predict", str(exported), str(images(study)), "--out", str(tmp_path / "out"), "--overlay"])
    assert said % 0 in capsys.readouterr().out
    (tmp_path / "bad.png").write_bytes(b"no")
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(exported), str(tmp_path / "bad.png"), "--out", str(tmp_path / "bad")])
    assert ended.value.code == 1
