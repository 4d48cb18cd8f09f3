"""A data set as ordinary files, as it was understood: to look at, and to compare with what was meant."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from segstudy.core.atomic_files import make_folder, write_bytes, write_text
from segstudy.core.classes import BACKGROUND, is_background
from segstudy.core.csv_cells import as_cell
from segstudy.core.encoded_images import image_bytes
from segstudy.core.errors import UserError
from segstudy.core.intensity import COLOURS, Scale
from segstudy.core.mask_rules import MaskMeaning
from segstudy.core.outputs import FOREGROUND, IGNORED, Mask, Outputs
from segstudy.core.palette import rgb_of
from segstudy.core.resources import allowed_cores
from segstudy.data.channels import picture_of
from segstudy.data.datasets.class_table import CLASS_TABLE, class_table, class_tables
from segstudy.data.images import ImageError, read_image
from segstudy.data.masks import read_mask
from segstudy.data.samples import Dataset, Sample
from segstudy.data.sources import name_within

TABLE = "samples.csv"
NOT_COUNTED = "ignored"
HELD = (1, 3)  # channels of an image in a PNG file
IGNORED_GREY = 128
IGNORED_RGB = (IGNORED_GREY,) * 3
COLUMNS = ("id", "group", "category", "subset", "image", "mask", "foreground_frac")


def refuse_channels(scale: Scale) -> None:
    """Refuse to write images whose channels a picture does not hold.

    Raises:
        UserError: they are read with another number than one or three.
    """
    if scale.channels not in HELD:
        raise UserError(
            f"--write: pictures hold one or three channels, and these images are read with {scale.channels}; "
            "leave --write out"
        )


def write_out(
    dataset: Dataset,
    reading: tuple[MaskMeaning, Scale],
    fracs: Mapping[str, float],
    folder: Path,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Write ``samples.csv``, ``images/<id>.png`` and ``masks/<id>.png``, and count the samples written whole.

    Images are 8-bit RGB as the network gets them, before resizing. Masks are 0 and 255, and 128 where a pixel
    is ignored; of several classes their numbers, with a palette, and 255 where it is ignored; of overlapping
    classes they are in ``masks/<class>/``. ``_classes.csv`` names the values, unless they are black and
    white. Of a file that cannot be used there is none. Ids with a slash become folders. Read again, it is the
    same data set: samples, groups, parts and, with the options of ``options_of``, classes.

    Args:
        dataset: the samples.
        reading: the meaning of the masks' values, and the scale of the images'.
        fracs: share of foreground of every mask that can be used, by id.
        folder: a new or empty one, or one that was written here before.
        progress: called with the number of samples written.

    Raises:
        UserError: a folder with other files, or that cannot be written.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / TABLE).is_file():
        raise UserError(f"{folder}: holds other files; give a new or empty folder")
    _clear(folder)
    make_folder(folder)
    num_whole = 0
    with ThreadPoolExecutor(allowed_cores(hyperthreads=True)) as pool:
        samples = dataset.samples
        written = pool.map(lambda sample: _write_sample(sample, sample.id in fracs, reading, folder), samples)
        for i, whole in enumerate(written):
            num_whole += whole
            progress(i + 1)
    write_text(folder / TABLE, _table(dataset, fracs))
    if names := _value_names(reading[0].outputs):
        write_text(folder / CLASS_TABLE, class_table(names))
    return num_whole


def options_of(meaning: MaskMeaning, scale: Scale) -> list[str]:
    """Return the options with which a data set that was written is read again as the same."""
    outputs, words = meaning.outputs, []
    if outputs.task == "multiclass":
        words += ["--classes", ",".join(f"{name}={number}" for number, name in enumerate(outputs.names))]
    elif outputs.task == "multilabel":
        words += ["--classes", ",".join(outputs.names)]
    if outputs.has_ignored:
        words += ["--ignore", str(_ignored_value(outputs))]
    return words if scale.channels == COLOURS else [*words, "--channels", str(scale.channels)]


def _ignored_value(outputs: Outputs) -> int:
    return IGNORED if outputs.task == "multiclass" else IGNORED_GREY


def _value_names(outputs: Outputs) -> list[tuple[int, str]]:
    """The names of the values in masks that are written; none where they are black and white alone."""
    if outputs.task == "multiclass":
        names = list(enumerate(outputs.names))
    else:
        names = [(0, BACKGROUND), (255, FOREGROUND)] if outputs.has_ignored else []
    return [*names, (_ignored_value(outputs), NOT_COUNTED)] if outputs.has_ignored else names


def _clear(folder: Path) -> None:
    """Remove what a writing before left: files of samples that are there no longer would mislead."""
    for file in [*folder.glob("images/**/*.png"), *folder.glob("masks/**/*.png"), *class_tables([folder])]:
        file.unlink()


def _write_sample(sample: Sample, has_mask: bool, reading: tuple[MaskMeaning, Scale], folder: Path) -> bool:
    meaning, scale = reading
    try:
        image = Image.fromarray(picture_of(read_image(sample.image, scale=scale)))
        _write_png(image, folder / "images", sample.id)
        if has_mask:
            mask = read_mask(sample.mask, meaning)
            for name, image in _mask_images(mask, meaning.outputs):
                _write_png(image, folder / "masks" / name, sample.id)
    except ImageError:  # check lists it
        return False
    return has_mask


def _mask_images(mask: Mask, outputs: Outputs) -> Iterator[tuple[str, Image.Image]]:
    """Yield a mask as images, each with the folder in which it lies; nothing for that of all masks."""
    if outputs.task == "multiclass":
        numbers = Image.fromarray(mask.astype(np.uint8), "P")
        colours = [rgb_of(i, is_background(name)) for i, name in enumerate(outputs.names)]
        colours += [IGNORED_RGB] * (256 - len(colours))
        numbers.putpalette([value for colour in colours for value in colour])
        yield "", numbers
        return
    valid = outputs.valid(mask)
    for number in outputs.scored:
        grey = outputs.plane(mask, number).astype(np.uint8) * np.uint8(255)
        if valid is not None:
            grey[~valid] = IGNORED_GREY
        yield outputs.names[number] if outputs.task == "multilabel" else "", Image.fromarray(grey)


def _write_png(image: Image.Image, folder: Path, sample_id: str) -> None:
    file = folder.joinpath(*(name.strip(".") or "-" for name in f"{sample_id}.png".split("/")))
    make_folder(file.parent)
    write_bytes(file, image_bytes(image, "PNG", compress_level=1))


def _table(dataset: Dataset, fracs: Mapping[str, float]) -> str:
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(COLUMNS)
    for sample in dataset.samples:
        frac = f"{fracs[sample.id]:.6f}" if sample.id in fracs else ""
        files = (name_within(dataset.root, source) for source in (sample.image, sample.mask))
        cells = (sample.id, sample.group, sample.category or "", sample.part or "", *files, frac)
        table.writerow([as_cell(cell) for cell in cells])
    return stream.getvalue()
