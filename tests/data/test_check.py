import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fake_data import disc, header_of_png, make_folder, photo, save
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from segstudy.core.mask_rules import AUTO, MaskMeaning
from segstudy.data.check import check, summarise
from segstudy.data.datasets import read
from segstudy.data.duplicates import near_duplicates, thumbnail, turned
from segstudy.data.mask_findings import INVERTED, mask_problems
from segstudy.data.mask_looks import look_at_mask
from segstudy.data.mask_pixels import MaskPixels
from segstudy.data.mask_tables import table_of
from segstudy.data.samples import Problem


def findings(root: Path, meaning: MaskMeaning = AUTO) -> list[tuple[str, str, str]]:
    return [(p.severity, p.kind, p.where) for p in check(read(root), meaning)]


def looks_inverted(mask: np.ndarray) -> bool:
    pixels = MaskPixels(mask.astype(np.uint8))
    found, _ = mask_problems("m.png", look_at_mask(pixels, table_of(pixels, Path("m.png"))), AUTO)
    return INVERTED in {problem.kind for problem in found}


# One faulty file among good ones


def tag_orientation(path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(path) as image:
        image.load()
        image.save(path, exif=exif)


def write_mask(values: np.ndarray) -> Callable[[Path], Path]:
    return lambda root: save(root / "masks" / "b.png", values)


MASK = disc(1)[1]
SOFT = np.linspace(0, 255, MASK.size).reshape(MASK.shape).astype(np.uint8)
SPECKLED = np.where(MASK, 255, 0).astype(np.uint8)
SPECKLED[0, 0] = 100
BLURRED = np.where(MASK, 255, 0).astype(np.uint8)
BLURRED[0, :4] = [3, 100, 200, 250]
COLOURS = np.array([(0, 0, 0), (255, 0, 0), (255, 255, 255)], np.uint8)[np.arange(MASK.size) % 3].reshape(
    *MASK.shape, 3
)

FAULTS = {
    "broken image": (lambda root: (root / "images/b.png").write_bytes(b"x"), "error", "unreadable image"),
    "empty image": (lambda root: (root / "images/b.png").write_bytes(b""), "error", "unreadable image"),
    "broken mask": (lambda root: (root / "masks/b.png").write_bytes(b"x"), "error", "unreadable mask"),
    "1 x 1": (lambda root: save(root / "images/b.png", np.zeros((1, 1), np.uint8)), "error", "tiny image"),
    "other size": (write_mask(disc(1, (20, 30))[1]), "error", "size mismatch"),
    "turned": (lambda root: tag_orientation(root / "images/b.png", 6), "error", "size mismatch"),
    "upside down": (lambda root: tag_orientation(root / "images/b.png", 3), "warning", "EXIF rotation"),
    "soft mask": (write_mask(SOFT), "error", "grey mask"),
    "speckled mask": (write_mask(SPECKLED), "error", "multi-class mask"),
    "blurred mask": (write_mask(BLURRED), "note", "mask with grey values"),
    "three classes": (
        write_mask((np.arange(MASK.size).reshape(MASK.shape) % 3).astype(np.uint8)),
        "error",
        "multi-class mask",
    ),
    "three colours": (write_mask(COLOURS), "error", "coloured mask"),
    "no foreground": (write_mask(np.zeros_like(MASK)), "warning", "empty mask"),
    "all foreground": (write_mask(np.ones_like(MASK)), "warning", "full mask"),
    "inverted": (write_mask(~MASK), "warning", "inverted mask suspected"),
    "mask in colour": (
        write_mask(np.repeat(SPECKLED[..., None] // 255 * 255, 3, 2)),
        "note",
        "mask in colour",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_with_its_file_and_nothing_else_is(tmp_path: Path, fault: str) -> None:
    spoil, severity, kind = FAULTS[fault]
    root = make_folder(tmp_path)
    assert findings(root) == []
    spoil(root)
    [(found_severity, found_kind, where)] = findings(root)
    assert (found_severity, found_kind) == (severity, kind)
    assert where in ("images/b.png", "masks/b.png")


@pytest.mark.parametrize("fault", [name for name, fault in FAULTS.items() if fault[1] == "error"])
def test_every_error_says_what_to_do_and_which_sample_to_exclude(tmp_path: Path, fault: str) -> None:
    root = make_folder(tmp_path)
    FAULTS[fault][0](root)
    [problem] = check(read(root))
    assert ";" in problem.detail
    assert problem.detail.endswith("or exclude b")
    assert str(root) not in problem.detail


def test_a_size_mismatch_that_exif_explains_says_so(tmp_path: Path) -> None:
    root = make_folder(tmp_path)
    tag_orientation(root / "images" / "b.png", 6)
    [problem] = check(read(root))
    assert "24 x 32, but its mask is 32 x 24" in problem.detail
    assert "only the image is turned by its EXIF orientation" in problem.detail


def test_image_and_mask_turned_alike_are_only_noted(tmp_path: Path) -> None:
    root = make_folder(tmp_path)
    tag_orientation(root / "images" / "b.png", 6)
    tag_orientation(root / "masks" / "b.png", 6)
    assert findings(root) == [("note", "EXIF rotation", "images/b.png")]


def test_classes_are_listed_and_foreground_selects_among_them(tmp_path: Path) -> None:
    root = make_folder(tmp_path, ("a",))
    save(
        root / "masks" / "a.png", np.where(MASK, 2, 0).astype(np.uint8) + (np.arange(32) < 5).astype(np.uint8)
    )
    [problem] = check(read(root))
    assert "0, 1, 2" in problem.detail
    assert "--set foreground=" in problem.detail
    assert findings(root, MaskMeaning(AUTO.rule, (2,))) == []
    assert findings(root, MaskMeaning(AUTO.rule, (7,))) == [
        ("warning", "empty mask", "masks/a.png"),
        ("error", "foreground nowhere", root.name),
    ]


def test_the_readers_problems_come_along(tmp_path: Path) -> None:
    root = make_folder(tmp_path)
    (root / "masks" / "a.png").unlink()
    assert findings(root) == [("warning", "unpaired image", "images/a.png")]


# Inverted masks


@given(st.integers(0, 10_000))
@settings(max_examples=50)
def test_a_disc_is_not_inverted_and_its_complement_is(seed: int) -> None:
    mask = disc(seed)[1]
    assert not looks_inverted(mask)
    assert looks_inverted(~mask)


def test_a_lesion_that_fills_all_but_the_corners_is_not_inverted() -> None:
    y, x = np.mgrid[:100, :100]
    assert not looks_inverted(np.hypot(y - 49.5, x - 49.5) < 62)


@pytest.mark.slow
def test_no_mask_of_ph2_is_suspected_and_most_inverted_ones_are(ph2_folder: Path) -> None:
    dataset = read(ph2_folder)
    masks = [np.asarray(Image.open(sample.mask).convert("L")) > 0 for sample in dataset.samples]
    assert sum(map(looks_inverted, masks)) == 0
    assert sum(looks_inverted(~mask) for mask in masks) >= 150


# Duplicates


def test_equal_pixels_are_duplicates_whatever_the_format(tmp_path: Path) -> None:
    root = make_folder(tmp_path)
    Image.open(root / "images" / "a.png").save(root / "images" / "c.bmp")
    (root / "images" / "c.png").unlink()
    assert findings(root) == [("warning", "duplicate images", "a, c")]


def test_duplicates_across_official_parts_are_an_error(tmp_path: Path) -> None:
    make_folder(tmp_path / "train", seed=0)
    make_folder(tmp_path / "val", ("x",), seed=1)
    make_folder(tmp_path / "test", ("y",), seed=9)
    assert findings(tmp_path) == [("error", "duplicate images", "train/b, val/x")]


def test_duplicates_within_a_group_do_no_harm(tmp_path: Path) -> None:
    root = make_folder(tmp_path, ("a", "b"))
    save(root / "images" / "b.png", disc(0)[0])
    (root / "metadata.csv").write_text("id,group\na,p\nb,p\n")
    assert findings(root) == [("note", "several samples of a group", "a, b")]


def jpeg(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=50)
    return Image.open(stream).convert("RGB")


def copies(image: Image.Image) -> dict[str, Image.Image]:
    width, height = image.size
    red, green, blue = image.split()
    return {
        "scaled": image.resize((97, 71)),
        "of another shape": image.resize((90, 90)),
        "compressed": jpeg(image),
        "darker": ImageEnhance.Brightness(image).enhance(0.7),
        "less contrast": ImageEnhance.Contrast(image).enhance(0.6),
        "redder": Image.merge(
            "RGB", (red, green.point(lambda v: int(v * 0.8)), blue.point(lambda v: int(v * 0.8)))
        ),
        "shifted": image.transform(
            image.size, Image.Transform.AFFINE, (1, 0, 4, 0, 1, -3), fillcolor=(190,) * 3
        ),
        "cropped to 95 %": image.crop((6, 1, 6 + round(0.95 * width), 1 + round(0.95 * height))),
        "cropped to 90 % at a corner": image.crop((0, 0, round(0.9 * width), round(0.9 * height))),
    }


@pytest.mark.parametrize("turn", range(8))
@pytest.mark.parametrize("how", copies(photo(0)))
def test_a_changed_copy_is_found_in_every_orientation_among_photographs_of_its_kind(
    how: str, turn: int
) -> None:
    images = [np.asarray(photo(seed)) for seed in range(12)]
    copy = turned(np.moveaxis(np.asarray(copies(photo(7))[how]), 2, 0), turn)
    images.append(np.ascontiguousarray(np.moveaxis(copy, 0, 2)))
    assert near_duplicates(np.stack([thumbnail(image) for image in images])) == [(7, 12)]


def test_a_copy_is_found_from_either_side() -> None:
    whole, part = photo(3), copies(photo(3))["cropped to 90 % at a corner"].rotate(90, expand=True)
    for first, second in ((whole, part), (part, whole)):
        images = [np.asarray(image) for image in (first, photo(0), second)]
        assert near_duplicates(np.stack([thumbnail(image) for image in images])) == [(0, 2)]


def test_frames_of_a_still_scene_are_connected_by_few_pairs() -> None:
    scene = thumbnail(np.asarray(photo(0))).astype(int)
    noise = np.random.default_rng(0).normal(0, 3, (300, *scene.shape))
    frames = (scene + noise).clip(0, 255).astype(np.uint8)
    start = time.process_time()
    found = near_duplicates(frames)
    assert len(found) == 299
    assert {0}.union(*found) == set(range(300))
    assert time.process_time() - start < 10, "0.6 s; each with each are 45,000 pairs"


def test_known_images_are_compared_with_the_others_only() -> None:
    images = [photo(0), photo(0), photo(1), photo(1).rotate(180), photo(1).rotate(90, expand=True)]
    thumbnails = np.stack([thumbnail(np.asarray(image)) for image in images])
    assert near_duplicates(thumbnails) == [(0, 1), (2, 3), (2, 4)]
    assert near_duplicates(thumbnails, 3) == [(2, 3), (2, 4)]


def test_photographs_that_look_alike_only_at_a_glance_are_no_duplicates() -> None:
    thumbnails = np.stack([thumbnail(np.asarray(photo(seed, texture_sd=8))) for seed in range(20)])
    glance = thumbnails.reshape(20, 16, 4, 16, 4).mean((2, 4)).reshape(20, -1)
    assert np.corrcoef(glance).min() > 0.95
    assert near_duplicates(thumbnails) == []


def test_near_duplicates_are_a_warning_that_names_both(tmp_path: Path) -> None:
    for stem, image in (("a", photo(0)), ("b", photo(1)), ("c", copies(photo(0))["darker"])):
        save(tmp_path / "images" / f"{stem}.png", np.asarray(image))
        save(tmp_path / "masks" / f"{stem}.png", disc(0, (120, 160))[1])
    assert findings(tmp_path) == [("warning", "near-duplicate images", "a, c")]


def test_that_an_index_looked_for_near_duplicates_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segstudy.data.duplicates.MOST_EACH_WITH_EACH", 2)
    monkeypatch.setattr("segstudy.data.duplicates.likely_pairs", lambda *_: iter(()))
    for stem, seed in (("a", 0), ("b", 1), ("c", 2)):
        save(tmp_path / "images" / f"{stem}.png", np.asarray(photo(seed)))
        save(tmp_path / "masks" / f"{stem}.png", disc(0, (120, 160))[1])
    assert findings(tmp_path) == [("note", "many images", "3 images")]


def test_blank_images_match_nothing() -> None:
    assert near_duplicates(np.full((3, 64, 64), 7, np.uint8)) == []


def test_pairs_are_found_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    thumbnails = np.stack([thumbnail(np.asarray(photo(seed))) for seed in (*range(12), 0, 5, 11)])
    whole = near_duplicates(thumbnails)
    monkeypatch.setattr("segstudy.data.duplicates.BLOCK", 4)
    assert near_duplicates(thumbnails) == whole == [(0, 12), (5, 13), (11, 14)]


# Groups


def test_a_group_in_several_official_parts_is_an_error(tmp_path: Path) -> None:
    root = make_folder(tmp_path)
    (root / "metadata.csv").write_text("id,group,part\na,p,train\nb,p,test\nc,q,validation\n")
    assert findings(root) == [("error", "group in several parts", "a, b")]


# The summary


def test_the_summary_counts_by_kind_errors_first_and_gives_examples() -> None:
    problems = [Problem("note", "grey", f"{i}.png", "some") for i in range(9)]
    problems += [
        Problem("warning", "empty", "x.png", "no foreground"),
        Problem("error", "bad", "y.png", "cannot"),
    ]
    assert summarise(problems, examples=2) == [
        "error: bad (1)",
        "    y.png: cannot",
        "warning: empty (1)",
        "    x.png: no foreground",
        "note: grey (9)",
        "    0.png: some",
        "    1.png: some",
        "    and 7 more",
    ]


# Real data


@pytest.mark.slow
def test_ph2_has_one_colour_mask_one_pair_of_one_lesion_and_nothing_else(ph2_folder: Path) -> None:
    assert findings(ph2_folder) == [
        ("note", "mask in colour", "PH2 Dataset images/IMD002/IMD002_lesion/IMD002_lesion.bmp"),
        ("note", "several samples of a group", "IMD199, IMD200"),
    ]


def test_the_real_isic_sample_is_clean(shared_data: Path) -> None:
    assert [kind for _, kind, _ in findings(shared_data / "isic2017_fullsize")] == ["missing part"]


@pytest.mark.slow
def test_two_thousand_small_pairs_take_seconds_and_their_true_duplicates_are_found(shared_data: Path) -> None:
    start = time.process_time()
    found = findings(shared_data / "isic2017_256x192")
    assert time.process_time() - start < 40, "14 s of one core"
    copies_found = [f for f in found if f[1] in ("duplicate images", "near-duplicate images")]
    assert [f for f in found if f[0] == "error"] == [f for f in copies_found if "val" in f[2]]
    assert {where for severity, _, where in copies_found if severity == "error"} == {
        "train/0360, val/0073",
        "train/0491, val/0038",
        "train/0613, val/0044",
        "train/0990, val/0050",
    }
    assert sum(kind == "near-duplicate images" for _, kind, _ in copies_found) == 17


def test_an_image_that_is_too_large_can_be_cut_into_pieces(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "set")
    header_of_png(root / "images" / "b.png", 20_000, 20_000)
    (found,) = (p for p in check(read(root)) if p.severity == "error" and "b.png" in p.where)
    assert found.kind == "oversized image"
    assert (
        "cut image and mask into pieces (a model of --resize tiles predicts TIFFs of any size)"
        in found.detail
    )
    assert found.detail.endswith("or exclude b")
