"""`predict` of volumes and of DICOM files of several frames: a mask a slice, and a volume of them again."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from fake_data import disc, save
from medical_writers import nibabel, save_dicom
from PIL import Image

import segstudy
from segstudy.cli.models import main
from segstudy.core.errors import UserError
from segstudy.data.images import ImageError
from segstudy.deploy.predict import folder
from segstudy.deploy.predict.predictor import Predictor

AFFINE = np.array([[0, -0.7, 0.1, 12.0], [0.5, 0, 0, -3.5], [0, 0.1, 3.0, 40.0], [0, 0, 0, 1]])
KINDS = ["probability", "outline"]


def volume(file: Path, num_slices: int = 4, version: int = 1) -> np.ndarray:
    """Discs ``(width, height, slice)`` in a file with texts that a result must not have."""
    grey = np.stack([disc(i, (24, 32))[0][..., 0].T for i in range(num_slices)], axis=2)
    kind = nibabel.Nifti1Image if version == 1 else nibabel.Nifti2Image
    image = kind(grey, AFFINE)
    image.header["descrip"] = b"Jane Doe"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"Jane Doe"))
    image.set_qform(AFFINE, 1)
    image.header.set_xyzt_units("mm")
    file.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, file)
    return grey


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize(("suffix", "version"), [(".nii.gz", 1), (".nii", 2)])
def test_the_mask_of_a_volume_is_that_of_its_slices_in_the_same_geometry(
    exported_model, tmp_path, suffix, version
):
    grey = volume(tmp_path / f"in/sub/v{suffix}", version=version)
    save(tmp_path / "in/flat.png", disc(0)[0])
    found = segstudy.predict(exported_model, tmp_path / "in", tmp_path / "out", kinds=KINDS)
    names = [f"sub/v{suffix}/slice-00{i}" for i in range(4)]
    assert [row["image"] for row in found] == [str(tmp_path / "in" / name) for name in ["flat.png", *names]]
    assert not any(row["error"] for row in found)
    mask, prob = (nibabel.load(tmp_path / f"out/{kind}/sub/v.nii.gz") for kind in ("masks", "probability"))
    source = nibabel.load(tmp_path / f"in/sub/v{suffix}")
    for each in (mask, prob):
        assert each.shape == source.shape
        assert type(each) is type(source)
        for geometry in ("affine", "get_qform", "get_sform"):
            expected, got = (getattr(one, geometry) for one in (source, each))
            assert np.array_equal(*(value() if callable(value) else value for value in (expected, got)))
        for field in ("sform_code", "qform_code", "xyzt_units", "pixdim"):
            assert np.array_equal(each.header[field], source.header[field]), field
        assert b"Jane" not in gzip.decompress(Path(each.get_filename()).read_bytes())
    predictor = Predictor(exported_model)
    for i, row in enumerate(found[1:]):
        one = predictor(np.repeat(grey[..., i].T[..., None], 3, axis=2))
        assert np.array_equal(np.asarray(mask.dataobj)[..., i].T, one.mask.view(np.uint8))
        assert np.abs(prob.get_fdata()[..., i].T - one.probability).max() <= 0.5 / 255 + 1e-6
        assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / row["mask"])) > 0, one.mask)
        assert int(row["area_px"]) == one.mask.sum()
        assert (tmp_path / f"out/outline/sub/v/slice-00{i}.jpg").is_file()


def test_a_volume_is_done_again_only_when_it_changed_and_a_lost_mask_comes_back(exported_model, tmp_path):
    volume(tmp_path / "v.nii.gz")
    out = tmp_path / "out"
    segstudy.predict(exported_model, tmp_path / "v.nii.gz", out)
    before = {file: file.stat().st_mtime_ns for file in (out / "masks").rglob("*") if file.is_file()}
    content = (out / "masks/v.nii.gz").read_bytes()
    assert len(before) == 5
    segstudy.predict(exported_model, tmp_path / "v.nii.gz", out)
    assert before == {file: file.stat().st_mtime_ns for file in before}
    (out / "masks/v/slice-002.png").unlink()
    (out / "masks/v.nii.gz").write_bytes(b"altered")
    segstudy.predict(exported_model, tmp_path / "v.nii.gz", out)
    assert (out / "masks/v.nii.gz").read_bytes() == content
    volume(tmp_path / "v.nii.gz", num_slices=3)
    segstudy.predict(exported_model, tmp_path / "v.nii.gz", out)
    assert nibabel.load(out / "masks/v.nii.gz").shape == (32, 24, 3)


def test_without_all_its_slices_there_is_no_volume(exported_model, tmp_path, monkeypatch):
    """One slice fails: a row with its error, the masks of the others, and no mask of the whole."""
    volume(tmp_path / "v.nii", num_slices=3)
    out = tmp_path / "out"
    segstudy.predict(exported_model, tmp_path / "v.nii", out)
    assert (out / "masks/v.nii.gz").is_file()
    segmented = folder._segmented

    def failing(predictor, source, *more):
        if source.index == 1:
            raise ImageError(source.file, "unreadable", "cannot be read")
        return segmented(predictor, source, *more)

    monkeypatch.setattr(folder, "_segmented", failing)
    volume(tmp_path / "v.nii", num_slices=3)
    (out / "masks/v/slice-001.png").unlink()
    found = segstudy.predict(exported_model, tmp_path / "v.nii", out)
    assert [row["error"] for row in found] == ["", "cannot be read", ""]
    assert sorted(file.name for file in (out / "masks").rglob("*.*")) == ["slice-000.png", "slice-002.png"]


def test_each_frame_of_a_dicom_file_is_an_image(exported_model, tmp_path, capsys):
    grey = np.stack([disc(i)[0][..., 0] for i in range(3)])
    save_dicom(tmp_path / "in/scan.dcm", grey)
    save_dicom(tmp_path / "in/one.dcm", grey[0])
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(exported_model), str(tmp_path / "in"), "--out", str(tmp_path / "out")])
    assert ended.value.code == 0, capsys.readouterr().err
    masks = [row["mask"] for row in rows(tmp_path / "out")]
    assert masks == ["masks/one.png", *(f"masks/scan/frame-00{i}.png" for i in (1, 2, 3))]
    assert (tmp_path / "out" / masks[0]).read_bytes() == (tmp_path / "out" / masks[1]).read_bytes()
    assert not list((tmp_path / "out").rglob("*.nii.gz"))


def test_a_slice_and_an_image_of_one_name_are_refused(exported_model, tmp_path):
    volume(tmp_path / "in/v.nii")
    save(tmp_path / "in/v/slice-001.png", disc(0)[0])
    with pytest.raises(UserError, match=r"slice-001.* both results would have the name v/slice-001; use"):
        segstudy.predict(exported_model, tmp_path / "in", tmp_path / "out")
