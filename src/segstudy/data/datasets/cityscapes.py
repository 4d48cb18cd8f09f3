"""Cityscapes: street scenes with a class number for every pixel, in the official folders.

Layout, a folder per subset and city::

    DATA/leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png
    DATA/gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png

also with ``gtCoarse``. ``labelIds`` are read, or ``labelTrainIds`` where there are none of these; which
numbers are foreground has to be named. ``instanceIds``, ``color`` and the polygons are not used.

Who: Daimler, MPI Informatics, TU Darmstadt. Terms: research and education only; may not be republished.

Quirks: the published masks of ``test`` are dummies without classes.

Cite: M. Cordts et al. The Cityscapes dataset for semantic urban scene understanding. CVPR 2016, 3213-3223.
"""

from dataclasses import replace
from pathlib import Path

from segstudy.data.datasets.folder_files import account_by_name, files_in
from segstudy.data.datasets.sample_order import dataset_of
from segstudy.data.datasets.subsets import subset_named
from segstudy.data.samples import Dataset, Problem, Sample

DESCRIPTION = (
    "Cityscapes: leftImg8bit/SUBSET/CITY/*_leftImg8bit.png and gtFine/SUBSET/CITY/*_gtFine_labelIds.png"
)
IMAGES = "leftImg8bit"
MASKS = ("gtFine", "gtCoarse")
KINDS = ("labelIds", "labelTrainIds")
TERMS = "Cityscapes: research and education only; may not be republished"
CITATION = (
    "M. Cordts et al. The Cityscapes dataset for semantic urban scene understanding. CVPR 2016, 3213-3223"
)
# By number, from 0.
CLASSES = (
    *("unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic", "ground"),
    *("road", "sidewalk", "parking", "rail track", "building", "wall", "fence", "guard rail", "bridge"),
    *("tunnel", "pole", "polegroup", "traffic light", "traffic sign", "vegetation", "terrain", "sky"),
    *("person", "rider", "car", "truck", "bus", "caravan", "trailer", "train", "motorcycle", "bicycle"),
)


def detect(root: Path) -> bool:
    """Whether the folders of images and masks are there under their official names."""
    return (root / IMAGES).is_dir() and _masks_folder(root) is not None


def read(root: Path) -> Dataset:
    """Pair the files by subset, city and name."""
    folder = _masks_folder(root)
    assert folder is not None, "read() comes after detect()"
    images = _by_id(root / IMAGES, f"_{IMAGES}")
    masks = {kind: _by_id(folder, f"_{folder.name}_{kind}") for kind in KINDS}
    kind = next((kind for kind in KINDS if masks[kind]), KINDS[0])
    samples = [
        Sample(name, images[name], masks[kind][name], group=name, part=subset_named(name.split("/")[0]))
        for name in images.keys() & masks[kind].keys()
    ]
    problems = [
        Problem("warning", f"unpaired {what}", f"{where}/{name}", "no file of that name beside; left out")
        for what, where, own, others in (
            ("image", IMAGES, images, masks[kind]),
            ("mask", folder.name, masks[kind], images),
        )
        for name in sorted(own.keys() - others.keys())
    ]
    names = tuple(enumerate(CLASSES)) if kind == KINDS[0] else ()
    dataset = dataset_of(root, "cityscapes", samples, problems, images.values(), names)
    account = account_by_name(f"{IMAGES}/ and {folder.name}/", [root / IMAGES, folder], samples)
    return replace(dataset, terms=TERMS, citation=CITATION, account=account)


def _masks_folder(root: Path) -> Path | None:
    return next((root / name for name in MASKS if (root / name).is_dir()), None)


def _by_id(folder: Path, ending: str) -> dict[str, Path]:
    """Files with that ending, by their path without it."""
    return {
        file.relative_to(folder).with_name(file.stem.removesuffix(ending)).as_posix(): file
        for file in files_in(folder).images
        if file.stem.endswith(ending)
    }
