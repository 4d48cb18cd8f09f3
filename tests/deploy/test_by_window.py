"""TIFFs too large for memory: the results of a smaller image, as tiled TIFFs, written row by row."""

import csv
import re
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import tifffile
from class_networks import EXCLUSIVE, OVERLAPPING, eye, network
from PIL import Image
from tiled_models import OVERLAP, picture, tiled_model

from segstudy.core.atomic_files import DiskError
from segstudy.data import large_tiff
from segstudy.data.image_errors import ImageError
from segstudy.deploy.engines.base import Network
from segstudy.deploy.predict import by_window, tiled_tiff
from segstudy.deploy.predict.folder import predict_files
from segstudy.deploy.predict.inputs import find_images
from segstudy.deploy.predict.measurements import measured
from segstudy.deploy.predict.predictor import Predictor, Settings
from segstudy.deploy.predict.streamed_measures import MeasuredBlocks, StreamedMeasures
from segstudy.deploy.predict.tiled_tiff import TiledTiff

pytest.importorskip("imagecodecs", reason="imagecodecs decodes TIFFs by window")
TILED = {"resize": "tiles", "overlap": OVERLAP}


@pytest.fixture(autouse=True)
def _small_limit(monkeypatch) -> None:
    monkeypatch.setattr(large_tiff, "MAX_PIXELS", 20_000)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "predictions.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def read(file: Path) -> np.ndarray:
    """The values of a TIFF, the same by two other programs."""
    found = tifffile.imread(file)
    with Image.open(file) as image:
        assert np.array_equal(np.asarray(image), found)
    return found


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    """Folders with one image, as a TIFF of tiles that counts as large, and as a PNG."""
    pixels = eye(310, 297)
    for name in ("large", "whole"):
        (tmp_path / name).mkdir()
    tifffile.imwrite(
        tmp_path / "large" / "a.tif", pixels, tile=(64, 64), compression="deflate", photometric="rgb"
    )
    Image.fromarray(pixels).save(tmp_path / "whole" / "a.png")
    return tmp_path / "large", tmp_path / "whole"


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("classes", [EXCLUSIVE, OVERLAPPING])
def test_results_are_those_of_the_image_as_a_whole(both, tmp_path: Path, classes: str, threads: int) -> None:
    predictor = Predictor([network(classes, **TILED)])
    told: list[str] = []
    large, whole = (tmp_path / "by-window", tmp_path / "as-a-whole")
    for images, out in zip(both, (large, whole), strict=True):
        predict_files(predictor, find_images([images]), out, ("probability",), threads, notice=told.append)
    results = sorted(each.relative_to(whole) for each in whole.rglob("*.png"))
    assert sorted(each.relative_to(large) for each in large.rglob("*.tif")) == [
        each.with_suffix(".tif") for each in results
    ]
    for each in results:
        assert np.array_equal(read(large / each.with_suffix(".tif")), np.asarray(Image.open(whole / each))), (
            each
        )
    for found, expected in zip(rows(large), rows(whole), strict=True):
        same = found.keys() - {"image", "mask", "perimeter_px", "num_parts", "results", "confidence"}
        assert {name: found[name] for name in same - {"file_bytes", "file_changed_ns"}} == {
            name: expected[name] for name in same - {"file_bytes", "file_changed_ns"}
        }
        assert float(found["confidence"]) == pytest.approx(float(expected["confidence"]), abs=2e-4)
        assert (found["perimeter_px"], found["num_parts"]) == ("", "")
    assert told == [
        "a.tif: perimeter and number of components are not measured, as it was segmented by window"
    ]


def test_a_palette_has_the_colours_of_the_classes(both, tmp_path: Path) -> None:
    predictor = Predictor([network(EXCLUSIVE, **TILED)])
    for images, out in zip(both, ("l", "w"), strict=True):
        predict_files(predictor, find_images([images]), tmp_path / out)
    large, whole = (
        Image.open(tmp_path / "l" / "masks" / "a.tif"),
        Image.open(tmp_path / "w" / "masks" / "a.png"),
    )
    assert large.mode == "P"
    assert np.array_equal(np.asarray(large.convert("RGB")), np.asarray(whole.convert("RGB")))


def test_a_network_with_a_field_of_view_gives_the_same_too(tmp_path: Path) -> None:
    pixels = picture(150, 203)
    tifffile.imwrite(tmp_path / "a.tif", pixels, rowsperstrip=17, photometric="rgb")
    model = tiled_model(tmp_path / "model")
    predictor = Predictor(model, engine="torch", precision="float32", tta=True)
    predict_files(predictor, find_images([tmp_path / "a.tif"]), tmp_path / "out", ("probability",), 2)
    expected = predictor(pixels)
    found = read(tmp_path / "out" / "probability" / "a.tif")
    assert np.array_equal(found, np.rint(expected.probability * 255))
    assert np.array_equal(read(tmp_path / "out" / "masks" / "a.tif"), 255 * expected.mask.astype(np.uint8))


def test_a_finished_image_is_kept_and_a_changed_result_made_again(both, tmp_path: Path) -> None:
    seen, plain = [], network(EXCLUSIVE, **TILED)

    def forward(images):
        seen.append(len(images))
        return plain.forward(images)

    predictor = Predictor([Network(plain.card, "x", "y", forward)])
    out, parts = tmp_path / "out", []

    def predict() -> int:
        seen.clear()
        predict_files(
            predictor, find_images([both[0]]), out, part=lambda name, share: parts.append((name, share))
        )
        return sum(seen)

    all_windows = len(predictor.windowing.of((310, 297)))
    assert predict() == all_windows
    assert parts[-1] == ("a.tif", 1.0)
    assert [share for _, share in parts] == sorted(share for _, share in parts)
    assert predict() == 0
    before = (out / "masks" / "a.tif").read_bytes()
    (out / "masks" / "a.tif").write_bytes(before[:-5])
    assert predict() == all_windows
    assert (out / "masks" / "a.tif").read_bytes() == before


@pytest.mark.parametrize(
    ("kinds", "settings", "named"),
    [
        (("overlay", "objects"), {}, "--overlay and --objects"),
        (("outline",), {}, "--outline"),
        ((), {"largest_component": True, "fill_holes": True}, "--largest-component and --fill-holes"),
    ],
)
def test_what_needs_all_pixels_is_refused_by_name(both, tmp_path: Path, kinds, settings, named: str) -> None:
    predictor = Predictor([network(EXCLUSIVE, **TILED)], Settings(**settings))
    (row,) = predict_files(predictor, find_images([both[0]]), tmp_path / "out", kinds)
    assert row["error"] == (f"is too large for memory, so it is segmented by window; leave out {named}")
    assert not list((tmp_path / "out").rglob("*.tif*"))


def test_a_model_of_resized_images_names_the_remedy(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("segstudy.data.images.MAX_PIXELS", 20_000)
    Image.fromarray(eye(200, 200)).save(tmp_path / "a.png")
    (row,) = predict_files(Predictor([network(EXCLUSIVE)]), find_images([tmp_path]), tmp_path / "o")
    assert row["error"].endswith(
        "scale it down first, or take a model trained with --resize tiles: it segments TIFFs of any size"
    )
    (row,) = predict_files(
        Predictor([network(EXCLUSIVE, **TILED)]), find_images([tmp_path / "a.png"]), tmp_path / "p"
    )
    assert row["error"].endswith("save it as a TIFF, which is segmented by window at any size")


def test_the_function_for_arrays_names_the_one_for_files(both) -> None:
    with pytest.raises(
        ImageError, match=r"a\.tif: is too large for memory; segstudy\.predict writes its mask"
    ):
        Predictor([network(EXCLUSIVE, **TILED)])(both[0] / "a.tif")


def test_an_image_too_wide_for_memory_is_refused(both, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(by_window, "ROW_BYTES", 100_000)
    predictor = Predictor([network(EXCLUSIVE, **TILED)])
    (row,) = predict_files(predictor, find_images([both[0]]), tmp_path / "out")
    assert row["error"].startswith("297 pixels wide: a row of its windows needs 0.0 GB; cut it")


def test_a_damaged_image_is_a_row_and_leaves_no_half_file(both, tmp_path: Path) -> None:
    file = both[0] / "a.tif"
    file.write_bytes(file.read_bytes()[:-3000])
    predictor = Predictor([network(EXCLUSIVE, **TILED)])
    (row,) = predict_files(predictor, find_images([both[0]]), tmp_path / "out", ("probability",))
    assert "copy or export the file again" in row["error"]
    assert not [each for each in (tmp_path / "out").rglob("*") if each.is_file() and "a.tif" in each.name]


def test_an_interrupted_prediction_leaves_no_half_file_and_ends_soon(both, tmp_path: Path) -> None:
    seen, plain = [], network(EXCLUSIVE, **TILED)

    def forward(images):
        seen.append(len(images))
        return plain.forward(images)

    def stop(done: int, _total: int) -> None:
        if done:
            raise KeyboardInterrupt

    large = both[0] / "a.tif"
    Image.fromarray(eye(20, 20)).save(both[0] / "0.png")
    tifffile.imwrite(large, eye(2000, 1500), tile=(64, 64), photometric="rgb")
    predictor = Predictor([Network(plain.card, "x", "y", forward)])
    with pytest.raises(KeyboardInterrupt):
        predict_files(predictor, find_images([both[0]]), tmp_path / "out", (), 2, progress=stop)
    assert sum(seen) < len(predictor.windowing.of((2000, 1500)))
    assert not [each for each in (tmp_path / "out").rglob("*") if each.is_file() and "a.tif" in each.name]


def test_a_full_disk_is_an_error_of_the_result(both, tmp_path: Path, monkeypatch) -> None:
    def full(self, rows) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TiledTiff, "write", full)
    predictor = Predictor([network(EXCLUSIVE, **TILED)])
    with pytest.raises(DiskError, match=r"a\.tif: cannot be written \(No space left"):
        predict_files(predictor, find_images([both[0]]), tmp_path / "out")
    assert not [each for each in (tmp_path / "out").rglob("*") if each.is_file() and "a.tif" in each.name]


@pytest.mark.slow
def test_a_killed_prediction_leaves_no_half_file_behind_the_next_one(tmp_path: Path) -> None:
    """By the command line, with an image that is really large, if empty."""
    model = tiled_model(tmp_path / "model", image_size=[256, 256], overlap=64)
    tifffile.imwrite(
        tmp_path / "a.tif", shape=(12_000, 9_000, 3), dtype=np.uint8, tile=(512, 512), photometric="rgb",
        compression="deflate", data=(np.full((512, 512, 3), 90, np.uint8) for _ in range(24 * 18)),
    )  # fmt: skip
    command = [sys.executable, "-m", "segstudy", "predict", str(model), str(tmp_path / "a.tif")]
    command += ["--out", str(tmp_path / "out"), "--threads", "1", "--engine", "torch"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    folder = tmp_path / "out" / "masks"
    while not (folder.is_dir() and any(folder.iterdir())):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "a.tif").exists()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    its_own = re.compile(rf"-{process.pid}-")
    while [bool(its_own.search(file.name)) for file in folder.iterdir()] != [True]:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.wait(60)
    assert list(folder.iterdir()) == []


# The parts


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (256, 256), (257, 300), (700, 90)])
def test_a_tiff_is_written_row_by_row(tmp_path: Path, monkeypatch, size, big: bool) -> None:
    if big:
        monkeypatch.setattr(tiled_tiff, "MAX_TIFF_BYTES", 0)
    values = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    with (tmp_path / "a.tif").open("wb") as stream:
        writer = TiledTiff(stream, size)
        for at in range(0, size[0], 37):
            writer.write(values[at : at + 37])
        writer.finish()
    assert np.array_equal(read(tmp_path / "a.tif"), values)
    with tifffile.TiffFile(tmp_path / "a.tif") as opened:
        assert (opened.is_bigtiff, opened.pages[0].is_tiled) == (big, True)


def test_masks_keep_where_their_pixels_lie(both, tmp_path: Path) -> None:
    tags = [
        (33550, "d", 3, (0.5, 0.5, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, 440_720.5, 100_000.0, 0.0), True),
        (34735, "H", 8, (1, 1, 0, 1, 1024, 0, 1, 1), True),
        (34737, "s", 0, "WGS 84|", True),
    ]
    options = {"extratags": tags, "resolution": (20_000.0, 20_000.0), "resolutionunit": 3}
    tifffile.imwrite(both[0] / "a.tif", eye(310, 297), tile=(64, 64), photometric="rgb", **options)
    predict_files(Predictor([network(EXCLUSIVE, **TILED)]), find_images([both[0]]), tmp_path / "out")
    with (
        tifffile.TiffFile(both[0] / "a.tif") as image,
        tifffile.TiffFile(tmp_path / "out" / "masks" / "a.tif") as mask,
    ):
        for code in (282, 283, 296, *(tag[0] for tag in tags)):
            assert mask.pages[0].tags.valueof(code) == image.pages[0].tags.valueof(code), code


@pytest.mark.parametrize("seed", range(4))
def test_measures_of_blocks_are_those_of_the_mask(seed: int) -> None:
    rng = np.random.default_rng(seed)
    prob = rng.random((83, 61), np.float32) ** (seed + 1)
    mask = prob > [0.5, 0.9, 0.98, 2][seed]
    blocks = MeasuredBlocks(mask.shape)
    for top in range(0, 83, 10):
        for left in range(0, 61, 17):
            block = slice(top, top + 10), slice(left, left + 17)
            blocks.add(top, left, mask[block], prob[block])
    found, expected = blocks.measures(), measured(mask, prob)
    for each in fields(StreamedMeasures):
        value = getattr(expected, each.name)
        assert getattr(found, each.name) == (
            pytest.approx(value, abs=1e-4) if each.name == "confidence" else value
        )
