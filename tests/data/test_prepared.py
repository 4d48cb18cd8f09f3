"""The prepared arrays: made once, equal wherever and by whomever they are made."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small import write_dataset

from segstudy.core.cache import cache_folder
from segstudy.core.errors import UserError
from segstudy.core.mask_rules import MaskMeaning
from segstudy.data import fingerprint as module
from segstudy.data.datasets import read
from segstudy.data.fingerprint import fingerprint
from segstudy.data.hashed_arrays import PreparedDataGoneError
from segstudy.data.images import read_image
from segstudy.data.masks import read_mask
from segstudy.data.prepared import open_prepared, prepare
from segstudy.data.preprocess import image_to_network, mask_to_network, numerics, placement
from segstudy.data.samples import Sample

SIZE = (32, 40)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def samples(tmp_path: Path) -> tuple[Sample, ...]:
    return read(write_dataset(tmp_path / "discs", n=6)).samples


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


@pytest.mark.parametrize("resize", ["squash", "pad"])
def test_arrays_are_what_preprocessing_makes_of_every_file(samples, resize) -> None:
    prepared = open_prepared(prepare(samples, fingerprint(samples), SIZE, resize))
    assert prepared.ids == tuple(sorted(s.id for s in samples))
    assert prepared.resize == resize
    by_id = {s.id: s for s in samples}
    for i, sample_id in enumerate(prepared.ids):
        image, mask = read_image(by_id[sample_id].image), read_mask(by_id[sample_id].mask)
        assert np.array_equal(prepared.images[i], image_to_network(image, SIZE, resize))
        assert np.array_equal(prepared.masks[i], mask_to_network(mask, SIZE, resize))
        assert prepared.native_sizes[i] == mask.shape
        assert np.array_equal(prepared.native_mask(i), mask)


def test_native_masks_whose_pixels_fill_no_whole_byte_are_exact(tmp_path: Path) -> None:
    """Nine by eleven pixels are 99 bits; packed side by side each begins on a byte of its own."""
    rng = np.random.default_rng(0)
    samples, masks = [], []
    for i in range(3):
        mask = rng.random((9, 11)) < 0.5
        Image.fromarray(np.zeros((9, 11, 3), np.uint8)).save(tmp_path / f"{i}.png")
        Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / f"{i}_mask.png")
        samples.append(Sample(str(i), tmp_path / f"{i}.png", tmp_path / f"{i}_mask.png", str(i)))
        masks.append(mask)
    prepared = open_prepared(prepare(samples, fingerprint(samples), SIZE, "squash"))
    assert all(np.array_equal(prepared.native_mask(i), mask) for i, mask in enumerate(masks))


def test_positions_are_where_ids_stand(samples) -> None:
    prepared = open_prepared(prepare(samples, fingerprint(samples), SIZE, "squash"))
    wanted = ["disc04", "disc00", "disc05"]
    assert [prepared.ids[i] for i in prepared.positions(wanted)] == wanted


def test_arrays_cannot_be_written_to(samples) -> None:
    prepared = open_prepared(prepare(samples, fingerprint(samples), SIZE, "squash"))
    with pytest.raises(ValueError, match="read-only"):
        prepared.images[0, 0, 0] = 0


def test_a_second_call_decodes_nothing(samples) -> None:
    data = fingerprint(samples)
    folder = prepare(samples, data, SIZE, "squash")
    for sample in samples:
        sample.image.unlink()
    assert prepare(samples, data, SIZE, "squash") == folder


def test_a_deleted_cache_is_made_again_byte_by_byte(samples, cache: Path) -> None:
    folder = prepare(samples, fingerprint(samples), SIZE, "squash")
    before = content(folder)
    shutil.rmtree(cache)
    assert content(prepare(samples, fingerprint(samples), SIZE, "squash")) == before


def test_the_order_of_samples_does_not_matter(samples, cache: Path) -> None:
    before = content(prepare(samples, fingerprint(samples), SIZE, "squash"))
    shutil.rmtree(cache)
    backwards = samples[::-1]
    assert fingerprint(backwards) == fingerprint(samples)
    assert content(prepare(backwards, fingerprint(backwards), SIZE, "squash")) == before


def test_every_setting_has_a_folder_of_its_own(samples) -> None:
    data = fingerprint(samples)
    folders = {
        prepare(samples, data, (32, 40), "squash"),
        prepare(samples, data, (40, 32), "squash"),
        prepare(samples, data, (32, 40), "pad"),
        prepare(samples, data, (32, 40), "squash", meaning=MaskMeaning(foreground=(255,))),
        prepare(samples, "other data", (32, 40), "squash"),
    }
    assert len(folders) == 5


def test_named_foreground_is_the_foreground(samples) -> None:
    data = fingerprint(samples)
    usual = open_prepared(prepare(samples, data, SIZE, "squash"))
    turned = open_prepared(prepare(samples, data, SIZE, "squash", meaning=MaskMeaning(foreground=(0,))))
    assert all(np.array_equal(turned.native_mask(i), ~usual.native_mask(i)) for i in range(len(samples)))


def test_progress_counts_every_sample(samples) -> None:
    seen: list[int] = []
    prepare(samples, fingerprint(samples), SIZE, "squash", progress=seen.append)
    assert seen == [1, 2, 3, 4, 5, 6]


def test_two_processes_at_once_leave_one_whole_folder(samples, cache: Path, tmp_path: Path) -> None:
    """Both start before either has finished: the second finds the folder there when it renames its own."""
    code = (
        "import sys, time, pathlib\n"
        "from segstudy.data.datasets import read\n"
        "from segstudy.data.fingerprint import fingerprint\n"
        "from segstudy.data.prepared import prepare\n"
        "me, other = (pathlib.Path(p) for p in sys.argv[2:])\n"
        "def meet(done):\n"
        "    me.touch()\n"
        "    deadline = time.monotonic() + 30\n"
        "    while not other.exists():\n"
        "        assert time.monotonic() < deadline\n"
        "        time.sleep(0.01)\n"
        "samples = read(sys.argv[1]).samples\n"
        f"print(prepare(samples, fingerprint(samples), {SIZE}, 'squash', progress=meet))\n"
    )
    flags = [tmp_path / "one", tmp_path / "two"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, tmp_path / "discs", *order],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for order in (flags, flags[::-1])
    ]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    folders = {Path(out.decode().strip()) for out, _ in outputs}
    assert list((cache / "prepared").iterdir()) == list(folders)
    alone = content(folders.pop())
    shutil.rmtree(cache)
    assert content(prepare(samples, fingerprint(samples), SIZE, "squash")) == alone


def test_a_cache_that_cannot_be_written_is_told_of(samples, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"cannot be written .*set SEGSTUDY_CACHE to another folder"):
        prepare(samples, fingerprint(samples), SIZE, "squash")


def test_an_unreadable_image_leaves_nothing_behind(samples, cache: Path) -> None:
    samples[3].image.write_bytes(b"no image")
    with pytest.raises(UserError, match=r"disc03\.png"):
        prepare(samples, fingerprint(samples), SIZE, "squash")
    assert list((cache / "prepared").iterdir()) == []


def test_a_mask_of_another_size_is_refused(samples) -> None:
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(samples[2].mask)
    with pytest.raises(UserError, match="disc02: image and mask differ in size"):
        prepare(samples, fingerprint(samples), SIZE, "squash")


def test_the_fingerprint_is_of_ids_and_content_not_of_places(samples, tmp_path: Path) -> None:
    elsewhere = read(shutil.copytree(tmp_path / "discs", tmp_path / "moved")).samples
    assert fingerprint(elsewhere) == fingerprint(samples)


@pytest.mark.parametrize("what", ["id", "image", "mask", "one less", "swapped"])
def test_the_fingerprint_sees_every_change(samples, what: str) -> None:
    before = fingerprint(samples)
    first, second, *rest = samples
    if what == "id":
        changed = [replace(first, id="renamed"), second, *rest]
    elif what == "one less":
        changed = [second, *rest]
    elif what == "swapped":
        changed = [replace(first, image=second.image), replace(second, image=first.image), *rest]
    else:
        file = getattr(first, what)
        file.write_bytes(file.read_bytes() + b"\0")
        changed = list(samples)
    assert fingerprint(changed) != before


def test_a_file_that_went_away_is_named(samples) -> None:
    samples[1].mask.unlink()
    with pytest.raises(UserError, match=r"disc01\.png: cannot be read"):
        fingerprint(samples)


def test_the_cache_lies_where_the_environment_says_or_the_system_keeps_such(cache: Path, monkeypatch) -> None:
    assert cache_folder() == cache
    monkeypatch.delenv("SEGSTUDY_CACHE")
    assert cache_folder().name == "segstudy"


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    samples = read(write_dataset(tmp_path / "set", n=4)).samples
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("segstudy.data.prepared._build", full)
    with pytest.raises(UserError, match=r"No space left.*SEGSTUDY_CACHE"):
        prepare(samples, "f" * 16, (32, 32), "squash")
    assert not list((tmp_path / "cache" / "prepared").iterdir())


# What was altered meanwhile


def flip(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(bytes(content))


@pytest.mark.parametrize("at", [0, 60, 200, -1])
@pytest.mark.parametrize("file", ["images.npy", "masks.npy", "native.bits", "index.json"])
def test_an_altered_byte_anywhere_has_the_data_prepared_again_and_that_is_said(
    samples, caplog, file, at
) -> None:
    data = fingerprint(samples)
    folder = prepare(samples, data, SIZE, "squash")
    before = content(folder)
    flip(folder / file, at)
    with pytest.raises(PreparedDataGoneError, match="run again"):
        open_prepared(folder)
    assert prepare(samples, data, SIZE, "squash") == folder
    assert content(folder) == before
    (said,) = caplog.messages
    assert str(folder) in said
    assert said.endswith("the data are prepared again")
    assert "\n" not in said


def test_an_id_that_was_swapped_in_the_index_is_noticed(samples, caplog) -> None:
    folder = prepare(samples, fingerprint(samples), SIZE, "squash")
    index = folder / "index.json"
    text = index.read_text()
    index.write_text(text.replace("disc00", "x").replace("disc01", "disc00").replace('"x"', '"disc01"'))
    prepare(samples, fingerprint(samples), SIZE, "squash")
    assert index.read_text() == text
    assert "index.json: was altered" in caplog.text


def test_data_that_an_older_version_prepared_without_hashes_are_prepared_again(samples, caplog) -> None:
    folder = prepare(samples, fingerprint(samples), SIZE, "squash")
    before = content(folder)
    index = json.loads((folder / "index.json").read_text())["index"]
    old = {name: index[name] for name in ("ids", "native_sizes", "starts", "resize")}
    (folder / "index.json").write_text(json.dumps(old))
    prepare(samples, fingerprint(samples), SIZE, "squash")
    assert content(folder) == before
    assert "has no hashes" in caplog.text


def test_another_folder_in_its_place_is_noticed(samples, caplog) -> None:
    """Whole and well hashed, but made with another size."""
    data = fingerprint(samples)
    one, other = prepare(samples, data, SIZE, "squash"), prepare(samples, data, SIZE[::-1], "squash")
    before = content(one)
    shutil.rmtree(one)
    shutil.copytree(other, one)
    assert content(prepare(samples, data, SIZE, "squash")) == before
    assert "other data than its name says" in caplog.text


def test_what_is_altered_and_cannot_be_removed_is_refused(samples, monkeypatch) -> None:
    """As in another user's cache."""
    folder = prepare(samples, fingerprint(samples), SIZE, "squash")
    flip(folder / "images.npy", 500)
    remove = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", lambda path, **_: path == folder or remove(path))
    with pytest.raises(UserError, match=r"cannot be removed.*SEGSTUDY_CACHE"):
        prepare(samples, fingerprint(samples), SIZE, "squash")


def test_whole_data_are_prepared_once_and_nothing_is_said(samples, caplog) -> None:
    folder = prepare(samples, fingerprint(samples), SIZE, "squash")
    before = {file.name: file.stat().st_ino for file in folder.iterdir()}
    prepare(samples, fingerprint(samples), SIZE, "squash")
    assert {file.name: file.stat().st_ino for file in folder.iterdir()} == before
    assert not caplog.messages


# Remembered hashes


def test_a_memory_that_was_altered_is_not_believed(samples, hashed, cache, monkeypatch) -> None:
    aged(samples, monkeypatch)
    before = fingerprint(samples)
    (memory,) = (cache / "fingerprints").iterdir()
    files = json.loads(memory.read_text())["files"]
    _, digest = files[str(samples[0].image)]
    memory.write_text(memory.read_text().replace(digest, "0" * 32))
    hashed.clear()
    assert fingerprint(samples) == before
    assert len(hashed) == 12


@pytest.fixture
def hashed(monkeypatch) -> list[Path]:
    """The files whose content is read for a fingerprint."""
    seen: list[Path] = []
    hash_file = module._hash_file
    monkeypatch.setattr(module, "_hash_file", lambda file: seen.append(file) or hash_file(file))
    return seen


def aged(samples, monkeypatch) -> None:
    """As if a while had passed since the files were written."""
    now = time.time_ns()
    monkeypatch.setattr(module.time, "time_ns", lambda: now + 60 * 10**9)


def test_files_that_have_not_changed_are_hashed_once(samples, hashed, monkeypatch) -> None:
    aged(samples, monkeypatch)
    once = fingerprint(samples)
    assert len(hashed) == 12
    assert fingerprint(samples) == once
    assert len(hashed) == 12


def test_a_file_that_was_replaced_is_hashed_again_though_its_size_and_time_are_the_same(
    samples, hashed, monkeypatch
) -> None:
    aged(samples, monkeypatch)
    before = fingerprint(samples)
    file = samples[0].image
    status, content = file.stat(), bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    hashed.clear()
    assert fingerprint(samples) != before
    assert hashed == [file]


def test_a_file_written_just_now_is_not_relied_on(samples, hashed) -> None:
    fingerprint(samples)
    fingerprint(samples)
    assert len(hashed) == 24


@pytest.mark.parametrize("damage", ["", "[]", '{"a": 1}', "no JSON", '{"x": [["a"], 1]}'])
def test_a_damaged_memory_is_none(samples, cache, monkeypatch, damage) -> None:
    aged(samples, monkeypatch)
    before = fingerprint(samples)
    (memory,) = (cache / "fingerprints").iterdir()
    memory.write_text(damage, encoding="utf-8")
    assert fingerprint(samples) == before


def test_where_nothing_can_be_remembered_hashing_goes_on(samples, cache, monkeypatch) -> None:
    before = fingerprint(samples)
    shutil.rmtree(cache / "fingerprints")
    (cache / "fingerprints").write_text("in the way", encoding="utf-8")
    assert fingerprint(samples) == before


# Large JPEG images at reduced scale


def photographs(folder: Path, orientation: int = 1, size: tuple[int, int] = (640, 480)) -> tuple[Sample, ...]:
    """Two smooth photographs as JPEG of this width and height, with masks."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for i in range(2):
        noise = np.random.default_rng(i).integers(40, 220, (24, 32, 3), np.uint8)
        image = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
        exif = Image.Exif()
        exif[0x0112] = orientation
        image.save(folder / "images" / f"{i}.jpg", quality=90, exif=exif)
        mask = np.zeros(size if orientation >= 5 else size[::-1], np.uint8)
        mask[100:300, 100:300] = 255
        Image.fromarray(mask).save(folder / "masks" / f"{i}.png")
    return read(folder).samples


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("resize", ["squash", "pad"])
def test_a_jpeg_decoded_at_reduced_scale_is_the_same_picture(tmp_path, resize, orientation) -> None:
    samples = photographs(tmp_path / "photographs", orientation)
    prepared = open_prepared(prepare(samples, "data", (64, 80), resize))
    for i, sample in enumerate(samples):
        whole = image_to_network(read_image(sample.image), (64, 80), resize)
        off = np.abs(prepared.images[i].astype(int) - whole)
        assert off.max() > 0  # it was decoded another way
        assert off.mean() < 1  # of 255 grey levels
        assert off.max() <= 12
        assert prepared.native_sizes[i] == ((640, 480) if orientation >= 5 else (480, 640))


def test_a_padded_jpeg_lies_where_its_mask_does(tmp_path) -> None:
    """Sizes at which the reduced image, by itself, would be placed a row off."""
    samples = photographs(tmp_path / "photographs", size=(591, 400))
    prepared = open_prepared(prepare(samples, "data", (128, 128), "pad"))
    top, _, height, _ = placement((400, 591), (128, 128), "pad")
    rows = np.flatnonzero(prepared.images[0].any((1, 2)))
    assert (rows[0], rows[-1]) == (top, top + height - 1)


def test_a_jpeg_by_another_name_is_decoded_whole(tmp_path) -> None:
    """The version of a data set's preprocessing goes by names."""
    samples = photographs(tmp_path / "photographs")
    other = [s.image.rename(s.image.with_suffix(".png")) for s in samples]
    renamed = [replace(s, image=image) for s, image in zip(samples, other, strict=True)]
    prepared = open_prepared(prepare(renamed, "data", (64, 80), "squash"))
    assert np.array_equal(prepared.images[0], image_to_network(read_image(other[0]), (64, 80), "squash"))


def test_only_as_much_is_left_out_as_resizing_would_not_see(tmp_path) -> None:
    file = photographs(tmp_path / "photographs")[0].image
    assert read_image(file).shape == (480, 640, 3)
    assert read_image(file, (480, 640)).shape == (480, 640, 3)
    assert read_image(file, (200, 300)).shape == (240, 320, 3)
    assert read_image(file, (241, 300)).shape == (480, 640, 3)
    assert read_image(file, (30, 30)).shape == (60, 80, 3)


def test_only_data_with_jpegs_have_the_version_of_reduced_scale() -> None:
    assert numerics([Path("a.png"), Path("b.bmp")]) == 1
    assert numerics([Path("a.png"), Path("b.JPG")]) == 2
