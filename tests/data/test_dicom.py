"""DICOM pictures, as images and as masks: values, colours, frames, patients; what is damaged or hostile."""

import io
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fake_data import disc, save
from medical_writers import CT, dicom, pydicom, save_dicom, save_nifti, segmentation, with_items

from segstudy.core.errors import UserError
from segstudy.core.intensity import AUTO, between
from segstudy.data.check import check
from segstudy.data.datasets import read
from segstudy.data.dicom_files import meta_of
from segstudy.data.image_formats import format_in, holds_image
from segstudy.data.images import ImageError, decode_bytes, decode_image, image_size, read_image
from segstudy.data.mask_pixels import decode_mask
from segstudy.data.survey import summary, survey

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


def values_of(file: Path) -> np.ndarray:
    """The values of a file before any scale, as a mask of numbers has them."""
    return decode_mask(file).values


def by_itk(file: Path) -> np.ndarray:
    """The same by ITK, which is independent of pydicom."""
    itk = pytest.importorskip("SimpleITK", reason="simpleitk is not installed")
    return itk.GetArrayFromImage(itk.ReadImage(str(file)))[0]


@pytest.mark.parametrize(("dtype", "bits"), [("u1", 8), ("u2", 12), ("u2", 16), ("i2", 16), ("i2", 12)])
@pytest.mark.parametrize("rescaling", [(1, 0), (1, -1024), (2, 5), (0.25, -3)])
def test_grey_values_are_those_of_the_modality(tmp_path: Path, dtype: str, bits: int, rescaling) -> None:
    signed = dtype[0] == "i"
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    stored = np.random.default_rng(0).integers(low, high, (20, 30)).astype(dtype)
    slope, intercept = rescaling
    save_dicom(
        tmp_path / "a.dcm",
        stored,
        sop_class=CT,
        BitsStored=bits,
        RescaleSlope=slope,
        RescaleIntercept=intercept,
    )
    found = values_of(tmp_path / "a.dcm")
    assert (found == stored.astype(np.float64) * slope + intercept).all()
    assert (found == by_itk(tmp_path / "a.dcm")).all()
    assert image_size(tmp_path / "a.dcm") == (20, 30)


def test_bits_that_are_not_stored_do_not_count(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(0, 4096, (20, 30)).astype(np.uint16)
    save_dicom(tmp_path / "a.dcm", stored | np.uint16(0x3000), BitsStored=12)
    assert (values_of(tmp_path / "a.dcm") == stored).all()


def test_a_lookup_table_of_the_modality_is_applied(tmp_path: Path) -> None:
    stored = np.arange(400, dtype=np.uint16).reshape(20, 20) % 16
    table = np.arange(16, dtype=np.uint16) ** 2
    lut = with_items(LUTDescriptor=[16, 0, 16], LUTData=table.tobytes(), ModalityLUTType="US")
    save_dicom(tmp_path / "a.dcm", stored, ModalityLUTSequence=[lut])
    assert (values_of(tmp_path / "a.dcm") == table[stored]).all()


def test_a_window_is_not_applied_and_one_scale_holds_for_all(tmp_path: Path) -> None:
    images = [np.full((32, 32), 100 * (i + 1), np.uint16) for i in range(3)]
    for i, image in enumerate(images):
        image[8:20, 8:20] = 4000
        save_dicom(tmp_path / f"images/{i}.dcm", image, BitsStored=12, WindowCenter=50, WindowWidth=10)
        save(tmp_path / f"masks/{i}.png", image == 4000)
    found = survey(tmp_path, write=tmp_path.parent / "out")
    assert found.intensities.scale == between(0, 4095)
    assert [
        int(read_image(tmp_path / f"images/{i}.dcm", scale=between(0, 4095))[0, 0, 0]) for i in range(3)
    ] == [round(255 * 100 * (i + 1) / 4095) for i in range(3)]


@pytest.mark.parametrize(("dtype", "largest"), [("u1", 255), ("u2", 4095), ("i2", -1)])
def test_white_is_zero_is_turned_positive_in_images_and_refused_in_masks(tmp_path, dtype, largest) -> None:
    stored = np.random.default_rng(0).integers(0, 128, (20, 30)).astype(dtype)
    bits = 12 if dtype == "u2" else 8 * stored.dtype.itemsize
    save_dicom(tmp_path / "a.dcm", stored, PhotometricInterpretation="MONOCHROME1", BitsStored=bits)
    scale = AUTO if dtype == "u1" else between(largest - 127, largest)
    image = decode_image(tmp_path / "a.dcm", scale)
    assert np.corrcoef(image.pixels[..., 0].ravel(), -stored.ravel().astype(float))[0, 1] > 0.999
    if dtype != "u1":
        assert (image.levels.low, image.levels.high) == (largest - stored.max(), largest - stored.min())
    with pytest.raises(ImageError, match="MONOCHROME1"):
        decode_mask(tmp_path / "a.dcm")


def test_colours_are_read_in_either_order_and_from_ybr(tmp_path: Path) -> None:
    image = disc(0, (24, 32))[0]
    save_dicom(tmp_path / "a.dcm", image)
    save_dicom(
        tmp_path / "b.dcm",
        image,
        PixelData=np.moveaxis(image, 2, 0).tobytes(),
        PlanarConfiguration=1,
    )
    for name in "ab":
        assert (read_image(tmp_path / f"{name}.dcm") == image).all()
    red, green, blue = np.moveaxis(image.astype(float), 2, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    ybr = np.stack([luma, 128 + 0.564 * (blue - luma), 128 + 0.713 * (red - luma)], axis=-1)
    save_dicom(tmp_path / "c.dcm", np.rint(ybr).astype(np.uint8), PhotometricInterpretation="YBR_FULL")
    assert np.abs(read_image(tmp_path / "c.dcm").astype(int) - image).max() <= 2


@pytest.mark.parametrize("name", ["MR_small_RLE", "MR_small_jpeg_ls_lossless", "MR_small_jp2klossless"])
def test_compressed_files_hold_the_values_of_the_plain_one(name: str) -> None:
    from pydicom.data import get_testdata_file

    folder = Path(get_testdata_file("MR_small.dcm", download=False)).parent
    assert (values_of(folder / f"{name}.dcm") == values_of(folder / "MR_small.dcm")).all()


def test_compression_without_its_decoder_is_named(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pydicom.data import get_testdata_file

    file = Path(get_testdata_file("MR_small_jpeg_ls_lossless.dcm", download=False))
    with monkeypatch.context() as patch:
        patch.setattr("pydicom.pixels.decoders.base.Decoder.available_plugins", ())
        with pytest.raises(ImageError, match=r"JPEG-LS.*pip install 'segstudy\[medical\]'"):
            read_image(file)
    save_dicom(tmp_path / "a.dcm", np.zeros((9, 9), np.uint8))
    content = (tmp_path / "a.dcm").read_bytes()
    video = b"1.2.840.10008.1.2.4.100"
    (tmp_path / "b.dcm").write_bytes(
        content.replace(
            b"\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0", b"\x02\0\x10\0UI\x18\0" + video + b"\0"
        )
    )
    with pytest.raises(ImageError, match=r"MPEG2.*not read"):
        read_image(tmp_path / "b.dcm")


def test_a_jpeg_of_12_bits_is_named_with_the_packages_that_read_it(tmp_path: Path) -> None:
    """Neither Pillow nor GDCM decodes it, and what does is under the GPL."""
    found = dicom(np.zeros((20, 30), np.uint16), BitsStored=12)
    found.file_meta.TransferSyntaxUID = pydicom.uid.JPEGExtended12Bit
    found.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    found["PixelData"].is_undefined_length = True
    found.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(ImageError, match=r"JPEG of 12 bits, .* pip install pylibjpeg pylibjpeg-libjpeg"):
        image_size(tmp_path / "a.dcm")


def test_files_without_suffix_and_bytes_over_a_wire_are_read(tmp_path: Path) -> None:
    image = disc(0, (24, 32))[0]
    save_dicom(tmp_path / "IM0001", image)
    content = (tmp_path / "IM0001").read_bytes()
    assert format_in(content) == "DICOM"
    assert holds_image(tmp_path / "IM0001")
    assert (decode_bytes(content, lambda _: None)[1] == image).all()


def test_images_masks_and_other_formats_mix(tmp_path: Path) -> None:
    for i in range(4):
        image, mask = disc(i, (24, 32))
        save_dicom(tmp_path / f"images/{i}.dcm", image, PatientID=f"P{i % 2}")
        if i % 2:
            save(tmp_path / f"masks/{i}.png", mask)
        else:
            save_dicom(tmp_path / f"masks/{i}.dcm", mask.astype(np.uint8) * 255)
    dataset = read(tmp_path)
    assert [sample.id for sample in dataset.samples] == list("0123")
    assert not [each for each in check(dataset) if each.severity != "note"]


@pytest.mark.parametrize(
    ("patients", "studies", "groups", "noun"),
    [
        ("AABB", "1234", ["patient-001", "patient-001", "patient-002", "patient-002"], "patient"),
        ("XXXX", "1122", ["examination-001", "examination-001", "examination-002", "examination-002"],
         "examination"),
        ("A BB", "1222", ["examination-001", "examination-002", "examination-002", "examination-002"],
         "examination"),
        ("XXXX", "1111", list("0123"), "group"),
    ],
)  # fmt: skip
def test_patients_are_groups_and_written_nowhere(tmp_path: Path, patients, studies, groups, noun) -> None:
    for i in range(4):
        image, mask = disc(i, (24, 32))
        patient = f"{patients[i].strip() and 'Secret'}{patients[i].strip()}"
        ids = {"PatientID": patient, "StudyInstanceUID": f"1.2.987654{studies[i]}"}
        save_dicom(tmp_path / f"data/images/{i}.dcm", image, **ids)
        save(tmp_path / f"data/masks/{i}.png", mask)
    dataset = read(tmp_path / "data")
    assert [sample.group for sample in dataset.samples] == groups
    assert dataset.group_noun == noun
    said = "\n".join(
        map(str, [dataset, *check(dataset), *summary(survey(tmp_path / "data", write=tmp_path / "out"))])
    )
    written = said.encode() + (tmp_path / "out" / "samples.csv").read_bytes()
    assert not any(secret in written for secret in (b"Doe", b"Jane", b"Secret", b"987654"))
    assert ("patients not known" in said) == (noun == "group")


def test_a_table_of_groups_comes_before_the_patients_of_the_files(tmp_path: Path) -> None:
    for i in range(4):
        image, mask = disc(i, (24, 32))
        save_dicom(tmp_path / f"images/{i}.dcm", image, PatientID=f"P{i}")
        save(tmp_path / f"masks/{i}.png", mask)
    (tmp_path / "metadata.csv").write_text("id,group\n0,a\n1,a\n2,b\n3,b\n")
    assert [sample.group for sample in read(tmp_path).samples] == ["a", "a", "b", "b"]


def test_frames_are_samples_if_the_masks_have_as_many(tmp_path: Path) -> None:
    for name, number in (("a", 3), ("b", 2)):
        pairs = [disc(i, (24, 32)) for i in range(number)]
        save_dicom(tmp_path / f"images/{name}.dcm", np.stack([image[..., 0] for image, _ in pairs]))
        save_dicom(tmp_path / f"masks/{name}.dcm", np.stack([mask.astype(np.uint8) for _, mask in pairs]))
    dataset = read(tmp_path)
    assert [sample.id for sample in dataset.samples] == [
        "a/frame-001", "a/frame-002", "a/frame-003", "b/frame-001", "b/frame-002",
    ]  # fmt: skip
    for i, sample in enumerate(dataset.samples[:3]):
        assert (read_image(sample.image)[..., 0] == disc(i, (24, 32))[0][..., 0]).all()
        assert (decode_mask(sample.mask).values > 0).tolist() == disc(i, (24, 32))[1].tolist()
    with pytest.raises(ImageError, match="holds 3 pages or frames"):
        read_image(tmp_path / "images/a.dcm")
    save_dicom(tmp_path / "masks/b.dcm", np.zeros((3, 24, 32), np.uint8))
    (problem,) = [each for each in read(tmp_path).problems if each.severity == "error"]
    assert "32 x 24 x 2, but its mask b.dcm is 32 x 24 x 3" in problem.detail


def test_enhanced_objects_say_the_scale_of_each_frame(tmp_path: Path) -> None:
    def scaling(slope: float) -> object:
        return with_items(
            PixelValueTransformationSequence=[with_items(RescaleSlope=slope, RescaleIntercept=1)]
        )

    frames = np.arange(2 * 400, dtype=np.uint16).reshape(2, 20, 20)
    groups = [scaling(2), scaling(3)]
    save_dicom(tmp_path / "a.dcm", frames, PerFrameFunctionalGroupsSequence=groups)
    from segstudy.data.sources import Frame

    for i, slope in enumerate((2, 3)):
        assert (decode_mask(Frame(tmp_path / "a.dcm", i)).values == frames[i].astype(int) * slope + 1).all()


def said_by(decode: Callable[[Path], object], file: Path) -> str:
    """What a file is refused with, in one line; nothing if it is read."""
    try:
        decode(file)
    except ImageError as error:
        said = str(error)
    else:
        return ""
    assert "\n" not in said
    return said


def changed(content: bytes, before: bytes, after: bytes) -> bytes:
    assert content.count(before) == 1
    return content.replace(before, after)


ROWS, COLUMNS = b"\x28\0\x10\0US\x02\0", b"\x28\0\x11\0US\x02\0"


def plain() -> bytes:
    stream = io.BytesIO()
    dicom(np.zeros((20, 30), np.uint16)).save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def deflated(elements: bytes) -> bytes:
    """A file of the deflated transfer syntax with these elements."""
    content = plain()
    start = content.index(b"\x02\0\x10\0UI")
    syntax = b"1.2.840.10008.1.2.1.99"
    head = content[:start] + b"\x02\0\x10\0UI\x16\0" + syntax
    packer = zlib.compressobj(9, wbits=-15)
    return head + packer.compress(elements) + packer.flush()


SQ = b"\x40\0\x75\xa3SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: plain()[:-100], "damaged or cut off"),
        (lambda: plain()[:500], "DICOM"),
        (lambda: plain()[:140], "DICOM"),
        (lambda: plain()[:132], "DICOM"),
        (lambda: changed(plain(), ROWS + b"\x14\0", ROWS + b"\xff\xff"), "damaged or cut off"),
        (lambda: changed(plain(), ROWS + b"\x14\0", ROWS + b"\0\0"), "damaged"),
        (lambda: changed(plain(), COLUMNS + b"\x1e\0", COLUMNS + b"\x04\0"), "only 4 x 20"),
        (
            lambda: changed(plain(), b"\x28\0\x00\x01US\x02\0\x10\0", b"\x28\0\x00\x01US\x02\0\x0b\0"),
            "damaged",
        ),
        (lambda: plain()[:350] + SQ * 5000, "DICOM"),
        (lambda: deflated(b"\0" * 2_000_000), "more than 1 MiB"),
        (lambda: deflated(b"")[:-1] + b"\xff\xff", "DICOM"),
        (lambda: plain()[:350] + b"\x09\0\x01\0LO\0\0" * 20_000, "more elements than any picture"),
        (lambda: bytes(128) + b"DICM" + b"\x02\0\x10\0UI\0\0" * 100_000, "damaged"),
    ],
)
def test_damaged_and_hostile_files_are_refused_in_one_line(tmp_path, monkeypatch, make, reason: str) -> None:
    monkeypatch.setattr("segstudy.data.dicom_files.MAX_READS", 15_000)  # of a million: seconds
    monkeypatch.setattr("segstudy.data.dicom_files.MAX_INFLATED_BYTES", 2**20)
    (tmp_path / "a.dcm").write_bytes(make())
    for decode in (lambda file: decode_image(file, AUTO), image_size, decode_mask):
        said = said_by(decode, tmp_path / "a.dcm")
        assert reason in said or (said == "" and decode is image_size), "the header alone may be whole"


def test_huge_pictures_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    content = changed(plain(), ROWS + b"\x14\0", ROWS + b"\xff\xff")
    content = changed(content, COLUMNS + b"\x1e\0", COLUMNS + b"\xff\xff")
    (tmp_path / "a.dcm").write_bytes(content)
    with pytest.raises(ImageError, match="million pixels"):
        read_image(tmp_path / "a.dcm")


def test_objects_without_pictures_are_named(tmp_path: Path) -> None:
    for sop_class, said in (("1.2.840.10008.5.1.4.1.1.481.3", "RT Structure Set"), ("1.2.3", "no picture")):
        found = dicom(np.zeros((9, 9), np.uint8), sop_class)
        for name in ("Rows", "Columns", "PixelData"):
            del found[name]
        found.save_as(tmp_path / "a.dcm", enforce_file_format=True)
        with pytest.raises(ImageError, match=said):
            read_image(tmp_path / "a.dcm")


def test_random_changes_never_end_in_another_error(tmp_path: Path) -> None:
    from pydicom.data import get_testdata_file

    rng = np.random.default_rng(0)
    names = ("MR_small_RLE", "MR_small_jpeg_ls_lossless", "MR_small_jp2klossless", "SC_rgb_jpeg_gdcm")
    originals = [plain(), *(Path(get_testdata_file(f"{n}.dcm", download=False)).read_bytes() for n in names)]
    for i in range(150):
        content = bytearray(originals[i % len(originals)])
        for at in rng.integers(132, len(content), 1 + i % 8):
            content[at] = rng.integers(256)
        file = tmp_path / "a.dcm"
        file.write_bytes(content[: rng.integers(132, len(content) + 1)] if i % 3 == 0 else content)
        for decode in (lambda file: decode_image(file, AUTO), decode_mask):
            said_by(decode, file)


WITHOUT = """
import sys
sys.modules["pydicom"] = sys.modules["nibabel"] = None
from pathlib import Path
from segstudy.core.errors import UserError
from segstudy.data.survey import survey
for root in sys.argv[1:]:
    try:
        print(*(problem.detail for problem in survey(Path(root)).problems))
    except UserError as error:
        print(error)
"""


def test_without_the_packages_the_extra_is_named(tmp_path: Path) -> None:
    roots = {
        name: tmp_path / "not/in/another/folder" / name / name for name in ("DICOM", "SEG", "nnU", "heap")
    }
    image, mask = disc(0, (24, 32))
    volume = image.transpose(1, 0, 2)
    save_dicom(roots["DICOM"] / "images/a.dcm", image)
    save(roots["DICOM"] / "masks/a.png", mask)
    picture = save_dicom(roots["SEG"] / "a.dcm", image)
    found = segmentation([picture], [(0, 1, mask)], {1: "x"})
    found.save_as(roots["SEG"] / "b.dcm", enforce_file_format=True)
    save_nifti(roots["nnU"] / "imagesTr/a_0000.nii.gz", volume)
    save_nifti(roots["nnU"] / "labelsTr/a.nii.gz", volume)
    save_nifti(roots["heap"] / "a.nii", volume)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *map(str, roots.values())], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == len(roots)
    for kind, line in zip(("DICOM", "DICOM-SEG", "NIfTI", "NIfTI"), lines, strict=True):
        assert kind in line
        assert "pip install 'segstudy[medical]'" in line


def test_files_in_no_layout_are_named_with_what_to_do(tmp_path: Path) -> None:
    root = tmp_path / "so/deep/that/no/folder/above"
    save_dicom(root / "deep/a.dcm", disc(0)[0])
    with pytest.raises(UserError, match=r"1 DICOM file in no known layout; put the images into images/"):
        read(root)


def without_preamble(content: bytes, meta: bool) -> bytes:
    """As old archives hold it: from the header of the file on, or from the first element after it."""
    found = pydicom.dcmread(io.BytesIO(content))
    end = 144 + int(found.file_meta.FileMetaInformationGroupLength)
    return content[132 if meta else end :]


@pytest.mark.parametrize("meta", [True, False], ids=["with header", "without header"])
@pytest.mark.parametrize("syntax", [pydicom.uid.ExplicitVRLittleEndian, pydicom.uid.ImplicitVRLittleEndian])
def test_files_without_a_preamble_hold_the_same(tmp_path: Path, meta, syntax) -> None:
    values = np.arange(600, dtype=np.int16).reshape(20, 30) - 100
    whole = dicom(values, RescaleSlope="2", RescaleIntercept="-3")
    whole.file_meta.TransferSyntaxUID = syntax
    stream = io.BytesIO()
    whole.save_as(stream, enforce_file_format=True, implicit_vr=syntax.is_implicit_VR, little_endian=True)
    file = tmp_path / "IM1"
    file.write_bytes(without_preamble(stream.getvalue(), meta))
    assert holds_image(file)
    (tmp_path / "whole.dcm").write_bytes(stream.getvalue())
    assert values_of(file).tolist() == values_of(tmp_path / "whole.dcm").tolist() == (2 * values - 3).tolist()
    found = meta_of(file)
    assert found is not None
    assert (found.sop_class, found.instance) == (whole.SOPClassUID, whole.SOPInstanceUID)


def test_bytes_that_only_look_like_a_first_element_are_no_dicom() -> None:
    for content in (
        np.full(600, 8, np.uint16).tobytes(),  # a raw picture
        b"\x08\0\x05\0CS\x0a\0ISO_IR 100" + b"\xff" * 500,  # one element and no second one
        b"\x08\0\x02\0" + bytes(500),  # a TGA picture
        b"\x02\0\x10\0UI\x14\0" + bytes(4),
        bytes(1024),
    ):
        assert format_in(content) is None
