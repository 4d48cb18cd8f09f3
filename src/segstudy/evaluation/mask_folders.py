"""The model, seed and image of each mask file in a folder, by the names alone."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segstudy.core.errors import UserError
from segstudy.data.image_formats import image_suffix, stem_of
from segstudy.data.sources import MaskSource, PerClass

Folders = tuple[str, ...]
Files = Mapping[Folders, Mapping[str, Path]]

SEED_FOLDER = re.compile(r"seed[-_ ]?(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class MaskSet:
    """The masks of one model.

    Attributes:
        name: of the model, which is that of its folder.
        seeds: for each seed, the mask of each image id: a file, or one for each class that may overlap.
    """

    name: str
    seeds: Mapping[int, Mapping[str, MaskSource]]

    def masks(self, ids: Container[str]) -> list[MaskSource]:
        """Return the masks of these images, of all seeds."""
        return [mask for masks in self.seeds.values() for name, mask in masks.items() if name in ids]


def find_masks(
    root: Path, ids: Collection[str], name: str | None = None, classes: Sequence[str] = ()
) -> tuple[list[MaskSet], list[str]]:
    """Return the models, seeds and images of the files of a folder.

    A file's path without suffix must end with an id. The folders before it may be: none (one model),
    ``seed0`` and so on (the runs of one model), ``model``, or ``model/seed0``. Masks of classes that may
    overlap have the class's name as one more folder, the first or the last of these.

    Args:
        root: the folder.
        ids: all that may occur.
        name: of the model, where there is one only.
        classes: names of classes that may overlap.

    Returns:
        The models, by name, and the files without the name of an image, relative to the folder.

    Raises:
        UserError: no such folder, no id among the files' names, two masks for one image, a mix of layouts.
    """
    files, unmatched = _placed(root, ids, deepest=3 if classes else 2)
    placed: Mapping[Folders, Mapping[str, MaskSource]] = files
    if classes:
        placed = _by_class(root, files, classes)
    if not placed:
        first = f" ({unmatched[0]} is not)" if unmatched else ""
        raise UserError(
            f"{root}: no mask has the name of an image of the data{first}; name them by id, "
            f"as in {min(ids)}.png"
        )
    _refuse_mixed(root, placed.keys())
    models: dict[str, dict[int, Mapping[str, MaskSource]]] = defaultdict(dict)
    for where, masks in placed.items():
        seed = _seed(where[-1]) if where else None
        model = "".join(where if seed is None else where[:-1])
        if (seed or 0) in models[model]:
            raise UserError(f"{root.joinpath(*where)}: a second folder for seed {seed}; remove or rename one")
        models[model][seed or 0] = masks
    if name and len(models) > 1:
        raise UserError(f"{root}: holds {len(models)} models, {', '.join(sorted(models))}; --name is for one")
    found = [MaskSet(name or model or root.resolve().name, seeds) for model, seeds in sorted(models.items())]
    return found, unmatched


def _by_class(root: Path, placed: Files, classes: Sequence[str]) -> dict[Folders, dict[str, MaskSource]]:
    """Return the masks of each image by the folders before that of the class.

    Raises:
        UserError: a folder that is not a class's; an image with masks of some classes only.
    """
    found: dict[Folders, dict[str, dict[str, Path]]] = defaultdict(lambda: defaultdict(dict))
    for where, files in placed.items():
        named = [i for i, folder in enumerate(where) if folder in classes]
        if len(named) != 1:
            raise UserError(
                f"{root.joinpath(*where)}: masks of classes that may overlap lie in a folder for each class: "
                f"{', '.join(f'{each}/' for each in classes)}"
            )
        for sample_id, file in files.items():
            others = where[: named[0]] + where[named[0] + 1 :]
            found[others][sample_id][where[named[0]]] = file
    for where, images in found.items():
        for sample_id, masks in images.items():
            if absent := [each for each in classes if each not in masks]:
                raise UserError(
                    f"{root.joinpath(*where, absent[0])}: has no mask of {sample_id}, and "
                    f"{next(iter(masks))}/ has one; save an empty mask where nothing of a class is found"
                )
    return {
        where: {sample_id: PerClass(tuple(sorted(masks.items()))) for sample_id, masks in images.items()}
        for where, images in found.items()
    }


def _seed(folder: str) -> int | None:
    """Return the seed in a folder's name; None if it has none."""
    match = SEED_FOLDER.fullmatch(folder)
    return int(match[1]) if match else None


def _refuse_mixed(root: Path, folders: Collection[tuple[str, ...]]) -> None:
    """Refuse folders of which it is ambiguous which are models and which are seeds.

    Raises:
        UserError: naming a folder that does not fit.
    """
    for where in folders:
        here = root.joinpath(*where)
        within = [other for other in folders if len(other) > len(where) and other[: len(where)] == where]
        if within:
            raise UserError(f"{here}: holds masks as well as {root.joinpath(*within[0])}; keep one of them")
        if len(where) == 2 and _seed(where[1]) is None:
            raise UserError(
                f"{here}: a folder inside a model's folder must be a seed; call it seed0 and so on"
            )
        if where and _seed(where[0]) is not None and any(_seed(other[0]) is None for other in folders):
            raise UserError(f"{here}: a seed of no model; put it into a folder with the name of its model")


def _placed(root: Path, ids: Collection[str], deepest: int) -> tuple[Files, list[str]]:
    """Return files by the folders before the id and by id, and those without an id."""
    placed: dict[Folders, dict[str, Path]] = defaultdict(dict)
    unmatched = []
    for file in _image_files(root):
        relative = file.relative_to(root)
        words = [
            unicodedata.normalize("NFC", word) for word in relative.with_name(stem_of(relative.name)).parts
        ]
        depth = next((i for i in range(len(words)) if i <= deepest and "/".join(words[i:]) in ids), None)
        if depth is None:
            unmatched.append(relative.as_posix())
            continue
        where, sample_id = tuple(words[:depth]), "/".join(words[depth:])
        if other := placed[where].get(sample_id):
            raise UserError(f"{file}: a second mask for {sample_id} beside {other.name}; remove one of them")
        placed[where][sample_id] = file
    return placed, unmatched


def _image_files(root: Path) -> list[Path]:
    """Return all visible image files in a folder and its subfolders, sorted.

    Raises:
        UserError: no folder.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; it must contain one mask per image")
    return sorted(
        file
        for file in root.rglob("*")
        if image_suffix(file.name)
        and not any(word.startswith(".") for word in file.relative_to(root).parts)
        and file.is_file()
    )
