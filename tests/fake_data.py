"""Tiny data sets with the real layouts, made by code: drawn discs under official folder and file names."""

import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = (24, 32)  # height, width


def disc(seed: int, side: tuple[int, int] = SIDE) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A noisy dark disc on light ground and its mask."""
    rng = np.random.default_rng(seed)
    height, width = side
    y, x = np.mgrid[:height, :width]
    centre = rng.uniform(0.4, 0.6, 2) * side
    mask = np.hypot(y - centre[0], x - centre[1]) < rng.uniform(0.2, 0.35) * height
    image = np.where(mask[..., None], 80, 200) + rng.normal(0, 25, (height, width, 3))
    return image.clip(0, 255).astype(np.uint8), mask


def save(path: Path, pixels: NDArray[np.generic]) -> Path:
    """Write an array as an image, booleans as 0 and 255; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8) * 255 if pixels.dtype == bool else pixels).save(path)
    return path


def save_pair(image: Path, mask: Path, seed: int) -> None:
    pixels, truth = disc(seed)
    save(image, pixels)
    save(mask, truth)


def photo(seed: int, side: tuple[int, int] = (120, 160), texture_sd: float = 22) -> Image.Image:
    """A dark blob with texture of its own on light ground, as photographs of one kind resemble each other."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 1, (side[0] // 5, side[1] // 5, 3)).astype(np.float32)
    texture = np.stack(
        [
            np.asarray(Image.fromarray(channel).resize(side[::-1], Image.Resampling.BICUBIC))
            for channel in np.moveaxis(coarse, 2, 0)
        ],
        axis=2,
    )
    y, x = np.mgrid[: side[0], : side[1]]
    blob = np.exp(-(((y / side[0] - 0.5) / 0.2) ** 2) - ((x / side[1] - 0.5) / 0.2) ** 2)[..., None]
    return Image.fromarray((190 - 110 * blob + texture_sd * texture).clip(0, 255).astype(np.uint8))


def make_folder(root: Path, stems: tuple[str, ...] = ("a", "b", "c"), seed: int = 0) -> Path:
    """``images/a.png`` and ``masks/a.png``."""
    for i, stem in enumerate(stems):
        save_pair(root / "images" / f"{stem}.png", root / "masks" / f"{stem}.png", seed + i)
    return root


def header_of_png(path: Path, width: int, height: int) -> Path:
    """A PNG as large as it claims to be, of which only the header is there."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    extent = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + extent + chunk(b"IDAT", b""))
    return path


def make_ph2(root: Path, ids: tuple[str, ...] = ("IMD002", "IMD003", "IMD199", "IMD200")) -> Path:
    """The published layout, with the stray files of real copies; 1-bit masks but for IMD002's."""
    for i, name in enumerate(ids):
        folder = root / "PH2 Dataset images" / name
        image, mask = disc(i)
        save(folder / f"{name}_Dermoscopic_Image" / f"{name}.bmp", image)
        save(folder / f"{name}_Dermoscopic_Image" / f"{name}.jpg", image)
        lesion = folder / f"{name}_lesion"
        save(lesion / f"{name}_lesion.jpg", image[..., 0])
        stored = Image.fromarray(mask).convert("RGB" if name == "IMD002" else "1")
        stored.save(lesion / f"{name}_lesion.bmp")
        save(folder / f"{name}_roi" / f"{name}_R1_Label3.bmp", ~mask)
        (lesion / ".DS_Store").write_bytes(b"stray")
        (lesion / "Thumbs.db").write_bytes(b"stray")
    (root / "PH2 Dataset images" / "convertIms.sh").write_text("stray")
    (root / "PH2 Dataset images" / "IMD999").mkdir()
    (root / "PH2_dataset.txt").write_text(ph2_text(ids), encoding="utf-8")
    return root


def ph2_text(ids: tuple[str, ...]) -> str:
    """The archive's text table; diagnoses 0, 1, 2 in turn."""
    heading = "||   Name || Histological Diagnosis || Clinical Diagnosis || Asymmetry | Pigment Network ||"
    rows = [
        f"|| {name} ||                        ||                  {i % 3} || 0 | T ||"
        for i, name in enumerate(ids)
    ]
    return "\n".join([heading, *rows, "", "Legends", "0 - Common Nevus; 1 - Atypical Nevus; 2 - Melanoma"])


ISIC_FOLDERS = {
    "2016": ("ISBI2016_ISIC_Part1_{}_Data", "ISBI2016_ISIC_Part1_{}_GroundTruth", "_Segmentation"),
    "2017": ("ISIC-2017_{}_Data", "ISIC-2017_{}_Part1_GroundTruth", "_segmentation"),
    "2018": ("ISIC2018_Task1-2_{}_Input", "ISIC2018_Task1_{}_GroundTruth", "_segmentation"),
}
ISIC_PARTS = {
    "2016": ("Training", "Test"),
    "2017": ("Training", "Validation", "Test_v2"),
    "2018": ("Training", "Validation", "Test"),
}


def make_isic(root: Path, year: str, per_part: int = 2) -> Path:
    """One challenge's folders; superpixels and texts beside the images."""
    images, masks, ending = ISIC_FOLDERS[year]
    for at, part in enumerate(ISIC_PARTS[year]):
        for i in range(per_part):
            name = f"ISIC_{1000 * at + i:07}"
            folder = root / images.format(part)
            save_pair(folder / f"{name}.jpg", root / masks.format(part) / f"{name}{ending}.png", 10 * at + i)
            save(folder / f"{name}_superpixels.png", disc(99)[0])
        (root / images.format(part) / "LICENSE.txt").write_text("stray")
    return root


# A workbook, as small as there is

MAIN = "http://schemas.openxmlformats.org/"
SHEET = f'<worksheet xmlns="{MAIN}spreadsheetml/2006/main"><sheetData>{{}}</sheetData></worksheet>'
PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{MAIN}package/2006/content-types">'
    '<Default Extension="xml" ContentType="application/xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{MAIN}package/2006/relationships"><Relationship Id="rId1" Type='
    f'"{MAIN}officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{MAIN}spreadsheetml/2006/main" xmlns:r="{MAIN}officeDocument/2006/'
    'relationships"><sheets><sheet name="a" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{MAIN}package/2006/relationships"><Relationship '
    f'Id="rId1" Type="{MAIN}officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/>'
    "</Relationships>",
}


def make_workbook(file: Path, rows: str, **more: bytes) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (PARTS | {"xl/worksheets/sheet1.xml": SHEET.format(rows)}).items():
            archive.writestr(name, text)
        for name, content in more.items():
            archive.writestr(name, content)
    return file
