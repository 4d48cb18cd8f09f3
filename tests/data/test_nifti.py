"""NIfTI volumes: every slice is a sample with the values of the file; what does not fit is refused."""

import gzip
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
from fake_data import disc
from medical_writers import save_nifti

from segstudy.core.errors import UserError
from segstudy.core.intensity import AUTO
from segstudy.core.mask_rules import USUAL
from segstudy.data import fingerprint as fingerprints
from segstudy.data import nifti_images
from segstudy.data.check import check, examine
from segstudy.data.content_cache import ContentCache
from segstudy.data.datasets import every_image, read
from segstudy.data.fingerprint import fingerprint
from segstudy.data.images import ImageError, decode_image, num_frames
from segstudy.data.mask_pixels import decode_mask
from segstudy.data.prepared import open_prepared, prepare
from segstudy.data.sources import Frame
from segstudy.data.split import make_split

AFFINE = np.diag([0.7, 0.7, 3, 1])


def volume(seed: int, slices: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Values of 12 bits with a sign, and a mask, ``(X, Y, Z)``; the first slice shows nothing."""
    pairs = [disc(10 * seed + i, (24, 32)) for i in range(slices)]
    image = np.stack([pixels[..., 0].astype(np.int16) * 8 - 1000 for pixels, _ in pairs], axis=-1)
    mask = np.stack([mask for _, mask in pairs], axis=-1)
    image[..., 0], mask[..., 0] = -1000, False
    return image.swapaxes(0, 1), mask.swapaxes(0, 1).astype(np.uint8)


def data_set(
    root: Path, images: str = "images", masks: str = "labels", ending: str = "", number: int = 4
) -> Path:
    for i in range(number):
        image, mask = volume(i)
        save_nifti(root / images / f"v{i}{ending}.nii.gz", image)
        save_nifti(root / masks / f"v{i}.nii.gz", mask)
    return root


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "i4", "u4", "i8", "f4", "f8", ">i2", ">f4"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_slices_hold_the_values_that_nibabel_and_itk_read(tmp_path: Path, dtype: str, suffix: str) -> None:
    itk = pytest.importorskip("SimpleITK", reason="simpleitk is not installed")
    values = np.random.default_rng(0).integers(0, 100, (11, 9, 4)).astype(dtype)
    header = nibabel.Nifti1Header(endianness=">" if dtype[0] == ">" else "<")
    header.set_data_dtype(dtype)
    nibabel.save(nibabel.Nifti1Image(values, AFFINE, header), tmp_path / f"a{suffix}")
    file = tmp_path / f"a{suffix}"
    assert num_frames(file) == 4
    there = itk.GetArrayFromImage(itk.ReadImage(str(file)))
    loaded = nibabel.load(file)
    for k in range(4):
        found = decode_mask(Frame(file, k)).values
        assert (found == np.asarray(loaded.dataobj)[:, :, k].T).all()
        assert (found == there[k]).all()


@pytest.mark.parametrize("scaling", [(2, -5), (0.5, 0.25)])
def test_the_scaling_of_the_header_is_applied(tmp_path: Path, scaling: tuple[float, float]) -> None:
    values = np.random.default_rng(0).integers(0, 100, (11, 9, 4)).astype(np.int16)
    image = nibabel.Nifti1Image(values, AFFINE)
    image.header.set_slope_inter(*scaling)
    nibabel.save(image, tmp_path / "a.nii.gz")
    loaded = nibabel.load(tmp_path / "a.nii.gz").get_fdata()
    assert (decode_mask(Frame(tmp_path / "a.nii.gz", 2)).values == loaded[:, :, 2].T).all()


def test_version_2_of_the_format_is_read(tmp_path: Path) -> None:
    values = np.arange(11 * 9 * 2, dtype=np.int16).reshape(11, 9, 2)
    nibabel.save(nibabel.Nifti2Image(values, AFFINE), tmp_path / "a.nii")
    assert (decode_mask(Frame(tmp_path / "a.nii", 1)).values == values[:, :, 1].T).all()


@pytest.mark.parametrize(
    ("images", "masks", "ending", "reader"),
    [
        ("images", "labels", "", "two_folders"),
        ("images", "masks", "", "folder"),
        ("imagesTr", "labelsTr", "_0000", "nnunet"),
        ("imagesTr", "labelsTr", "", "nnunet"),
    ],
)
def test_every_slice_is_a_sample_and_a_volume_is_a_group(
    tmp_path: Path, images, masks, ending, reader
) -> None:
    root = data_set(tmp_path / "data", images, masks, ending)
    dataset = read(root)
    assert dataset.reader == reader
    assert [sample.id for sample in dataset.samples] == [
        f"v{i}/slice-{k:03d}" for i in range(4) for k in range(5)
    ]
    assert {sample.group for sample in dataset.samples} == {f"v{i}" for i in range(4)}
    assert (dataset.groups_from, dataset.group_noun) == ("the volumes", "volume")
    for i in range(4):
        image, mask = volume(i)
        for k, sample in enumerate(dataset.samples[5 * i : 5 * i + 5]):
            assert (decode_mask(sample.image).values == image[:, :, k].T).all()
            assert (decode_mask(sample.mask).values == mask[:, :, k].T).all()
    split = make_split(dataset.samples, "50/25/25", 0)
    for one in ("train", "validation", "test"):
        groups = {sample_id.split("/")[0] for sample_id in split.part(one)}
        others = {s.split("/")[0] for p in {"train", "validation", "test"} - {one} for s in split.part(p)}
        assert not groups & others


def test_slices_without_foreground_stay_and_are_counted_and_empty_ones_are_no_duplicates(
    tmp_path: Path,
) -> None:
    dataset = read(data_set(tmp_path / "data"))
    kinds = [problem.kind for problem in check(dataset)]
    assert kinds.count("empty mask") == 4
    assert not any("duplicate" in kind or "scale" in kind or "one value" in kind for kind in kinds)
    found = examine(dataset)
    assert found.intensities.scale.extent[0] == -1000
    assert len(found.foreground_fracs) == 20


def test_a_table_names_volumes(tmp_path: Path) -> None:
    root = data_set(tmp_path / "data")
    (root / "metadata.csv").write_text(
        "id,patient,part\nv0,p,train\nv1.nii.gz,p,train\nv2,q,val\nv3,r,test\n"
    )
    dataset = read(root)
    assert [(sample.group, sample.part) for sample in dataset.samples[::5]] == [
        ("p", "train"), ("p", "train"), ("q", "validation"), ("r", "test"),
    ]  # fmt: skip
    assert dataset.group_noun == "patient"


def test_a_volume_of_one_slice_keeps_its_id(tmp_path: Path) -> None:
    for i in range(3):
        image, mask = volume(i)
        save_nifti(tmp_path / f"imagesTr/v{i}_0000.nii.gz", image[:, :, 1:2])
        save_nifti(tmp_path / f"labelsTr/v{i}.nii.gz", mask[:, :, 1:2])
    dataset = read(tmp_path)
    assert [(sample.id, sample.group) for sample in dataset.samples] == [(f"v{i}", f"v{i}") for i in range(3)]
    assert not [each for each in check(dataset) if each.severity == "error"]
    assert every_image(tmp_path)[0] == [tmp_path / f"imagesTr/v{i}_0000.nii.gz" for i in range(3)]


def errors_of(root: Path) -> list[str]:
    return [f"{each.where}: {each.detail}" for each in read(root).problems if each.severity == "error"]


def test_volumes_that_differ_are_refused_by_name(tmp_path: Path) -> None:
    root = data_set(tmp_path / "data")
    save_nifti(root / "labels/v1.nii.gz", volume(1)[1][:, :, :4])
    assert errors_of(root) == [
        "images/v1.nii.gz: 32 x 24 x 5, but its mask v1.nii.gz is 32 x 24 x 4 (columns x rows x slices); "
        "write both with one grid, or exclude v1"
    ]
    assert len(read(root).samples) == 15


def test_a_mask_that_would_lie_mirrored_is_refused(tmp_path: Path) -> None:
    root = data_set(tmp_path / "data")
    save_nifti(root / "labels/v1.nii.gz", volume(1)[1], np.diag([-0.7, 0.7, 3, 1]))
    (error,) = errors_of(root)
    assert "images/v1.nii.gz: is stored as RAS, but its mask v1.nii.gz as LAS" in error


@pytest.mark.parametrize(
    ("shift", "kinds"), [(0.1, []), (5.0, ["mask elsewhere"])],
)  # fmt: skip
def test_a_mask_that_lies_elsewhere_is_a_warning(tmp_path: Path, shift: float, kinds: list[str]) -> None:
    root = data_set(tmp_path / "data")
    affine = AFFINE.copy()
    affine[0, 3] = shift
    save_nifti(root / "labels/v1.nii.gz", volume(1)[1], affine)
    assert [each.kind for each in read(root).problems if each.severity == "warning"] == kinds


def test_volumes_in_several_orientations_are_a_warning(tmp_path: Path) -> None:
    root = data_set(tmp_path / "data")
    for folder, values in zip(("images", "labels"), volume(1), strict=True):
        save_nifti(root / folder / "v1.nii.gz", values, np.diag([-0.7, -0.7, 3, 1]))
    (problem,) = [each for each in read(root).problems if each.severity == "warning"]
    assert "RAS: 3, LPS: 1" in problem.detail


def test_one_without_orientation_is_a_warning(tmp_path: Path) -> None:
    root = data_set(tmp_path / "data")
    image = nibabel.Nifti1Image(volume(1)[1], None)
    nibabel.save(image, root / "labels/v1.nii.gz")
    assert [each.kind for each in read(root).problems if each.severity == "warning"] == [
        "orientation unknown"
    ]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((12, 12, 4, 3), np.uint8), "4 axes (12 x 12 x 4 x 3)"),
        (np.zeros((12, 12, 4), np.complex64), "no single numbers"),
        (np.full((12, 12, 4), np.nan, np.float32), "NaN"),
        (np.full((12, 12, 4), 2**40, np.int64), "more than 32 bits"),
        (np.zeros((3, 12, 4), np.uint8), "only 3 x 12"),
    ],
)
def test_what_is_no_volume_of_grey_values_is_refused(tmp_path: Path, values: np.ndarray, said: str) -> None:
    nibabel.save(nibabel.Nifti1Image(values, AFFINE, dtype=values.dtype), tmp_path / "a.nii.gz")
    with pytest.raises(ImageError) as caught:
        decode_image(Frame(tmp_path / "a.nii.gz", 0), AUTO)
    assert said in str(caught.value)


def test_a_last_axis_of_one_does_not_count(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((12, 12, 4, 1), np.uint8), AFFINE), tmp_path / "a.nii.gz")
    assert num_frames(tmp_path / "a.nii.gz") == 4


def test_a_volume_is_decompressed_once_for_all_its_slices(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    unpack = nifti_images._unpack
    monkeypatch.setattr(nifti_images, "CONTENTS", ContentCache())
    monkeypatch.setattr(nifti_images, "_unpack", lambda *args: calls.append(1) or unpack(*args))
    dataset = read(data_set(tmp_path / "data"))
    check(dataset)
    fingerprint(dataset.samples)
    assert len(calls) == 8


def test_the_cache_keeps_within_its_bounds_and_notices_changes(tmp_path: Path) -> None:
    cache = ContentCache(max_bytes=100, max_files=3)
    files = [tmp_path / name for name in "abcd"]
    made: list[str] = []

    def get(file: Path) -> str:
        with file.open("rb") as stream:
            return cache.get(stream, lambda: (made.append(file.name) or file.name, 40))

    for file in files:
        file.write_bytes(b"1")
    assert [get(file) for file in (*files, files[3], files[0])] == list("abcdda")
    assert made == list("abcda")
    assert cache.num_bytes <= 100
    files[0].write_bytes(b"22")
    get(files[0])
    assert made[-1] == "a"
    assert len(made) == 6


def test_slices_are_prepared_as_they_are_and_their_content_is_the_fingerprint(tmp_path: Path) -> None:
    root = data_set(tmp_path / "data", number=3)
    dataset = read(root)
    scale = examine(dataset).intensities.scale
    data = fingerprint(dataset.samples)
    prepared = open_prepared(prepare(dataset.samples, data, (24, 32), "squash", USUAL, scale))
    for i in range(3):
        for k in range(5):
            assert (prepared.native_mask(5 * i + k) == volume(i)[1][:, :, k].T).all()
    other = tmp_path / "other"
    for folder, place in (("images", 0), ("labels", 1)):
        for i in range(3):
            save_nifti(other / folder / f"v{i}.nii", volume(i)[place])
    assert fingerprint(read(other).samples) == data
    changed = volume(2)[0]
    changed[3, 3, 3] += 1
    save_nifti(other / "images/v2.nii", changed)
    assert fingerprint(read(other).samples) != data


def test_slices_are_decoded_for_the_fingerprint_only_when_the_file_or_its_decoder_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fingerprints, "UNSETTLED_NS", -(10**12))
    decoded: list[Frame] = []
    opened = fingerprints.opened
    monkeypatch.setattr(fingerprints, "opened", lambda source: decoded.append(source) or opened(source))
    samples = read(data_set(tmp_path / "data", number=2)).samples
    first = fingerprint(samples)
    assert len(decoded) == 2 * 2 * 5
    decoded.clear()
    assert fingerprint(samples) == first
    assert not decoded
    changed = volume(1)[0]
    changed[3, 3, 3] += 1
    save_nifti(samples[-1].image.file, changed)
    assert fingerprint(samples) != first
    assert {source.file for source in decoded} == {samples[-1].image.file}
    assert len(decoded) == 5
    decoded.clear()
    monkeypatch.setattr(fingerprints, "_decoders", lambda: "another version")
    fingerprint(samples)
    assert len(decoded) == 2 * 2 * 5


def header(**fields: object) -> bytes:
    """A file of zeros, 12 x 12 x 4, with other fields in its header: place and format of each."""
    content = bytearray(nibabel.Nifti1Image(np.zeros((12, 12, 4), np.int16), AFFINE).to_bytes())
    for place, (kind, value) in fields.items():
        struct.pack_into(f"<{kind}", content, int(place[1:]), value)
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (header()[:-100], "cut off"),
        (header()[:348], "cut off"),
        (header()[:300] + b"\0" * 44 + b"n+1\0", "damaged|axes|cut off"),
        (gzip.compress(header(), mtime=0)[:-12], "damaged or cut off"),
        (gzip.compress(header(), mtime=0)[:-4] + b"\1\2\3\4", "damaged or cut off"),
        (gzip.compress(header(_42=("h", 32767), _44=("h", 32767)), mtime=0), "more than 1 GiB"),
        (header(_42=("h", 32767), _44=("h", 32767)), "cut off"),
        (header(_42=("h", -5)), "axes"),
        (header(_40=("h", 0)), "axes"),
        (header(_40=("h", 99)), "damaged|axes"),
        (header(_70=("h", 12345)), "damaged"),
        (header(_70=("h", 128)), "no single numbers"),
        (header(_108=("f", float("nan"))), "damaged"),
        (header(_108=("f", 1e30)), "damaged|cut off"),
        (header(_108=("f", -1e9)), "damaged|cut off"),
        (b"\x1f\x8b" + bytes(100), "gzip"),
    ],
)
def test_damaged_and_hostile_files_are_refused_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / ("a.nii.gz" if content[:2] == b"\x1f\x8b" else "a.nii")
    file.write_bytes(content)
    for decode in (lambda source: decode_image(source, AUTO), decode_mask):
        with pytest.raises(ImageError, match=said) as caught:
            decode(Frame(file, 0))
        assert "\n" not in str(caught.value)


def test_a_damaged_volume_of_a_data_set_is_named(tmp_path: Path) -> None:
    root = data_set(tmp_path / "data")
    file = root / "images/v1.nii.gz"
    file.write_bytes(file.read_bytes()[:-20])
    errors = [problem for problem in check(read(root)) if problem.severity == "error"]
    assert {error.where for error in errors} == {"images/v1.nii.gz"}


def test_several_channels_of_a_case_are_refused(tmp_path: Path) -> None:
    root = data_set(tmp_path / "data", "imagesTr", "labelsTr", "_0000")
    save_nifti(root / "imagesTr/v0_0001.nii.gz", volume(0)[0])
    with pytest.raises(UserError, match="several channels"):
        read(root)
