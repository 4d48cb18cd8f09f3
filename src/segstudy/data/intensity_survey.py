"""The scale of a data set's images, decided from the values of all of them together.

One image does not tell: a dark picture of 12 bits and a bright one of 10 look the same. So one scale is
found for all, and images that are out of it are listed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from segstudy.core.errors import UserError
from segstudy.core.intensity import AUTO, FULL, Scale, between
from segstudy.core.quantities import counted, percent
from segstudy.data.image_values import Levels
from segstudy.data.samples import Problem, Severity
from segstudy.data.scale_fit import DARK

DEPTHS = (8, 10, 12, 14)  # bits of cameras and detectors, less than the 16 that a file keeps
FEW_LEVELS = 32  # of the 256 that are left: a scale found from the data leaves more
PARTLY_FRAC = 0.05  # of pixels neither opaque nor clear, from which on a band of a TIFF is no transparency
OUT_OF_SCALE, ONE_VALUE = "image out of the scale", "scale of one value"
DARKENED_FRAC = 0.001  # of pixels, from which on transparency that makes them black is worth a warning


@dataclass(frozen=True)
class Intensities:
    """The scale of a data set's images.

    Attributes:
        scale: for all of them.
        why: what speaks for it, for people; nothing where all have 8 bits.
        problems: images that are out of it, or odd in themselves.
        is_given: the scale is the user's.
        all_grey: every image has one channel, or three that are equal; False where none can be read.
        extents: the smallest and the largest value of each channel, where there are two, or four or more.
    """

    scale: Scale = FULL
    why: str = ""
    problems: tuple[Problem, ...] = ()
    is_given: bool = False
    all_grey: bool = False
    extents: tuple[tuple[float, float], ...] = ()


def find_scale(images: Mapping[str, Levels], name: str, asked: Scale = AUTO) -> Intensities:
    """Find the one scale of all images, or check the one that is asked for.

    Args:
        images: what the values of each are, by file.
        name: of the data set.
        asked: the user's; ``auto`` is found here.
    """
    wide = {where: levels for where, levels in images.items() if levels.is_wide}
    if asked.kind != "auto":
        found = Intensities(asked, f"the scale {asked} is given", is_given=True)
    elif wide:
        found = _of_wide(wide)
    else:
        found = _of_bytes(images)
    problems = [
        *_constant(images),
        *_transparent(images, found.scale),
        *_more_bands(images, found.scale),
        *_out_of_scale(wide, found),
        *_stretched(wide, name, found),
        *_beside_bytes(images, wide, name, found),
        *_dull_channels(images, name, found.scale),
    ]
    return replace(
        found, scale=replace(found.scale, channels=asked.channels), problems=tuple(problems), **_about(images)
    )


def _about(images: Mapping[str, Levels]) -> dict[str, Any]:
    """What is said of the channels of all images."""
    several = [levels.extents for levels in images.values() if levels.extents]
    ends = zip(*several, strict=True)
    extents = tuple((min(low for low, _ in each), max(high for _, high in each)) for each in ends)
    all_grey = bool(images) and all(levels.is_grey for levels in images.values())
    return {"all_grey": all_grey, "extents": extents}


def refuse_other_range(problems: Sequence[Problem], num_images: int, scale: Scale) -> None:
    """Stop where a model would see images nearly black or nearly white, as its scale is of other values.

    Args:
        problems: the findings about the images, at the model's scale.
        num_images: of the data set.
        scale: the model's.

    Raises:
        UserError: most images are out of it; a few may be dark.
    """
    out = [problem for problem in problems if problem.kind == OUT_OF_SCALE]
    if 2 * len(out) > num_images:
        raise UserError(
            f"{out[0].where}: {out[0].detail}; the model was trained at the scale {scale}, and {len(out)} of "
            f"{num_images} images are out of it"
        )


def _of_bytes(images: Mapping[str, Levels]) -> Intensities:
    if not _has_data_band(images):
        return Intensities()
    return Intensities(between(0, 255), "8 bits; the last band is no transparency and is left out")


def _has_data_band(images: Mapping[str, Levels]) -> bool:
    return any(levels.partly_frac > PARTLY_FRAC for levels in images.values())


def _of_wide(wide: Mapping[str, Levels]) -> Intensities:
    varied = [levels for levels in wide.values() if not levels.is_constant] or list(wide.values())
    low, high = min(each.low for each in varied), max(each.high for each in varied)
    what = f"values from {low:g} to {high:g} in {counted(len(wide), 'image')} of more than 8 bits"
    is_plain = all(each.is_plain for each in wide.values()) and not _has_data_band(wide)
    scale = _of_values(low, high, all(each.is_whole for each in varied), all(e.is_inverted for e in varied))
    return Intensities(FULL if scale == between(0, 65535) and is_plain else scale, what)


def _of_values(low: float, high: float, is_whole: bool, is_inverted: bool) -> Scale:
    """The scale of values that range from low to high."""
    scale = _natural(low, high, is_whole, is_inverted)
    if scale is None or 256 * (high - low) / (scale.high - scale.low) < FEW_LEVELS:
        return between(low, high) if low < high else between(low, low + 1)
    return scale


def _natural(low: float, high: float, is_whole: bool, is_inverted: bool) -> Scale | None:
    """The scale that such values are written with: fractions of one, or numbers of so many bits."""
    if not is_whole:
        for start, end in ((0, 1), (-1, 1), (0, 255)):
            if start <= low and high <= end:
                return between(start, end)
        return None
    if is_inverted and low >= 0 and high <= 65535:
        return next(
            (between(65536 - 2**bits, 65535) for bits in DEPTHS if 65535 - low < 2**bits), between(0, 65535)
        )
    if low >= 0 and high <= 65535:
        return next((between(0, 2**bits - 1) for bits in DEPTHS if high < 2**bits), between(0, 65535))
    return between(-128, 127) if low >= -128 and high <= 127 else None


def _constant(images: Mapping[str, Levels]) -> list[Problem]:
    return [
        Problem(
            "warning",
            "image of one value",
            where,
            f"every value is {levels.low:g}; nothing can be seen in it",
        )
        for where, levels in images.items()
        if levels.is_constant
    ]


def _transparent(images: Mapping[str, Levels], scale: Scale) -> list[Problem]:
    if scale.kind == "range":
        return []
    problems = []
    for where, levels in images.items():
        if (frac := levels.darkened_frac) > 0:
            severity: Severity = "warning" if frac >= DARKENED_FRAC else "note"
            detail = (
                f"{percent(frac, 2)} of its pixels are transparent and become black or darker; save it "
                "without alpha, or choose --intensity 0..255, which takes the colours as they are"
            )
            problems.append(Problem(severity, "transparent image", where, detail))
    return problems


def _more_bands(images: Mapping[str, Levels], scale: Scale) -> list[Problem]:
    """Bands beside the colours that nothing is made of."""
    files = [
        where
        for where, levels in images.items()
        if levels.num_bands and (scale.kind == "range" or not levels.darkened_frac)
    ]
    if not files:
        return []
    bands = sorted({images[where].num_bands for where in files})
    detail = (
        f"{counted(len(files), 'image')} with {' or '.join(map(str, bands))} bands, as with near infrared: "
        f"the colours are read as they are, and the last band is left out; --channels {bands[-1]} takes all"
    )
    return [
        Problem(
            "warning", "band left out", ", ".join(files[:5]) + (", ..." if len(files) > 5 else ""), detail
        )
    ]


def _out_of_scale(wide: Mapping[str, Levels], found: Intensities) -> list[Problem]:
    """Images of which hardly any grey level is left at the scale of all."""
    low, high = found.scale.extent
    part = (high + 1 - low) / DARK if high > 255 else (high - low) / DARK
    severity: Severity = "warning" if found.is_given else "error"
    remedy = (
        "" if found.is_given else f", or choose --intensity {found.scale} if they are that dark or bright"
    )
    problems = []
    for where, levels in wide.items():
        if levels.is_constant or (low + part <= levels.high and levels.low <= high - part):
            continue
        detail = (
            f"its values range from {levels.low:g} to {levels.high:g}, and the scale of the data set is "
            f"{low:g}..{high:g}: at most {256 // DARK} of 256 grey levels are left, as of an image with "
            f"fewer bits; save all images with one range{remedy}"
        )
        problems.append(Problem(severity, OUT_OF_SCALE, where, detail))
    return problems


def _stretched(wide: Mapping[str, Levels], name: str, found: Intensities) -> list[Problem]:
    """A scale that one value makes wide, as that of pixels without data, or a few pixels do."""
    low, high = found.scale.extent
    varied = [levels for levels in wide.values() if not levels.is_constant]
    if not varied:
        return []
    part = (high - low) / DARK
    start, end = min(each.inner[0] for each in varied), max(each.inner[1] for each in varied)
    outer = {each.low for each in varied if each.low < start - part}
    outer |= {each.high for each in varied if each.high > end + part}
    if outer and (end < low + part or start > high - part):
        better = _of_values(start, end, all(each.is_whole for each in varied), False)
        listed = ", ".join(f"{value:g}" for value in sorted(outer)[:4])
        detail = (
            f"the values {listed} stand far apart from all others, which range from {start:g} to {end:g}: "
            f"pixels without data? They leave at most {256 // DARK} of 256 grey levels; choose --intensity "
            f"{better}, or --intensity {found.scale} if they are values like others"
        )
        return [Problem("warning" if found.is_given else "error", ONE_VALUE, name, detail)]
    most = max(levels.most for levels in varied)
    if most < low + part:
        detail = (
            f"99.9 % of the values of each of the {len(varied)} images are at most {most:g}, where the scale "
            f"goes to {high:g}: nearly black but for a few pixels; if those are noise, "
            f"choose --intensity {low:g}..{most:g}"
        )
        return [Problem("warning", "scale of a few pixels", name, detail)]
    return []


def _dull_channels(images: Mapping[str, Levels], name: str, scale: Scale) -> list[Problem]:
    """Channels of which hardly any grey level is left at the scale of all."""
    low, high = scale.extent if any(each.is_wide for each in images.values()) else (0.0, 255.0)
    dull = [
        f"channel {number} ({start:g} to {end:g})"
        for number, (start, end) in enumerate(_about(images)["extents"], 1)
        if min(end, high) - max(start, low) < (high - low) / DARK
    ]
    if not dull:
        return []
    detail = (
        f"{', '.join(dull)}: at most {256 // DARK} of 256 grey levels are left at the scale "
        f"{low:g}..{high:g}, which holds for all channels; write the channels with one range each, or leave "
        "such ones out"
    )
    return [Problem("warning", "channel of a small range", name, detail)]


def _beside_bytes(
    images: Mapping[str, Levels], wide: Mapping[str, Levels], name: str, found: Intensities
) -> list[Problem]:
    num_bytes = len(images) - len(wide)
    if not num_bytes or not wide or found.scale.extent == (0, 65535):
        return []
    first, other = next(iter(wide)), next(where for where in images if where not in wide)
    detail = (
        f"{num_bytes} images of 8 bits, such as {other}, beside {len(wide)} of more, such as {first}: those "
        f"of 8 bits stay as they are, and the others have the scale {found.scale}; save all images with one "
        "range"
    )
    return [Problem("warning", "images of 8 bits and of more", name, detail)]
