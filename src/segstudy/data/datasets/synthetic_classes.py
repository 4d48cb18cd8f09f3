"""Synthetic pictures of several classes: objects that differ in shape and texture more than in colour.

Discs are speckled, rods are striped, and their colours overlap; some rods lie in discs, and a core lies in
most discs of the set of four classes. About a fifth of the pictures lack a class. Nothing here says
anything about real images.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segstudy.core.seeding import seed_for
from segstudy.core.synthetic import NAMES
from segstudy.data.datasets.synthetic_images import SIZES, Field, smooth_noise, with_instruments

NUMERICS = 1  # raised when any pixel below changes

DISC, ROD, CORE = (NAMES.index(name) for name in ("disc", "rod", "core"))
GROUNDS = ((0.88, 0.83, 0.86), (0.82, 0.86, 0.84), (0.90, 0.86, 0.78), (0.76, 0.78, 0.84))
COLOURS = {DISC: (0.66, 0.42, 0.52), ROD: (0.52, 0.42, 0.60), CORE: (0.36, 0.26, 0.46)}
LACKING = (((), 0.78), ((DISC,), 0.1), ((ROD,), 0.1), ((DISC, ROD), 0.02))  # with the chance of each


@dataclass(frozen=True, slots=True)
class Scene:
    """One synthetic sample of several classes.

    Attributes:
        id: ``scene-0007``.
        image: ``(H, W, 3)`` uint8.
        mask: ``(H, W)`` uint8, numbers of classes, exact.
        category: ``sparse`` or ``crowded``.
    """

    id: str
    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    category: str


@dataclass(frozen=True, slots=True)
class Object:
    """An object before it is painted.

    Attributes:
        number: of its class.
        depth: ``(H, W)``, how deep inside it each pixel lies, in pixels; positive is inside.
        texture: ``(H, W)``, about -1 to 1.
    """

    number: int
    depth: Field
    texture: Field


def draw(seed: int, index: int, num_classes: int) -> Scene:
    """Draw sample ``index`` of the set with this seed and number of classes, the background included."""
    rng = np.random.default_rng(
        seed_for("synthetic classes", seed=seed, sample=index, num_classes=num_classes)
    )
    size = SIZES[int(rng.integers(len(SIZES)))]
    crowded = bool(rng.random() < 0.4)
    chances = [chance for _, chance in LACKING]
    lacking = LACKING[int(rng.choice(len(LACKING), p=chances))][0]
    image, mask = ground(size, rng), np.zeros(size, np.uint8)
    image = _with_blots(image, rng)
    for each in _objects(size, (crowded, lacking, num_classes), rng):
        image = painted(image, each, rng)
        mask[each.depth > 0] = each.number
    image = with_instruments(image, rng)
    image = np.clip(image + rng.normal(0, rng.uniform(0.01, 0.04), image.shape), 0, 1)
    category = "crowded" if crowded else "sparse"
    return Scene(f"scene-{index:04}", np.round(image * 255).astype(np.uint8), mask, category)


def _objects(
    size: tuple[int, int], what: tuple[bool, tuple[int, ...], int], rng: np.random.Generator
) -> list[Object]:
    """Discs first, each with its core, then rods, some of them in a disc."""
    crowded, lacking, num_classes = what
    found, centres = [], []
    for _ in range(int(rng.integers(4, 8) if crowded else rng.integers(1, 4)) * (DISC not in lacking)):
        centre, radius = rng.uniform(0.05, 0.95, 2) * size, rng.uniform(12, 30)
        depth = disc(size, centre, radius, rng)
        centres.append(centre)
        found.append(Object(DISC, depth, smooth_noise(size, 4.5, rng)))
        if num_classes > CORE and rng.random() < 0.8:
            off = rng.uniform(-0.15, 0.15, 2) * radius
            inner = disc(size, centre + off, rng.uniform(0.35, 0.55) * radius, rng)
            found.append(Object(CORE, np.minimum(inner, depth - 2), smooth_noise(size, 20, rng)))
    for _ in range(int(rng.integers(5, 10) if crowded else rng.integers(2, 6)) * (ROD not in lacking)):
        nested = bool(centres) and rng.random() < 0.35
        centre = centres[int(rng.integers(len(centres)))] if nested else rng.uniform(0.05, 0.95, 2) * size
        found.append(rod(size, centre, 0.7 if nested else 1.0, rng))
    return found


def disc(size: tuple[int, int], centre: Field, radius: float, rng: np.random.Generator) -> Field:
    """A round object with a wavy border."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float64)
    y, x = y - centre[0], x - centre[1]
    around, reach = np.arctan2(y, x), np.ones(size)
    for wave in range(2, 6):
        reach += 0.1 / wave * rng.normal() * np.cos(wave * around + rng.uniform(0, 2 * np.pi))
    return np.asarray(radius * reach - np.hypot(y, x))


def rod(size: tuple[int, int], centre: Field, scale: float, rng: np.random.Generator) -> Object:
    """A bent object, longer than wide, with stripes across."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float64)
    y, x = y - centre[0], x - centre[1]
    angle, bend = rng.uniform(0, np.pi), rng.uniform(-0.006, 0.006)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle) - bend * along**2
    length, width = scale * rng.uniform(18, 42), scale * rng.uniform(7, 11)
    beyond = np.maximum(np.abs(along) - length, 0)
    depth = width - np.hypot(beyond, across) + 0.8 * smooth_noise(size, 8, rng)
    stripes = np.sin(2 * np.pi * along / rng.uniform(8, 12) + rng.uniform(0, 2 * np.pi))
    return Object(ROD, np.asarray(depth), stripes)


def ground(size: tuple[int, int], rng: np.random.Generator) -> Field:
    """What lies below the objects ``(H, W, 3)``: uneven light, blotches and grain."""
    y, x = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j]
    direction = rng.uniform(0, 2 * np.pi)
    light = 1 + rng.uniform(0, 0.25) * (x * np.cos(direction) + y * np.sin(direction))
    light += 0.08 * smooth_noise(size, 50, rng) + 0.04 * smooth_noise(size, 6, rng)
    colour = np.array(GROUNDS[int(rng.integers(len(GROUNDS)))]) + rng.normal(0, 0.03, 3)
    return np.asarray(colour * light[..., None])


def _with_blots(image: Field, rng: np.random.Generator) -> Field:
    """Spots in the colours of the objects, without a border, a texture or a class."""
    size = image.shape[0], image.shape[1]
    for number in rng.choice([DISC, ROD], int(rng.integers(0, 4))):
        depth = disc(size, rng.uniform(0, 1, 2) * size, rng.uniform(8, 24), rng)
        cover = rng.uniform(0.3, 0.7) / (1 + np.exp(-np.clip(depth / rng.uniform(5, 9), -40, 40)))
        image = image + cover[..., None] * (np.array(COLOURS[int(number)]) - image)
    return image


def painted(image: Field, each: Object, rng: np.random.Generator) -> Field:
    """Paint an object over what is there, over a soft edge that is half gone where the mask ends."""
    softness_px = np.exp(rng.uniform(np.log(0.5), np.log(2.0)))
    inside = rng.uniform(0.75, 1) / (1 + np.exp(-np.clip(each.depth / softness_px, -40, 40)))
    colour = np.array(COLOURS[each.number]) + rng.normal(0, 0.07, 3) + rng.normal(0, 0.06)
    contrast = rng.uniform(0.1, 0.22)
    painted = colour * (1 + contrast * each.texture)[..., None]
    return np.asarray(image + inside[..., None] * (painted - image))
