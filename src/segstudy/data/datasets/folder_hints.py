"""What a folder that no reader knows probably is: a level too deep or too high, or of other names."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from segstudy.core.quantities import counted
from segstudy.data.datasets.folder_names import IMAGE_NAMES, MASK_NAMES, holds_images
from segstudy.data.datasets.scattered_folders import scattered
from segstudy.data.image_formats import image_suffix

LEVELS_UP = 3
MOST = 5


def probable_layout(path: Path, recognised: Callable[[Path], bool]) -> str | None:
    """What is probably wrong with a folder, and what to do; None where nothing is likely.

    Args:
        path: a folder that no reader recognises.
        recognised: whether some reader recognises a folder.
    """
    above = [each for each in path.resolve().parents[:LEVELS_UP] if recognised(each)]
    if above and holds_images(path):
        return f"lies inside a data set, too deep; give the folder {above[-1]}"
    folders = sorted(each for each in path.iterdir() if each.is_dir() and each.name[0] != ".")
    return (
        _half_a_pair(folders) or _data_sets_below(folders, recognised) or scattered(path) or _one_heap(path)
    )


def _half_a_pair(folders: Sequence[Path]) -> str | None:
    """Images without masks, masks without images, or both under other names."""
    by_name = {each.name.lower(): each.name for each in folders}
    images, masks = _called(by_name, IMAGE_NAMES), _called(by_name, MASK_NAMES)
    if images and masks:
        return _other_names(folders, images, masks)
    if images == "images":
        also = ", ".join(f"{name}/" for name in by_name.values() if name != images)
        beside = f", beside it {also}; rename that to masks/ if it holds the masks, else" if also else ";"
        return f"holds images/, but masks/ is missing{beside} put a mask of each image's name into masks/"
    if masks:
        return f"holds {masks}/, but images/ is missing; put the images there, under the masks' names"
    parts = [name for name in by_name.values() if name.endswith(("_Data", "_Input"))]
    if parts and not any("groundtruth" in name for name in by_name):
        return f"holds {parts[0]}, but no folder of masks, which ends in _GroundTruth; put it beside"
    return None


def _other_names(folders: Sequence[Path], images: str, masks: str) -> str:
    """Folders of usual names that no reader takes for images and masks."""
    several = sorted(each.name for each in folders if each.name.lower() in MASK_NAMES)
    if len(several) > 1 and masks != "masks":
        names = " and ".join(f"{name}/" for name in several)
        return f"holds {images}/, and {names} may both hold its masks; rename the one that does to masks/"
    if not _holds_images(folders, masks):
        return (
            f"holds {images}/, and {masks}/ holds no image files that are read; put a mask of each image's "
            "name into masks/"
        )
    wrong = [(name, right) for name, right in ((images, "images"), (masks, "masks")) if name != right]
    return f"holds {images}/ and {masks}/; rename " + " and ".join(f"{a}/ to {b}/" for a, b in wrong)


def _holds_images(folders: Iterable[Path], name: str) -> bool:
    return any(holds_images(folder) for folder in folders if folder.name == name)


def _called(by_name: dict[str, str], names: Iterable[str]) -> str | None:
    found = [by_name[name] for name in names if name in by_name]
    return found[0] if found else None


def _data_sets_below(folders: Iterable[Path], recognised: Callable[[Path], bool]) -> str | None:
    """Data sets one or two levels down."""
    children = list(folders)
    below = [each for each in children if recognised(each)]
    if not below:
        deeper = [each for child in children for each in sorted(child.iterdir()) if each.is_dir()]
        below = [each for each in deeper if recognised(each)]
    if not below:
        return None
    if len(below) == 1:
        return f"lies above a data set; give the folder {below[0]}"
    more = f" and {len(below) - MOST} more" if len(below) > MOST else ""
    shown = ", ".join(map(str, below[:MOST]))
    return f"lies above {len(below)} data sets; give one of them: {shown}{more}"


def _one_heap(path: Path) -> str | None:
    """Images and masks in one folder, or images alone."""
    files = [each.name for each in path.iterdir() if each.is_file() and image_suffix(each.name)]
    if not files:
        return None
    return (
        f"holds {counted(len(files), 'image file')} itself; put the images into "
        "images/ and their masks, of the same names, into masks/"
    )
