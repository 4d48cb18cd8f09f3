"""The contact sheet of a data set: one page with every mask as an outline over its image, flagged ones first.

It shows what segstudy sees: images as the network gets them, masks by the rule that was found or given.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segstudy.core.atomic_files import write_text
from segstudy.core.outputs import BINARY, Outputs
from segstudy.core.palette import colour_of
from segstudy.core.quantities import counted, counted_kind
from segstudy.core.resources import allowed_cores
from segstudy.core.version import __version__
from segstudy.data.check import SEVERITIES
from segstudy.data.image_errors import ImageError
from segstudy.data.masks import read_mask
from segstudy.data.samples import PARTS, Problem, Sample
from segstudy.data.sources import first_file
from segstudy.data.survey import Survey, summary
from segstudy.reporting.own_pages import refuse_place
from segstudy.reporting.publishable import publishable_texts
from segstudy.reporting.rendering import ENVIRONMENT, as_script
from segstudy.reporting.small_pictures import (
    CLASS_LAYER,
    class_places,
    layer_places,
    layer_uri,
    small_picture,
)

GENERATOR = "segstudy check"
MAX_SHOWN = 2000  # samples: more make a page slow, and nobody looks at them all
MAX_BYTES = 24_000_000  # of pictures
SIDES_PX = (512, 320, 224, 160)  # of pictures, the longer one; the largest with which all fit
TRIED = 8  # pictures, to find that
MAX_GENERAL = 50  # findings that are of no single sample


@dataclass(frozen=True, slots=True)
class Card:
    """A sample on the page.

    Attributes:
        id, group, category, subset: of the sample; empty where the data have none.
        image, mask: names of the files, inside the data set's folder.
        foreground_frac: share of foreground; None where the mask cannot be used.
        findings: numbers of the page's findings that are of this sample.
        details: what each says.
        picture, layer: data URIs; empty where the image or the mask cannot be read.
        size_px: width and height of the picture.
    """

    id: str
    group: str
    category: str
    subset: str
    image: str
    mask: str
    foreground_frac: float | None
    findings: list[int]
    details: list[str]
    picture: str
    layer: str
    size_px: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of finding on the page.

    Attributes:
        severity, kind: as of a ``Problem``.
        number: samples that have it.
    """

    severity: str
    kind: str
    number: int


def write_contact_sheet(
    found: Survey, file: Path, progress: Callable[[int, int], None] = lambda _, __: None
) -> int:
    """Write the page, and count the samples on it.

    Of more than ``MAX_SHOWN`` samples it shows the flagged ones first and some of the others, evenly spaced;
    of pictures above ``MAX_BYTES`` the first ones. The page says so.

    Args:
        found: what ``survey`` found.
        file: to write; a page of this kind is replaced.
        progress: called with the number of samples on the page and how many there will be.

    Raises:
        UserError: another file, or one that cannot be written.
    """
    refuse_place(file, GENERATOR)
    of_samples = problems_of_samples(found)
    chosen, num_flagged = _chosen(found.dataset.samples, of_samples)
    kinds = _kinds(of_samples)
    cards: list[Card] = []
    num_bytes, side = 0, _side(found, chosen)
    with ThreadPoolExecutor(allowed_cores(hyperthreads=True)) as pool:
        for card in pool.map(lambda sample: _card(found, sample, of_samples[sample.id], kinds, side), chosen):
            num_bytes += len(card.picture) + len(card.layer)
            if num_bytes > MAX_BYTES and cards:
                break
            cards.append(card)
            progress(len(cards), len(chosen))
    text = _page(found, cards, of_samples, kinds, min(num_flagged, len(cards)))
    write_text(file, text)
    return len(cards)


def problems_of_samples(found: Survey) -> dict[str, list[Problem]]:
    """The findings of each sample, by id: about its files, and those across samples that name it."""
    kept = frozenset(found.problems)  # others are explained by one of the whole set
    of_samples = {
        sample.id: [problem for problem in found.of_samples.get(sample.id, ()) if problem in kept]
        for sample in found.dataset.samples
    }
    for problem in found.problems:
        for sample_id in problem.samples or (problem.where,):  # readers say the id there
            if sample_id in of_samples and problem not in of_samples[sample_id]:
                of_samples[sample_id].append(problem)
    return of_samples


def is_flagged(problems: Sequence[Problem]) -> bool:
    """Whether a sample has an error or a warning; notes are no flags."""
    return any(problem.severity != "note" for problem in problems)


def _chosen(samples: Sequence[Sample], of_samples: dict[str, list[Problem]]) -> tuple[list[Sample], int]:
    """The samples to show, flagged ones and then the others; and how many flagged ones are among them."""
    flagged = [sample for sample in samples if is_flagged(of_samples[sample.id])]
    flagged.sort(key=lambda sample: _worst(of_samples[sample.id]))
    others = [sample for sample in samples if not is_flagged(of_samples[sample.id])]
    flagged = flagged[:MAX_SHOWN]
    room = MAX_SHOWN - len(flagged)
    if len(others) > room:
        others = [others[i * len(others) // room] for i in range(room)]
    return [*flagged, *others], len(flagged)


def _worst(problems: Sequence[Problem]) -> int:
    return min((SEVERITIES.index(problem.severity) for problem in problems), default=len(SEVERITIES))


def _kinds(of_samples: dict[str, list[Problem]]) -> list[Kind]:
    """Kinds of findings that samples have, the gravest and most frequent first."""
    counts = Counter(
        pair
        for problems in of_samples.values()
        for pair in {(problem.severity, problem.kind) for problem in problems}
    )
    ordered = sorted(counts, key=lambda pair: (SEVERITIES.index(pair[0]), -counts[pair], pair[1]))
    return [Kind(severity, kind, counts[severity, kind]) for severity, kind in ordered]


# Pictures


def _side(found: Survey, chosen: Sequence[Sample]) -> int:
    """The largest side with which all pictures fit, by trying some of them."""
    tried = [chosen[i * len(chosen) // TRIED] for i in range(TRIED)] if len(chosen) > TRIED else chosen
    for side in SIDES_PX[:-1]:
        sizes = [sum(map(len, _pictures(found, sample, side)[:2])) for sample in tried]
        if sum(sizes) / max(1, len(sizes)) * len(chosen) < 0.8 * MAX_BYTES:
            return side
    return SIDES_PX[-1]


def _card(
    found: Survey, sample: Sample, problems: Sequence[Problem], kinds: Sequence[Kind], side: int
) -> Card:
    places = {(kind.severity, kind.kind): i for i, kind in enumerate(kinds)}
    picture, layer, size = _pictures(found, sample, side)
    return Card(
        id=sample.id,
        group=sample.group if sample.group != sample.id else "",
        category=sample.category or "",
        subset=sample.part or "",
        image=_inside(found.dataset.root, first_file(sample.image)),
        mask=_inside(found.dataset.root, first_file(sample.mask)),
        foreground_frac=found.foreground_fracs.get(sample.id),
        findings=[places[problem.severity, problem.kind] for problem in problems],
        details=[publishable_texts({"detail": problem.detail})["detail"] for problem in problems],
        picture=picture,
        layer=layer,
        size_px=size,
    )


def _pictures(found: Survey, sample: Sample, side: int) -> tuple[str, str, tuple[int, int]]:
    """Data URIs of an image and its mask's outline, the longer side at most ``side`` pixels; their size."""
    made = small_picture(sample.image, side, found.intensities.scale)
    if made is None:  # a finding of its own says so
        return "", "", (1, 1)
    picture, size = made
    return picture, _layer(found, sample, size), size


def _layer(found: Survey, sample: Sample, size: tuple[int, int]) -> str:
    """Data URI of a mask's outlines; empty where it cannot be used, or its classes are not named."""
    if sample.id not in found.foreground_fracs:
        return ""
    outputs = found.masks.meaning.outputs
    try:
        mask = read_mask(sample.mask, found.masks.meaning)
    except ImageError:  # a finding of its own says so
        return ""
    if outputs == BINARY:
        return layer_uri(layer_places(mask, size))
    return layer_uri(class_places(mask, size, outputs), CLASS_LAYER)


def _legend(outputs: Outputs) -> list[tuple[str, str]]:
    """The name and the colour of each class that is shown; nothing where there is one foreground."""
    return [] if outputs == BINARY else [(outputs.names[k], colour_of(k)) for k in outputs.scored]


# Page


def _page(
    found: Survey,
    cards: Sequence[Card],
    of_samples: dict[str, list[Problem]],
    kinds: Sequence[Kind],
    num_flagged: int,
) -> str:
    own = {problem for problems in of_samples.values() for problem in problems}
    general = [problem for problem in found.problems if problem not in own and problem.severity != "note"]
    return ENVIRONMENT.get_template("contact_sheet.html.j2").render(
        generator=GENERATOR,
        version=__version__,
        name=found.dataset.name,
        lines=summary(found),
        legend=_legend(found.masks.meaning.outputs),
        shown=_shown_text(len(found.dataset.samples), len(cards), num_flagged),
        general=[publishable_texts(asdict(problem)) for problem in general[:MAX_GENERAL]],
        num_general=len(general),
        data=as_script(_script_data(cards, kinds)),
    )


def _shown_text(num_samples: int, num_shown: int, num_flagged: int) -> str:
    """What is not on the page; nothing where all samples are."""
    if num_shown == num_samples:
        return ""
    others = f"{counted(num_shown - num_flagged, 'other')}, evenly spaced"
    return (
        f"Shown are {num_shown:,} of {counted(num_samples, 'sample')}: {num_flagged:,} with errors or "
        f"warnings, and {others}. segstudy check lists every finding."
    )


def _script_data(cards: Sequence[Card], kinds: Sequence[Kind]) -> dict[str, Any]:
    subsets = [part for part in PARTS if any(card.subset == part for card in cards)]
    return {
        "kinds": [asdict(kind) | {"text": counted_kind(kind.number, kind.kind)} for kind in kinds],
        "subsets": subsets,
        "samples": [asdict(card) for card in cards],
    }


def _inside(root: Path, file: Path) -> str:
    return (file.relative_to(root) if file.is_relative_to(root) else Path(file.name)).as_posix()
