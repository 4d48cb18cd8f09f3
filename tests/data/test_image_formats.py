"""What opens as an image is an image, whoever looks for it; what does not is named."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_data import disc, save, save_pair
from PIL import Image

from segstudy.data.check import check
from segstudy.data.datasets import read
from segstudy.data.image_formats import FORMATS, SUFFIXES, format_in, holds_image, why_unread
from segstudy.data.images import ImageError, decode_bytes, image_size, read_image
from segstudy.data.masks import read_mask
from segstudy.deploy.predict.inputs import find_images
from segstudy.evaluation.mask_folders import _image_files

LOSSLESS = {
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 100},
    "HEIF": {"quality": -1},
    "JPEG": {"quality": 95},
}
NAMES = [name for name in FORMATS if name != "HEIF"]


def content_of(name: str, pixels: np.ndarray) -> bytes:
    if name == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    if name in ("DICOM", "NIFTI"):
        return medical_content(name, pixels)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, name, **LOSSLESS.get(name, {}))
    return stream.getvalue()


def medical_content(name: str, pixels: np.ndarray) -> bytes:
    from medical_writers import dicom, nibabel

    stream = io.BytesIO()
    if name == "DICOM":
        dicom(pixels).save_as(stream, enforce_file_format=True)
        return stream.getvalue()
    grey = pixels[..., 1] if pixels.ndim == 3 else pixels
    return nibabel.Nifti1Image(grey.T[..., None], np.eye(4)).to_bytes()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read_by_its_content_whatever_the_suffix(tmp_path: Path, name: str) -> None:
    image, mask = disc(0, (64, 80))
    content = content_of(name, image)
    assert format_in(content) == name
    for suffix in FORMATS[name].suffixes:
        (tmp_path / f"a{suffix}").write_bytes(content)
        pixels = read_image(tmp_path / f"a{suffix}")
        assert pixels.shape == (64, 80, 3) == (*image_size(tmp_path / f"a{suffix}"), 3)
        assert np.corrcoef(pixels[..., 1].ravel(), image[..., 1].ravel())[0, 1] > 0.8, suffix
    assert (decode_bytes(content, lambda _: None)[1] == pixels).all()
    (tmp_path / "m").write_bytes(content_of(name, mask.astype(np.uint8) * 255))
    assert (read_mask(tmp_path / "m") == mask).mean() > 0.99


def test_other_users_of_pillow_still_open_what_they_did(tmp_path: Path) -> None:
    for name in ("DICOM", "NIFTI"):
        (tmp_path / name).write_bytes(content_of(name, disc(0)[0]))
        read_image(tmp_path / name)  # which registers the format
    code = "from PIL import Image; from segstudy.data import dicom_images, nifti_images; import sys; "
    code += "dicom_images.register(); nifti_images.register(); print(Image.open(sys.argv[1]).format)"
    save(tmp_path / "a.png", disc(0)[0])
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.png")], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("PNG\n", "")


def test_readers_predict_and_score_find_the_same_files(tmp_path: Path) -> None:
    for suffix in sorted(SUFFIXES):
        (tmp_path / f"x{suffix.replace('.', '-')}{suffix.upper()}").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "without").write_bytes(content_of("PNG", disc(0)[0]))
    found = {item.file for item in find_images([tmp_path])}
    assert found == {*_image_files(tmp_path), tmp_path / "without"}
    assert len(found) == len(SUFFIXES) + 1


@pytest.mark.parametrize("suffixes", ["webp webp", "jpg gif", "jfif png", "jp2 jp2", "avif png", "ppm pgm"])
def test_a_folder_of_any_format_is_a_data_set(tmp_path: Path, suffixes: str) -> None:
    image, mask = suffixes.split()
    for n in range(3):
        save_pair(tmp_path / f"images/a{n}.{image}", tmp_path / f"masks/a{n}_mask.{mask}", n)
    dataset = read(tmp_path)
    assert [sample.id for sample in dataset.samples] == ["a0", "a1", "a2"]
    assert not [problem for problem in check(dataset) if problem.severity != "note"]


def test_heic_without_its_package_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(200))
    with pytest.raises(ImageError):
        read_image(tmp_path / "a.heic")  # with it: damaged
    monkeypatch.setattr("segstudy.data.image_formats._is_installed", lambda _: False)
    with pytest.raises(ImageError, match=r"segstudy\[heif\]"):
        read_image(tmp_path / "a.heic")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"/annex/objects/MD5E-s1--0.png\n", "git annex get"),
        (b"\x93NUMPY\x01\0", "NumPy array"),
        (b"%PDF-1.7", "PDF"),
        (b"8BPS\0\1", "Photoshop"),
        (b"hello, this is text", "not an image"),
    ],
)
def test_what_is_no_image_is_named_with_what_to_do(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(content)
    assert not holds_image(file)
    assert reason in why_unread(file)
    for decode in (read_image, read_mask):
        with pytest.raises(ImageError, match=reason):
            decode(file)


def test_a_link_to_content_that_was_not_fetched_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("../.git/annex/objects/x.png")
    assert "fetch it" in why_unread(tmp_path / "a.png")
    with pytest.raises(ImageError, match="fetch it"):
        read_image(tmp_path / "a.png")
