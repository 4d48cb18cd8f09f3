"""Every file under images/ and masks/ is used, or counted and named with the reason."""

import os
from pathlib import Path

import pytest
from fake_data import disc, make_folder, make_isic, make_ph2, save, save_pair

from segstudy.core.errors import UserError
from segstudy.data.check import check
from segstudy.data.datasets import read
from segstudy.data.samples import Dataset, Problem
from segstudy.data.survey import summary, survey


def loud(dataset: Dataset) -> list[Problem]:
    return [problem for problem in dataset.problems if problem.severity != "note"]


def test_all_files_that_are_used_are_one_line(tmp_path: Path) -> None:
    assert "6 files in images/ and masks/, all used" in summary(survey(make_folder(tmp_path)))


def test_the_account_names_each_reason_with_its_number(tmp_path: Path) -> None:
    make_folder(tmp_path, ("a", "b", "c", "d"))
    (tmp_path / "images" / "d.png").unlink()
    for name in ("x.npy", "y.npy", "none", ".DS_Store", ".e.png"):
        (tmp_path / "images" / name).write_bytes(b"x")
    (tmp_path / "masks" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    lines = summary(survey(tmp_path))
    assert (
        "13 files in images/ and masks/: 6 used, 7 left out (2 .npy, 1 hidden, 1 link without content, "
        "1 system file, 1 without partner, 1 without suffix)"
    ) in lines


@pytest.mark.parametrize("suffix", [".npy", ".mat", ".xyz"])
def test_files_that_are_no_images_are_named_by_suffix_and_number(tmp_path: Path, suffix: str) -> None:
    make_folder(tmp_path)
    for i in range(7):
        (tmp_path / "masks" / f"m{i}{suffix}").write_bytes(b"x")
    (warning,) = loud(read(tmp_path))
    assert (warning.severity, warning.kind, warning.where) == ("warning", "files not read", "masks/")
    assert f"7 {suffix} files (m0{suffix}, m1{suffix}" in warning.detail
    assert "and 2 more" in warning.detail


def test_links_to_content_that_was_never_fetched_are_named(tmp_path: Path) -> None:
    make_folder(tmp_path)
    for kind in ("images", "masks"):
        for name in ("p", "q"):
            (tmp_path / kind / f"{name}.png").symlink_to(f"../.git/annex/objects/{name}")
    found = {problem.where: problem.detail for problem in loud(read(tmp_path))}
    assert set(found) == {"images/", "masks/"}
    for detail in found.values():
        assert "2 links (p.png, q.png): no content there; fetch it first" in detail


def test_links_to_files_that_are_there_are_followed(tmp_path: Path) -> None:
    save_pair(tmp_path / "store" / "1.png", tmp_path / "store" / "2.png", seed=0)
    for kind, name in (("images", "1"), ("masks", "2")):
        (tmp_path / "data" / kind).mkdir(parents=True)
        (tmp_path / "data" / kind / "a.png").symlink_to(tmp_path / "store" / f"{name}.png")
    assert [sample.id for sample in read(tmp_path / "data").samples] == ["a"]


def test_a_linked_folder_is_not_followed_and_said(tmp_path: Path) -> None:
    make_folder(tmp_path / "data")
    (tmp_path / "more").mkdir()
    (tmp_path / "data" / "images" / "more").symlink_to(tmp_path / "more")
    (warning,) = loud(read(tmp_path / "data"))
    assert "1 link (more): links to folders are not followed" in warning.detail


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "._a.png", "desktop.ini"])
def test_what_systems_leave_behind_is_only_counted(tmp_path: Path, name: str) -> None:
    make_folder(tmp_path)
    (tmp_path / "images" / name).write_bytes(b"x")
    dataset = read(tmp_path)
    assert loud(dataset) == []
    assert dataset.account is not None
    assert dataset.account.left_out == (("system file", 1),)


def test_folders_of_notebooks_and_archives_are_not_searched(tmp_path: Path) -> None:
    make_folder(tmp_path)
    for name in (".ipynb_checkpoints", "__MACOSX"):
        save_pair(tmp_path / "images" / name / "a.png", tmp_path / "masks" / name / "a.png", seed=0)
    dataset = read(tmp_path)
    assert len(dataset.samples) == 3
    assert loud(dataset) == []


def test_a_hidden_image_is_named(tmp_path: Path) -> None:
    make_folder(tmp_path)
    save(tmp_path / "images" / ".z.png", disc(0)[0])
    (warning,) = loud(read(tmp_path))
    assert ".z.png" in warning.detail
    assert "hidden" in warning.detail


def test_a_pipe_is_no_image(tmp_path: Path) -> None:
    make_folder(tmp_path)
    os.mkfifo(tmp_path / "images" / "pipe.png")
    (warning,) = loud(read(tmp_path))
    assert "pipe.png" in warning.detail


def test_what_opens_as_an_image_is_one_whatever_its_suffix(tmp_path: Path) -> None:
    save_pair(tmp_path / "images" / "a.png", tmp_path / "masks" / "a.png", seed=0)
    (tmp_path / "images" / "a.png").rename(tmp_path / "images" / "a")
    (tmp_path / "masks" / "a.png").rename(tmp_path / "masks" / "a.image")
    dataset = read(tmp_path)
    assert [sample.id for sample in dataset.samples] == ["a"]
    assert check(dataset) == []


def test_the_preview_in_a_raw_photograph_is_no_image(tmp_path: Path) -> None:
    make_folder(tmp_path)
    save(tmp_path / "images" / "z.tif", disc(0)[0]).rename(tmp_path / "images" / "z.dng")
    (warning,) = loud(read(tmp_path))
    assert "1 .dng file (z.dng): a raw photograph; develop it" in warning.detail


# Subfolders


def test_subfolders_are_read_and_ids_have_their_path(tmp_path: Path) -> None:
    make_folder(tmp_path)
    for place in ("one/a", "one/deep/b", "two/a"):
        save_pair(tmp_path / "images" / f"{place}.png", tmp_path / "masks" / f"{place}_mask.png", seed=1)
    dataset = read(tmp_path)
    assert [sample.id for sample in dataset.samples] == ["a", "b", "c", "one/a", "one/deep/b", "two/a"]
    assert dataset.account is not None
    assert dataset.account.num_used == 12


def test_folders_that_are_called_after_patients_are_the_groups(tmp_path: Path) -> None:
    for place in ("patient01/a", "patient01/b", "Patient-2/a", "c"):
        save_pair(tmp_path / "images" / f"{place}.png", tmp_path / "masks" / f"{place}.png", seed=1)
    dataset = read(tmp_path)
    assert {sample.id: sample.group for sample in dataset.samples} == {
        "patient01/a": "patient01",
        "patient01/b": "patient01",
        "Patient-2/a": "Patient-2",
        "c": "c",
    }
    assert (dataset.group_noun, dataset.ungrouped) == ("patient", frozenset({"c"}))
    assert "the names of subfolders" in summary(survey(tmp_path))[0]


def test_other_subfolders_with_several_images_are_warned_of(tmp_path: Path) -> None:
    for place in ("benign/a", "benign/b", "malignant/a"):
        save_pair(tmp_path / "images" / f"{place}.png", tmp_path / "masks" / f"{place}.png", seed=1)
    (warning,) = loud(read(tmp_path))
    assert (warning.severity, warning.kind) == ("warning", "subfolders are no groups")
    assert "2 subfolders (benign, malignant) hold 3 images" in warning.detail
    (tmp_path / "metadata.csv").write_text("id,patient\nbenign/a,p\nbenign/b,q\nmalignant/a,p\n")
    dataset = read(tmp_path)
    assert [sample.group for sample in dataset.samples] == ["p", "q", "p"]
    assert loud(dataset) == []


def test_subsets_may_be_subfolders_of_images_and_masks(tmp_path: Path) -> None:
    for place in ("Train/a", "Train/b", "val/a", "test/a"):
        save_pair(tmp_path / "images" / f"{place}.png", tmp_path / "masks" / f"{place}.png", seed=1)
    dataset = read(tmp_path)
    assert {sample.id: sample.part for sample in dataset.samples} == {
        "Train/a": "train",
        "Train/b": "train",
        "val/a": "validation",
        "test/a": "test",
    }
    assert dataset.problems == ()


def test_one_patient_in_two_subsets_is_one_group(tmp_path: Path) -> None:
    for subset in ("train", "test"):
        for kind in ("images", "masks"):
            save(tmp_path / subset / kind / "patient1" / "a.png", disc(1)[kind == "masks"])
    assert {sample.group for sample in read(tmp_path).samples} == {"patient1"}


# Folders


@pytest.mark.parametrize(
    "names",
    [
        ("Train", "Val", "Test"),
        ("training", "validation", "testing"),
        ("TRAIN", "dev", "holdout"),
        ("trainset", "valid", "test_set"),
        ("train", "eval", "test"),
        ("train", "val", "eval"),
    ],
)
def test_folders_of_subsets_have_any_of_the_usual_words(tmp_path: Path, names: tuple[str, ...]) -> None:
    for i, name in enumerate(names):
        make_folder(tmp_path / name, ("1", "2"), seed=10 * i)
    parts = {sample.id: sample.part for sample in read(tmp_path).samples}
    expected = zip(names, ("train", "validation", "test"), strict=True)
    assert parts == {f"{name}/{i}": part for name, part in expected for i in (1, 2)}


@pytest.mark.parametrize(("images", "masks"), [("Images", "Masks"), ("IMAGES", "masks"), ("images", "Masks")])
def test_images_and_masks_may_be_written_in_any_case(tmp_path: Path, images: str, masks: str) -> None:
    save_pair(tmp_path / "data" / images / "a.png", tmp_path / "data" / masks / "a.png", seed=0)
    save_pair(tmp_path / "sub" / "train" / images / "a.png", tmp_path / "sub" / "train" / masks / "a.png", 0)
    assert [sample.id for sample in read(tmp_path / "data").samples] == ["a"]
    assert [sample.id for sample in read(tmp_path / "sub").samples] == ["train/a"]


def test_two_spellings_of_one_folder_are_refused(tmp_path: Path) -> None:
    make_folder(tmp_path)
    (tmp_path / "Images").mkdir()
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("names in this folder are the same in any case")
    with pytest.raises(UserError, match="holds Images/ and images/; merge them"):
        read(tmp_path)


@pytest.mark.parametrize("extra", ["center2", "fold1", "old/more"])
@pytest.mark.parametrize("inside_subsets", [False, True])
def test_a_folder_with_pairs_that_is_not_used_is_an_error(
    tmp_path: Path, extra: str, inside_subsets: bool
) -> None:
    for name in ("train", "val", "test") if inside_subsets else (".",):
        make_folder(tmp_path / name)
    make_folder(tmp_path / extra, ("x", "y"))
    dataset = read(tmp_path)
    (error,) = (problem for problem in dataset.problems if problem.severity == "error")
    assert (error.kind, error.where) == ("folder not used", f"{extra}/")
    assert "images/ and masks/ with 2 images" in error.detail
    assert dataset.account is not None
    assert dict(dataset.account.left_out) == {"in a folder that is not used": 4}


def test_what_check_wrote_inside_a_data_set_is_no_data(tmp_path: Path) -> None:
    make_folder(tmp_path)
    survey(tmp_path, write=tmp_path / "seen")
    assert loud(read(tmp_path)) == []


def test_a_subset_without_masks_is_named_and_its_images_are_kept_for_predict(tmp_path: Path) -> None:
    for name in ("train", "val"):
        make_folder(tmp_path / name)
    save(tmp_path / "test" / "images" / "z.png", disc(0)[0])
    dataset = read(tmp_path)
    (warning,) = loud(dataset)
    assert (warning.kind, warning.where) == ("unpaired folder", "test/images/")
    assert dataset.without_mask == (tmp_path / "test" / "images" / "z.png",)


# Other readers


def test_ph2_and_isic_count_their_files_without_new_warnings(tmp_path: Path) -> None:
    ph2 = read(make_ph2(tmp_path / "ph2"))
    isic = read(make_isic(tmp_path / "isic", "2017"))
    assert loud(ph2) == loud(isic) == []
    assert str(isic.account) == (
        "21 files in the folders of images and masks: 12 used, 9 left out (6 with other names, 3 .txt)"
    )
    assert ph2.account is not None
    assert ph2.account.num_used == 8
