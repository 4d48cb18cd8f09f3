"""Where data come from: the table of readers, and the one function that reads a folder."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from segstudy.core.errors import UserError
from segstudy.core.input_files import NOT_UTF8, collected_encodings
from segstudy.core.paths import reason_missing
from segstudy.core.plugins import find, record_named, usable
from segstudy.core.suggestions import nearest_beside
from segstudy.core.synthetic import is_synthetic
from segstudy.data.datasets import (
    cityscapes,
    coco,
    dicom_seg,
    folder,
    folder_per_image,
    isic,
    labelme,
    labelstudio,
    nnunet,
    ph2,
    rle_table,
    side_by_side,
    supervisely,
    synthetic,
    two_folders,
    voc,
    yolo,
)
from segstudy.data.datasets.folder_files import NOT_READ
from segstudy.data.datasets.folder_hints import probable_layout
from segstudy.data.datasets.frames import with_frames
from segstudy.data.datasets.human_agreement import SKIN_LESIONS, HumanReference
from segstudy.data.datasets.other_formats import in_no_layout, unread_format, without_packages
from segstudy.data.datasets.other_tables import with_tables
from segstudy.data.datasets.patients import with_patients
from segstudy.data.datasets.scattered_folders import scattered
from segstudy.data.datasets.whole_folder import with_account
from segstudy.data.sample_ids import match_ids, no_such_ids
from segstudy.data.samples import Dataset, Problem
from segstudy.data.sources import first_file, name_within

__all__ = ["READERS", "Reader", "every_image", "human_references", "is_data_set", "read"]


@dataclass(frozen=True)
class Reader:
    """A layout of files that is understood.

    Attributes:
        name: what ``--set reader=NAME`` chooses.
        detect: whether a folder has this layout; looks at names only.
        read: the samples in it, and the problems with the pairing.
        description: the layout in one line, for messages and documentation.
        people: how well people agree with one another on such images, where that is known: the report shows
            it below the leaderboard.
        before: readers that this one comes before, as its layout is a special case of theirs.
        anywhere: its files may lie in any folders, so that folders above fit too: no hint is made of that.
        by_word: whether nothing but a word in a folder's name says that it has this layout: then any other
            reader that fits comes before.
    """

    name: str
    detect: Callable[[Path], bool]
    read: Callable[[Path], Dataset]
    description: str
    people: tuple[HumanReference, ...] = ()
    before: tuple[str, ...] = ()
    anywhere: bool = False
    by_word: Callable[[Path], bool] = lambda _: False


READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        Reader("ph2", ph2.detect, ph2.read, ph2.DESCRIPTION, people=SKIN_LESIONS),
        Reader(
            "isic",
            isic.detect,
            isic.read,
            isic.DESCRIPTION,
            people=SKIN_LESIONS,
            before=("two_folders",),
        ),
        Reader("folder", folder.detect, folder.read, folder.DESCRIPTION),
        Reader(
            "two_folders",
            two_folders.detect,
            two_folders.read,
            two_folders.DESCRIPTION,
            by_word=two_folders.by_word,
        ),
        Reader("side_by_side", side_by_side.detect, side_by_side.read, side_by_side.DESCRIPTION),
        Reader(
            "folder_per_image", folder_per_image.detect, folder_per_image.read, folder_per_image.DESCRIPTION
        ),
        Reader("nnunet", nnunet.detect, nnunet.read, nnunet.DESCRIPTION, before=("two_folders",)),
        Reader("voc", voc.detect, voc.read, voc.DESCRIPTION, before=("two_folders",)),
        Reader(
            "cityscapes",
            cityscapes.detect,
            cityscapes.read,
            cityscapes.DESCRIPTION,
            before=("two_folders",),
        ),
        Reader("coco", coco.detect, coco.read, coco.DESCRIPTION),
        Reader("labelme", labelme.detect, labelme.read, labelme.DESCRIPTION),
        Reader(
            "labelstudio",
            labelstudio.detect,
            labelstudio.read,
            labelstudio.DESCRIPTION,
            before=("folder", "two_folders"),
        ),
        Reader("supervisely", supervisely.detect, supervisely.read, supervisely.DESCRIPTION),
        Reader(
            "rle",
            rle_table.detect,
            rle_table.read,
            rle_table.DESCRIPTION,
            before=("rle_columns", "rle_rows"),
        ),
        Reader("rle_columns", rle_table.detect, rle_table.read_columns, rle_table.COLUMNS),
        Reader("rle_rows", rle_table.detect, rle_table.read_rows, rle_table.ROWS),
        Reader("yolo", yolo.detect, yolo.read, yolo.DESCRIPTION),
        Reader(
            "dicom_seg",
            dicom_seg.detect,
            dicom_seg.read,
            dicom_seg.DESCRIPTION,
            before=("folder", "two_folders", "side_by_side", "folder_per_image"),
            anywhere=True,
        ),
        Reader("synthetic", synthetic.detect, synthetic.read, synthetic.DESCRIPTION),
    )
}


def human_references(reader: str) -> tuple[HumanReference, ...]:
    """What is known of people's agreement on the kind of data that a reader reads; often nothing."""
    try:
        found = find("reader", reader, READERS, Reader)
    except UserError:  # a plug-in that is broken by now: the data were read by it all the same
        return ()
    return found.people if found else ()


def is_data_set(folder: Path) -> bool:
    """Whether a folder has a layout that a reader understands, ours or a plug-in's."""
    return any(reader.detect(folder) for reader in _all().values())


def _all() -> dict[str, Reader]:
    return usable("reader", READERS, Reader)


def read(root: Path | str, reader: str | None = None, exclude: Sequence[str] = ()) -> Dataset:
    """Read a data set, with the reader detected from the folder's layout unless one is named.

    Args:
        root: a folder, or ``synthetic`` with options (``synthetic:n=60:seed=1``) for the synthetic set.
        reader: a key of ``READERS``, or a plug-in's.
        exclude: ids of samples to leave out.

    Raises:
        UserError: no such folder, not readable, no layout or several recognised, no image with a mask, or an
            excluded id that is not there.
    """
    path = Path(root)
    if is_synthetic(str(root)) and not path.is_dir() and reader in (None, "synthetic"):
        return _without(synthetic.read(str(root)), exclude)
    chosen, dataset = _read(path, reader)
    if not dataset.samples:
        raise _without_samples(path, chosen, dataset)
    return _without(dataset, exclude)


def refuse_gone(data: str | Path) -> None:
    """Refuse the data set of a study where nothing is at its place: it was moved, or is on another machine.

    Raises:
        UserError: with the option that names its place.
    """
    if is_synthetic(str(data)):
        return
    with suppress(OSError):  # what may not be looked at is said where it is read
        if not Path(data).exists():
            reason = reason_missing(data)
            raise UserError(f"{data}: the data set is not there{reason}; give its folder with --data PATH")


def every_image(root: Path) -> tuple[list[Path], list[str]]:
    """Return all images of a data set, also those without a mask, and lines on files that are not read.

    Raises:
        UserError: as ``read``, but for a data set without masks.
    """
    _, dataset = _read(root, None)
    images = [*dict.fromkeys(first_file(sample.image) for sample in dataset.samples)]
    known = set(images)
    lines = [f"{each.where}: {each.detail}" for each in dataset.problems if each.kind == NOT_READ]
    return images + [image for image in dataset.without_mask if image not in known], lines


def _read(path: Path, reader: str | None) -> tuple[Reader, Dataset]:
    try:
        _check_folder(path)
        chosen = _choose(path, reader)
        with collected_encodings() as files:
            dataset = with_account(chosen.read(path))
            if READERS.get(chosen.name) is chosen:  # a plug-in knows its own tables
                dataset = with_tables(dataset)
            dataset = with_frames(with_patients(dataset))
        return chosen, replace(dataset, problems=(*dataset.problems, *_encodings(path, files)))
    except OSError as error:
        reason = f"cannot be read ({error.strerror}); check the permissions"
        raise UserError(f"{error.filename or path}: {reason}") from None


def _encodings(root: Path, files: Sequence[Path]) -> list[Problem]:
    """A warning for each text file of a data set that is not in UTF-8: a letter of an id may be wrong."""
    names = dict.fromkeys(name_within(root, file) for file in files)
    return [Problem("warning", "text not in UTF-8", name, NOT_UTF8) for name in names]


def _without_samples(path: Path, chosen: Reader, dataset: Dataset) -> UserError:
    if hint := unread_format(path) or scattered(path):
        return UserError(f"{path}: {hint}")
    first = f" (first: {dataset.problems[0].where}: {dataset.problems[0].detail})" if dataset.problems else ""
    return UserError(f"{path}: no image with its mask; expected {chosen.description}{first}")


def _check_folder(path: Path) -> None:
    if not path.exists():
        near = reason_missing(path) or nearest_beside(path, Path.is_dir)
        raise UserError(f"{path}: no such folder{near}")
    if not path.is_dir():
        raise UserError(f"{path}: is a file; a data set must be a folder, so unpack it if it is an archive")
    if not any(path.iterdir()):
        raise UserError(f"{path}: an empty folder; expected one of: {_layouts()}")


def _choose(path: Path, name: str | None) -> Reader:
    if name is not None:
        named = record_named("reader", name, READERS, Reader)
        if not named.detect(path):
            fits = [reader.name for reader in _all().values() if reader.detect(path)]
            probable = f"it fits reader {fits[0]}" if fits else probable_layout(path, named.detect)
            raise UserError(
                f"{path}: not in the layout of reader {name}, {named.description}"
                + (f"; {probable}" if probable else "")
            )
        return named
    matching = [reader for reader in _all().values() if reader.detect(path)]
    general = {name for reader in matching for name in reader.before}
    matching = [reader for reader in matching if reader.name not in general]
    if len(matching) > 1:
        matching = [reader for reader in matching if not reader.by_word(path)] or matching
    if len(matching) == 1:
        return matching[0]
    if matching:
        names = ", ".join(reader.name for reader in matching)
        raise UserError(
            f"{path}: fits several readers, {names}; choose one (run: --set reader=NAME; check, evaluate: "
            "--reader NAME)"
        )
    probable = unread_format(path) or without_packages(path) or probable_layout(path, _is_recognised)
    if probable := probable or in_no_layout(path):
        raise UserError(f"{path}: {probable}")
    raise UserError(f"{path}: holds {_contents(path)}; no known layout, which are: {_layouts()}")


def _is_recognised(path: Path) -> bool:
    try:
        return any(reader.detect(path) for reader in _all().values() if not reader.anywhere)
    except (OSError, UserError):  # a folder that may not be looked into, or one with a fault of its own
        return False


def _layouts() -> str:
    return "; ".join(f"{reader.name}, {reader.description}" for reader in _all().values())


def _contents(path: Path, most: int = 5) -> str:
    """What lies in a folder, in few words."""
    names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in path.iterdir())
    shown = ", ".join(names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _without(dataset: Dataset, excluded: Sequence[str]) -> Dataset:
    ids = [sample.id for sample in dataset.samples]
    matched = match_ids(excluded, ids)
    if matched.unknown:
        missing = no_such_ids(matched.unknown, ids, dataset.name)
        raise UserError(f"exclude: {missing}; list ids as `check` prints them")
    left_out = set(matched.ids)
    return replace(dataset, samples=tuple(each for each in dataset.samples if each.id not in left_out))
