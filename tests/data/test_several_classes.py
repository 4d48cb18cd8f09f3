"""What `check` says of masks of several classes: proposed, named, refused, counted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small import CLASSES, write_classes, write_dataset

import segstudy
from segstudy.core.classes import parse_classes
from segstudy.core.mask_rules import AUTO, MaskMeaning, MaskRule
from segstudy.core.outputs import IGNORED_BITS
from segstudy.core.palette import rgb_of
from segstudy.data.check import Examined, examine, refuse_errors
from segstudy.data.class_options import class_options
from segstudy.data.datasets import read
from segstudy.data.fingerprint import fingerprint
from segstudy.data.images import ImageError
from segstudy.data.mask_looks import look_at_mask
from segstudy.data.mask_pixels import MaskPixels, packed
from segstudy.data.mask_survey import infer
from segstudy.data.mask_tables import MaskTable, table_of
from segstudy.data.masks import read_mask
from segstudy.data.sources import PerClass
from segstudy.data.survey import summary, survey
from segstudy.reporting.small_pictures import CLASS_LAYER, class_places
from segstudy.study.options import meaning_of

THREE = MaskMeaning(AUTO.rule, classes=parse_classes(CLASSES))


def table(*values: int, lossy: bool = False) -> MaskTable:
    kind = np.uint8 if max(values) < 256 else np.uint16
    return table_of(MaskPixels(np.array([values], kind), lossy=lossy), Path("m.png"))


def kinds(found: Examined, severity: str) -> list[str]:
    return [problem.kind for problem in found.problems if problem.severity == severity]


# The options that are proposed


def test_every_value_of_all_masks_is_proposed_as_a_class() -> None:
    assert class_options([table(0, 1), table(0, 3)]) == "--classes background=0,class1=1,class3=3"
    assert class_options([table(0, 1000, 2000)]) == "--classes background=0,class1000=1000,class2000=2000"


def test_255_above_small_numbers_is_proposed_as_ignored_unless_it_has_a_name() -> None:
    assert class_options([table(0, 1, 255)]) == "--classes background=0,class1=1 --ignore 255"
    assert class_options([table(0, 1, 255)], [(255, "sky")]) == "--classes background=0,class1=1,sky=255"
    assert class_options([table(0, 128, 255)]) == "--classes background=0,class128=128,class255=255"


def test_values_that_are_named_as_of_no_class_are_proposed_as_ignored() -> None:
    names = [(1, "cat"), (2, "Void"), (3, "avoided"), (255, "the border between objects, of no class")]
    assert class_options([table(0, 1, 2, 3, 255)], names) == (
        "--classes background=0,cat=1,avoided=3 --ignore 2+255"
    )
    assert class_options([table(0, 1, 2, 9)], ignore=(9,)) == (
        "--classes background=0,class1=1,class2=2 --ignore 9"
    )


def test_names_are_those_of_the_data_set() -> None:
    names = [(0, "_background_"), (1, "optic disc"), (2, "cup, inner"), (9, "not there")]
    assert class_options([table(0, 1, 2)], names) == "--classes 'background=0,optic disc=1,cup inner=2'"
    assert class_options([table(0, 1)], [(0, "road"), (1, "Road")]) == "--classes road=0,Road-1=1"
    assert class_options([table(1, 2)], [(1, "a"), (2, "background")]) == "--classes a=1,class2=2"


def test_colours_are_proposed_as_colours() -> None:
    rgb = np.array([[(0, 0, 0), (255, 0, 0), (0, 0, 255)]], np.uint8)
    pixels = MaskPixels(packed(rgb), "colour", "RGB")
    options = class_options([table_of(pixels, Path("m.png"))], [("#0000ff", "sky")])
    assert options == "--classes 'background=#000000,sky=#0000ff,class2=#ff0000'"


def test_blurred_masks_fractions_and_single_values_are_no_classes() -> None:
    assert class_options([table(0, 1, 2, lossy=True)]) == ""
    assert class_options([table(0), table(0)]) == ""
    assert class_options([]) == ""
    assert class_options([table_of(MaskPixels(np.array([[0.0, 0.5, 1.0]])), Path("m.tif"))]) == ""


def test_few_odd_masks_among_black_and_white_ones_are_no_classes() -> None:
    assert class_options([table(0, 255), table(0, 255), table(0, 1, 2)]) == ""
    assert class_options([table(0, 255), table(0, 1, 255), table(0, 2)]) != ""


# Classes with mask values


def test_several_classes_are_refused_with_both_remedies(tmp_path: Path) -> None:
    found = examine(read(write_classes(tmp_path / "eyes")))
    (problem,) = [each for each in found.problems if each.severity == "error"]
    options = "--classes background=0,class1=1,class2=2"
    remedies = (options, "--foreground 1 (run: --set foreground=1)", "--masks background=0")
    places = [problem.detail.index(remedy) for remedy in remedies]
    assert places == sorted(places)
    assert len(problem.samples) == 9
    assert found.class_options == options
    assert not any(options in line for line in summary(survey(tmp_path / "eyes")))  # the error says it
    with pytest.raises(ValueError, match=r"names the other choices$") as refused:
        refuse_errors(found.problems)
    assert options in str(refused.value)
    assert "--masks" not in str(refused.value)


def test_named_classes_pass_and_are_counted(tmp_path: Path) -> None:
    found = examine(read(write_classes(tmp_path / "eyes")), THREE)
    assert kinds(found, "error") == kinds(found, "warning") == []
    assert found.masks.meaning == MaskMeaning(MaskRule("larger"), classes=THREE.classes)
    assert found.class_options == ""
    assert [share.name for share in found.class_shares] == ["background", "disc", "cup"]
    assert [share.num_masks for share in found.class_shares] == [12, 12, 9]
    assert sum(share.pixel_frac for share in found.class_shares) == pytest.approx(1)
    masks = [read_mask(sample.mask, THREE) for sample in read(tmp_path / "eyes").samples]
    assert found.class_shares[2].pixel_frac == pytest.approx(
        sum((mask == 2).sum() for mask in masks) / sum(mask.size for mask in masks)
    )
    line = next(each for each in summary(survey(tmp_path / "eyes", meaning=THREE)) if "classes:" in each)
    assert line.startswith("classes: background ")
    assert "; cup 2." in line or "; cup" in line
    assert line.endswith("of the pixels, in 9 of 12 masks")


def test_classes_without_a_background_are_said_to_count_all(tmp_path: Path) -> None:
    write_classes(tmp_path / "eyes", 6)
    without = "classes: none is called background, so all count in the scores"
    assert without not in summary(survey(tmp_path / "eyes", meaning=THREE))
    misspelled = replace(THREE, classes=parse_classes("backgruond=0,disc=1,cup=2"))
    lines = summary(survey(tmp_path / "eyes", meaning=misspelled))
    assert without in lines
    assert not any("masks =" in line for line in lines)


def test_a_value_without_a_class_and_a_class_without_a_pixel_are_said(tmp_path: Path) -> None:
    dataset = read(write_classes(tmp_path / "eyes", void=True))
    found = examine(dataset, THREE)
    assert set(kinds(found, "error")) == {"multi-class mask"}
    assert "no class has: 255" in found.problems[0].detail
    four = MaskMeaning(AUTO.rule, classes=parse_classes(f"{CLASSES},vessel=7"), ignore=(255,))
    found = examine(dataset, four)
    assert kinds(found, "error") == []
    assert [(p.kind, p.detail) for p in found.problems if p.severity == "warning"] == [
        ("class nowhere", "no mask holds the class vessel: nothing can be learnt or scored of it")
    ]


def test_a_part_without_a_class_is_said(tmp_path: Path) -> None:
    write_classes(tmp_path / "eyes", n=8)
    rows = [f"eye{i:02},{'test' if i in (0, 4) else 'train'}" for i in range(8)]
    (tmp_path / "eyes/metadata.csv").write_text("\n".join(["id,part", *rows]))
    found = examine(read(tmp_path / "eyes"), THREE)
    assert ("class nowhere", "eyes, test") in [(p.kind, p.where) for p in found.problems]


def test_a_mask_of_background_alone_is_said_and_nothing_is_called_inverted(tmp_path: Path) -> None:
    write_classes(tmp_path / "eyes", n=6)
    for i in range(4):
        mask = np.full((44, 48), 1, np.uint8)
        mask[10:30, 10:30] = 0
        Image.fromarray(mask).save(tmp_path / f"eyes/masks/eye0{i}.png")
        Image.fromarray(np.zeros((44, 48, 3), np.uint8) + np.uint8(40 * i)).save(
            tmp_path / f"eyes/images/eye0{i}.png"
        )
    Image.fromarray(np.zeros((44, 48), np.uint8)).save(tmp_path / "eyes/masks/eye03.png")
    warned = kinds(examine(read(tmp_path / "eyes"), THREE), "warning")
    assert warned.count("empty mask") == 1
    assert not any("inverted" in kind or "full" in kind for kind in warned)


# Pixels to ignore


def test_ignored_pixels_of_binary_masks_are_not_seen(tmp_path: Path) -> None:
    dataset = read(write_classes(tmp_path / "eyes", void=True))
    found = examine(dataset, MaskMeaning(AUTO.rule, ignore=(2, 255)))
    assert kinds(found, "error") == []
    assert found.masks.meaning == MaskMeaning(MaskRule("larger"), ignore=(2, 255))
    sample = dataset.samples[1]
    mask = read_mask(sample.mask, found.masks.meaning)
    assert set(np.unique(mask)) == {0, 1, 255}
    counting = mask != 255
    assert found.foreground_fracs[sample.id] == pytest.approx((mask == 1).sum() / counting.sum())


def test_a_rule_beside_ignored_values_is_found_from_the_others(tmp_path: Path) -> None:
    write_classes(tmp_path / "eyes", n=6)
    for file in (tmp_path / "eyes/masks").iterdir():
        values = np.asarray(Image.open(file))
        Image.fromarray(np.array([255, 7, 5], np.uint8)[values]).save(file)
    found = examine(read(tmp_path / "eyes"), MaskMeaning(AUTO.rule, ignore=(255,)))
    assert found.masks.meaning == MaskMeaning(MaskRule("background", "5"), ignore=(255,))
    assert kinds(found, "error") == []


def test_an_image_of_ignored_pixels_alone_is_said(tmp_path: Path) -> None:
    write_dataset(tmp_path / "discs", n=4)
    Image.fromarray(np.full((40, 48), 7, np.uint8)).save(tmp_path / "discs/masks/disc00.png")
    found = examine(read(tmp_path / "discs"), MaskMeaning(AUTO.rule, ignore=(7,)))
    assert kinds(found, "warning") == ["ignored mask"]
    assert kinds(found, "error") == []


# Classes that may overlap


def test_a_folder_for_each_class_is_read_as_classes_that_overlap(tmp_path: Path) -> None:
    dataset = read(write_classes(tmp_path / "eyes", overlapping=True))
    assert len(dataset.samples) == 12
    sample = dataset.samples[1]
    assert isinstance(sample.mask, PerClass)
    assert [name for name, _ in sample.mask.masks] == ["cup", "disc"]
    meaning = MaskMeaning(AUTO.rule, classes=parse_classes("disc,cup"))
    found = examine(dataset, meaning)
    assert kinds(found, "error") == kinds(found, "warning") == []
    assert [(share.name, share.num_masks) for share in found.class_shares] == [("disc", 12), ("cup", 9)]
    files = [
        np.asarray(Image.open(tmp_path / f"eyes/masks/{name}/eye01.png")) > 0 for name in ("disc", "cup")
    ]
    mask = read_mask(sample.mask, found.masks.meaning)
    assert mask.dtype == np.uint16
    assert np.array_equal(mask, files[0] + np.uint16(2) * files[1])
    reversed_order = MaskMeaning(classes=parse_classes("cup,disc"))
    assert np.array_equal(read_mask(sample.mask, reversed_order), files[1] + np.uint16(2) * files[0])
    assert np.array_equal(read_mask(sample.mask, MaskMeaning(classes=parse_classes("cup,other"))), files[1])


def test_a_folder_for_each_class_without_classes_is_refused_with_the_line(tmp_path: Path) -> None:
    dataset = read(write_classes(tmp_path / "eyes", overlapping=True))
    for meaning in (AUTO, THREE):
        found = examine(dataset, meaning)
        assert kinds(found, "error") == ["masks per class"]
        with pytest.raises(ValueError, match="--classes cup,disc; to train on one of them alone"):
            refuse_errors(found.problems)
    with pytest.raises(ImageError, match="--classes cup,disc"):
        read_mask(dataset.samples[0].mask)
    unknown = examine(dataset, MaskMeaning(AUTO.rule, classes=parse_classes("disc,rim")))
    assert "no folder holds the masks of class rim; there are cup, disc" in unknown.problems[0].detail


def test_a_folder_of_the_background_is_no_class(tmp_path: Path) -> None:
    write_classes(tmp_path / "eyes", n=3, overlapping=True)
    (tmp_path / "eyes/masks/background").mkdir()
    for file in (tmp_path / "eyes/masks/disc").iterdir():
        outside = 255 - np.asarray(Image.open(file))
        Image.fromarray(outside).save(tmp_path / "eyes/masks/background" / file.name)
    (problem,) = [p for p in examine(read(tmp_path / "eyes")).problems if p.kind == "masks per class"]
    assert "--classes cup,disc;" in problem.detail
    found = examine(read(tmp_path / "eyes"), MaskMeaning(AUTO.rule, classes=parse_classes("cup,disc")))
    assert kinds(found, "error") == []


def test_overlapping_classes_without_masks_each_are_refused(tmp_path: Path) -> None:
    dataset = read(write_classes(tmp_path / "eyes"))
    meaning = MaskMeaning(AUTO.rule, classes=parse_classes("disc,cup"))
    assert "masks per class" in kinds(examine(dataset, meaning), "error")
    with pytest.raises(ImageError, match="need masks each"):
        read_mask(dataset.samples[0].mask, meaning)


def test_files_of_one_class_may_lack_and_the_innermost_folder_may_be_the_class(tmp_path: Path) -> None:
    write_classes(tmp_path / "eyes", overlapping=True)
    for i in (0, 4, 8):
        (tmp_path / f"eyes/masks/cup/eye{i:02}.png").unlink()
    for folder in (tmp_path / "eyes/images", tmp_path / "eyes/masks"):
        for old in [*folder.iterdir()]:
            (folder / "left").mkdir(exist_ok=True)
            old.rename(folder / "left" / old.name)
    dataset = read(tmp_path / "eyes")
    assert [sample.id for sample in dataset.samples[:2]] == ["left/eye00", "left/eye01"]
    found = examine(dataset, MaskMeaning(AUTO.rule, classes=parse_classes("disc,cup")))
    warned = [problem for problem in found.problems if problem.severity == "warning"]
    assert ("class without file", "cup/") in [(problem.kind, problem.where) for problem in warned]
    assert any("no file of class cup for 3 images, the first is left/eye00" in each.detail for each in warned)
    assert found.class_shares[1].num_masks == 9


def test_a_fingerprint_holds_the_class_of_each_mask(tmp_path: Path) -> None:
    write_classes(tmp_path / "eyes", n=3, overlapping=True)
    before = fingerprint(read(tmp_path / "eyes").samples)
    assert fingerprint(read(tmp_path / "eyes").samples) == before
    for old, new in (("disc", "rim"), ("cup", "disc"), ("rim", "cup")):
        (tmp_path / f"eyes/masks/{old}").rename(tmp_path / f"eyes/masks/{new}")
    assert fingerprint(read(tmp_path / "eyes").samples) != before


def test_masks_of_classes_that_differ_in_size_or_ignore_pixels(tmp_path: Path) -> None:
    write_classes(tmp_path / "eyes", n=4, overlapping=True)
    file = tmp_path / "eyes/masks/cup/eye01.png"
    values = np.array(Image.open(file))
    values[:5] = 128
    Image.fromarray(values).save(file)
    meaning = MaskMeaning(MaskRule("background", "0"), classes=parse_classes("disc,cup"), ignore=(128,))
    dataset = read(tmp_path / "eyes")
    mask = read_mask(dataset.samples[1].mask, meaning)
    assert (mask[:5] == IGNORED_BITS).all()
    assert (mask[5:] < 4).all()
    Image.fromarray(values[1:]).save(file)
    with pytest.raises(ImageError, match="differs in size from the mask of another class"):
        read_mask(dataset.samples[1].mask, meaning)


# What `check` writes


@pytest.mark.parametrize(
    ("layout", "options"),
    [
        ({}, {"classes": CLASSES}),
        ({"void": True}, {"classes": CLASSES, "ignore": 255}),
        ({"overlapping": True}, {"classes": "disc,cup"}),
        ({"void": True}, {"foreground": "1+2", "ignore": 255}),
    ],
)
def test_what_is_written_out_is_read_again_as_the_same_masks(tmp_path: Path, layout, options) -> None:
    write_classes(tmp_path / "eyes", n=4, **layout)
    meaning = meaning_of(**options)
    assert segstudy.check(tmp_path / "eyes", **options, write=tmp_path / "out") == []
    again = {"ignore": 128} if "foreground" in options else options
    assert not any(each.severity == "error" for each in segstudy.check(tmp_path / "out", **again))
    rule = survey(tmp_path / "out", meaning=meaning_of(**again)).masks.meaning
    pairs = zip(read(tmp_path / "eyes").samples, read(tmp_path / "out").samples, strict=True)
    for sample, other in pairs:
        assert sample.id == other.id
        found = survey(tmp_path / "eyes", meaning=meaning).masks.meaning
        assert np.array_equal(read_mask(sample.mask, found), read_mask(other.mask, rule))


def test_the_page_shows_each_class_in_its_colour(tmp_path: Path) -> None:
    write_classes(tmp_path / "eyes", n=4, void=True)
    segstudy.check(tmp_path / "eyes", classes=CLASSES, ignore=255, html=tmp_path / "check.html")
    page = (tmp_path / "check.html").read_text(encoding="utf-8")
    legend = page[page.index('<ul class="legend">') : page.index("</ul>", page.index('<ul class="legend">'))]
    assert "disc" in legend
    assert "cup" in legend
    assert "background" not in legend.replace("background:", "")
    mask = read_mask(tmp_path / "eyes/masks/eye01.png", meaning_of(classes=CLASSES, ignore=255))
    places = class_places(
        mask, (mask.shape[1], mask.shape[0]), meaning_of(classes=CLASSES, ignore=255).outputs
    )
    assert (places[mask == 255] == len(CLASS_LAYER) - 1).all()
    centre = tuple(int(np.mean(axis)) for axis in np.nonzero(mask == 2))
    assert CLASS_LAYER[places[centre]][:3] == rgb_of(2)


def test_the_page_of_a_folder_per_class_that_is_not_named_shows_no_masks(tmp_path: Path) -> None:
    write_classes(tmp_path / "eyes", n=4, overlapping=True)
    found = segstudy.check(tmp_path / "eyes", html=tmp_path / "check.html")
    assert [problem.kind for problem in found] == ["masks per class"]


def test_objects_that_overlap_in_other_classes_are_said(tmp_path: Path) -> None:
    write_classes(tmp_path / "eyes", n=4)
    first = np.asarray(Image.open(tmp_path / "eyes/masks/eye01.png"))
    (tmp_path / "eyes/masks/eye01.png").unlink()
    for number in (1, 2):
        object_mask = np.where(first >= 1, number, 0).astype(np.uint8)
        Image.fromarray(object_mask).save(tmp_path / f"eyes/masks/eye01_{number}.png")
    found = examine(read(tmp_path / "eyes"), THREE)
    (warning,) = [problem for problem in found.problems if problem.kind == "overlapping classes"]
    assert warning.detail == f"{(first >= 1).sum()} pixels of its masks are of several classes; " + (
        "the larger value counts there"
    )


# Colours in other channels in other masks


def colour_table(*colours: int) -> MaskTable:
    return table_of(MaskPixels(np.array([colours], np.uint32), kind="colour", mode="RGB"), Path("m.png"))


def test_colours_of_which_other_masks_use_other_channels_are_proposed_as_colours() -> None:
    red, green = colour_table(0, 0xFF0000), colour_table(0, 0x00FF00)
    words = class_options([red, green])
    assert words == "--classes 'background=#000000,class1=#00ff00,class2=#ff0000'"
    assert (
        class_options([red, colour_table(0, 0xC80000)]) == "--classes background=0,class200=200,class255=255"
    )


def test_numbers_of_masks_in_other_channels_are_refused_and_colours_are_not() -> None:
    rgb = [np.zeros((1, 2, 3), np.uint8) for _ in range(2)]
    rgb[0][0, 1, 0] = rgb[1][0, 1, 1] = 255
    masks = [MaskPixels(packed(each), kind="colour", mode="RGB") for each in rgb]
    looks = [look_at_mask(mask, table_of(mask, Path("m.png"))) for mask in masks]
    numbers = MaskMeaning(AUTO.rule, classes=parse_classes("background=0,both=255"))
    colours = MaskMeaning(AUTO.rule, classes=parse_classes("background=#000000,a=#ff0000,b=#00ff00"))
    assert [error.kind for error in infer(looks, numbers).unfit.values()] == ["coloured"] * 2
    assert not infer(looks, colours).unfit


@pytest.mark.parametrize("other", [(0, 255, 0), (255, 255, 0)])
@pytest.mark.parametrize("named", [MaskMeaning(AUTO.rule, (255,)), MaskMeaning(AUTO.rule, ignore=(255,))])
def test_a_number_that_means_several_colours_is_no_foreground_and_not_ignored(
    named: MaskMeaning, other: tuple[int, int, int]
) -> None:
    rgb = [np.zeros((1, 2, 3), np.uint8) for _ in range(2)]
    rgb[0][0, 1], rgb[1][0, 1] = (255, 0, 0), other
    masks = [MaskPixels(packed(each), kind="colour", mode="RGB") for each in rgb]
    looks = [look_at_mask(mask, table_of(mask, Path("m.png"))) for mask in masks]
    found = infer(looks, named)
    assert len(found.unfit) == 2
    assert found.refusal
    assert f"255 means #ff0000, #{bytes(other).hex()}" in found.refusal.what or other[0] == 0
    assert not infer(looks[:1] * 2, MaskMeaning(AUTO.rule, (255,))).unfit
    both = MaskMeaning(AUTO.rule, (f"#{bytes(other).hex()}", "#ff0000"))
    assert not infer(looks, both).unfit
