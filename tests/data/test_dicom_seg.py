"""DICOM-SEG: masks of images by UID; several segments, fractions, frames that are missing or misplaced."""

from pathlib import Path

import numpy as np
import pytest
from fake_data import disc, save
from medical_writers import CT, label_map, save_dicom, segmentation

from segstudy.core.errors import UserError
from segstudy.core.mask_rules import AUTO, MaskMeaning
from segstudy.data.check import check, examine
from segstudy.data.datasets import read
from segstudy.data.images import ImageError
from segstudy.data.mask_pixels import decode_mask
from segstudy.data.survey import survey

SIDE = (24, 30)
NUMBER = 5


def series(root: Path, number: int = NUMBER, **elements: object) -> list:
    """Slices of a scanner, some without suffix."""
    return [
        save_dicom(
            root / f"series/IM{i}{'' if i % 2 else '.dcm'}",
            disc(i, SIDE)[0][..., 0].astype(np.uint16),
            sop_class=CT,
            PatientID=f"P{i // 2}",
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            ImagePositionPatient=[0, 0, 2.5 * i],
            **elements,
        )
        for i in range(number)
    ]


def mask(i: int) -> np.ndarray:
    return disc(i, SIDE)[1]


def written(file: Path, found: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    found.save_as(file, enforce_file_format=True)


def errors_of(root: Path) -> list[str]:
    """What is wrong; of a data set without any usable image the refusal."""
    try:
        return [f"{each.where}: {each.detail}" for each in read(root).problems if each.severity == "error"]
    except UserError as error:
        return [str(error)]


def test_frames_find_their_images_by_uid_and_images_without_a_frame_have_empty_masks(tmp_path: Path) -> None:
    images = series(tmp_path)
    frames = [(i, 1, mask(i)) for i in (4, 0, 3, 1)]  # in any order, one image without
    written(tmp_path / "results/any.dcm", segmentation(images, frames, {1: "lesion"}))
    dataset = read(tmp_path)
    assert dataset.reader == "dicom_seg"
    assert [sample.id for sample in dataset.samples] == [f"series/IM{i}" for i in range(NUMBER)]
    for i, sample in enumerate(dataset.samples):
        assert (decode_mask(sample.mask).values.astype(bool) == (mask(i) & (i != 2))).all()
    assert [sample.group for sample in dataset.samples] == [
        f"patient-{i // 2 + 1:03d}" for i in range(NUMBER)
    ]
    assert str(dataset.account) == "6 files in the data set's folder, all used"
    assert [problem.kind for problem in check(dataset) if problem.severity == "warning"] == ["empty mask"]


def test_segments_are_classes_with_names(tmp_path: Path) -> None:
    images = series(tmp_path)
    halves = [np.zeros(SIDE, bool), np.zeros(SIDE, bool)]
    halves[0][:12], halves[1][12:] = True, True
    frames = [(i, n + 1, mask(i) & halves[n]) for i in range(NUMBER) for n in range(2)]
    written(tmp_path / "seg.dcm", segmentation(images, frames, {1: "upper", 2: "lower"}))
    found = survey(tmp_path)
    (first, *_) = [each for each in found.problems if each.severity == "error"]
    assert "1 is upper, 2 is lower" in first.detail
    chosen = examine(read(tmp_path), MaskMeaning(AUTO.rule, (2,)))
    assert chosen.foreground_fracs["series/IM0"] == pytest.approx((mask(0) & halves[1]).mean(), abs=1e-6)


def test_fractions_are_refused_until_a_cut_is_named(tmp_path: Path) -> None:
    images = series(tmp_path)
    values = [np.where(mask(i), 200, 30).astype(np.uint8) for i in range(NUMBER)]
    values[0][0, 0] = 90
    frames = [(i, 1, values[i]) for i in range(NUMBER)]
    written(tmp_path / "seg.dcm", segmentation(images, frames, {1: "lesion"}, fractional=True))
    sample = read(tmp_path).samples[1]
    assert decode_mask(sample.mask).values == pytest.approx(values[1] / 255)
    found = survey(tmp_path)
    assert any("cut=0.5" in problem.detail for problem in found.problems)


def test_segments_that_overlap_are_refused(tmp_path: Path) -> None:
    images = series(tmp_path)
    frames = [(i, n, mask(i)) for i in range(NUMBER) for n in (1, 2)]
    written(tmp_path / "seg.dcm", segmentation(images, frames, {1: "a", 2: "b"}))
    with pytest.raises(ImageError, match="segment 2 overlaps another one"):
        decode_mask(read(tmp_path).samples[0].mask)


@pytest.mark.parametrize(
    ("element", "value", "said"),
    [
        ("ImagePositionPatient", [0, 0, 99], "frame 1 lies at another place"),
        ("ImageOrientationPatient", [-1, 0, 0, 0, 1, 0], "frame 1 lies in another direction"),
    ],
)
def test_frames_that_lie_elsewhere_are_refused(tmp_path: Path, element: str, value: list, said: str) -> None:
    images = series(tmp_path)
    found = segmentation(images, [(i, 1, mask(i)) for i in range(NUMBER)], {1: "lesion"})
    group = found.PerFrameFunctionalGroupsSequence[0]
    name = "PlanePositionSequence" if "Position" in element else "PlaneOrientationSequence"
    setattr(group[name][0], element, value)
    written(tmp_path / "seg.dcm", found)
    (error,) = errors_of(tmp_path)
    assert said in error
    assert len(read(tmp_path).samples) == NUMBER - 1


def test_frames_of_no_image_or_of_several_are_refused(tmp_path: Path) -> None:
    images = series(tmp_path)
    found = segmentation(images, [(i, 1, mask(i)) for i in range(NUMBER)], {1: "lesion"})
    source = found.PerFrameFunctionalGroupsSequence[1].DerivationImageSequence[0]
    source.SourceImageSequence = [*source.SourceImageSequence, *source.SourceImageSequence]
    written(tmp_path / "seg.dcm", found)
    assert any("frame 2 was made of 2 images" in error for error in errors_of(tmp_path))
    del found.PerFrameFunctionalGroupsSequence[1].DerivationImageSequence
    written(tmp_path / "seg.dcm", found)
    assert any("frame 2 does not say its image" in error for error in errors_of(tmp_path))


def test_two_segmentations_of_one_image_are_refused(tmp_path: Path) -> None:
    images = series(tmp_path)
    for name in "ab":
        frames = [(i, 1, mask(i)) for i in range(NUMBER)]
        written(tmp_path / f"{name}.dcm", segmentation(images, frames, {1: "lesion"}))
    errors = errors_of(tmp_path)
    assert len(errors) == NUMBER
    assert "a second segmentation of series/IM0 beside a.dcm" in "".join(errors)


def test_images_that_no_segmentation_refers_to_are_counted(tmp_path: Path) -> None:
    images = series(tmp_path)
    written(
        tmp_path / "seg.dcm", segmentation(images[:3], [(i, 1, mask(i)) for i in range(3)], {1: "lesion"})
    )
    dataset = read(tmp_path)
    (problem,) = [each for each in dataset.problems if each.severity == "warning"]
    assert "2 images (series/IM3, series/IM4.dcm) that no segmentation refers to" in problem.detail
    assert len(dataset.samples) == 3
    assert len(dataset.without_mask) == 2
    (tmp_path / "series/IM1").unlink()
    kinds = [each.kind for each in read(tmp_path).problems if each.severity == "warning"]
    assert "unpaired segmentation" in kinds


def test_frames_of_a_file_with_several_are_found(tmp_path: Path) -> None:
    stack = np.stack([disc(i, SIDE)[0][..., 0] for i in range(4)])
    image = save_dicom(tmp_path / "cine.dcm", stack)
    found = segmentation([image], [(0, 1, mask(i)) for i in (0, 1, 3)], {1: "lesion"})
    for group, number in zip(found.PerFrameFunctionalGroupsSequence, (1, 2, 4), strict=True):
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        source.ReferencedFrameNumber = number
    written(tmp_path / "seg.dcm", found)
    samples = read(tmp_path).samples
    assert [sample.id for sample in samples] == [f"cine/frame-{i:03d}" for i in range(1, 5)]
    for i, sample in enumerate(samples):
        assert (decode_mask(sample.mask).values.astype(bool) == (mask(i) & (i != 2))).all()


def test_images_of_another_size_and_damaged_segmentations_are_named(tmp_path: Path) -> None:
    images = series(tmp_path)
    wrong = [(i, 1, np.ones((10, 10), bool)) for i in range(NUMBER)]
    written(tmp_path / "seg.dcm", segmentation(images, wrong, {1: "lesion"}))
    assert [each.kind for each in check(read(tmp_path)) if each.severity == "error"] == [
        "size mismatch"
    ] * NUMBER
    content = (tmp_path / "seg.dcm").read_bytes()
    for end in (len(content) - 40, len(content) // 2, 600):
        (tmp_path / "seg.dcm").write_bytes(content[:end])
        try:
            problems = check(read(tmp_path))
        except UserError:
            continue
        assert any(each.severity == "error" for each in problems)


def test_other_readers_keep_folders_of_dicom_without_segmentations(tmp_path: Path) -> None:
    for i in range(3):
        save_dicom(tmp_path / f"images/{i}.dcm", disc(i, SIDE)[0], PatientID=f"P{i}")
        save(tmp_path / f"masks/{i}.png", mask(i))
    assert read(tmp_path).reader == "folder"


@pytest.mark.parametrize(("dtype", "second"), [(np.uint8, 7), (np.uint16, 700)])
@pytest.mark.parametrize("background", [None, 9])
def test_the_values_of_a_label_map_are_its_segments(tmp_path: Path, dtype, second, background) -> None:
    images = series(tmp_path)
    expected = [np.where(mask(i), 1, 0) for i in range(NUMBER - 1)]
    for each in expected:
        each[:12] *= second
    stored = [np.where(each == 0, background or 0, each).astype(dtype) for each in expected]
    written(tmp_path / "seg.dcm", label_map(images, stored, {1: "upper", second: "lower"}, background))
    dataset = read(tmp_path)
    assert dataset.reader == "dicom_seg"
    assert len(dataset.samples) == NUMBER
    for sample, values in zip(dataset.samples, [*expected, np.zeros(SIDE)], strict=True):
        assert (decode_mask(sample.mask).values == values).all()
    (first, *_) = [each for each in survey(tmp_path).problems if each.severity == "error"]
    assert f"1 is upper, {second} is lower" in first.detail


def test_values_of_a_label_map_that_mean_nothing_are_refused(tmp_path: Path) -> None:
    images = series(tmp_path)
    stored = [np.where(mask(i), 2, 0).astype(np.uint8) for i in range(NUMBER)]
    written(tmp_path / "seg.dcm", label_map(images, stored, {1: "lesion"}))
    found = survey(tmp_path).problems
    assert any("value 2 of a label map is the number of no segment" in each.detail for each in found)
    written(tmp_path / "seg.dcm", label_map(images, stored, {0: "skin", 2: "lesion"}, 9))
    assert any("segment 0 of a label map is no background" in error for error in errors_of(tmp_path))


def test_a_label_map_may_list_its_background_as_a_segment(tmp_path: Path) -> None:
    images = series(tmp_path)
    stored = [np.where(mask(i), 1, 0).astype(np.uint8) for i in range(NUMBER)]
    written(tmp_path / "seg.dcm", label_map(images, stored, {0: "background", 1: "lesion"}))
    dataset = read(tmp_path)
    assert not [each for each in survey(tmp_path).problems if each.severity == "error"]
    assert (decode_mask(dataset.samples[0].mask).values == stored[0]).all()
