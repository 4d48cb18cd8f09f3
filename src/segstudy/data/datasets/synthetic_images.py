"""Synthetic dermoscopy: pictures that are worth training on, with masks that are exact.

A lesion is a closed curve around a centre, so its mask is known to the pixel. Everything that makes the
real task hard is painted over or beside it: soft and notched borders, faint colour, several tones, hair,
rulers, bubbles, dark corners, freckles and uneven light. Nothing here says anything about real images.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from segstudy.core.seeding import seed_for

NUMERICS = 1  # raised when any pixel below changes

SIZES = ((180, 240), (184, 248), (188, 252), (192, 256), (196, 256), (200, 260), (204, 268), (208, 276))
# Skin in light that is even, from fair to dark; RGB in [0, 1].
SKINS = (
    (0.93, 0.76, 0.68),
    (0.90, 0.70, 0.60),
    (0.85, 0.64, 0.52),
    (0.78, 0.56, 0.44),
    (0.64, 0.45, 0.34),
    (0.50, 0.35, 0.27),
)
MELANIN = np.array([0.55, 1.0, 1.25])  # how much more it absorbs of red, green and blue
SHARED_LESION_EVERY = 17  # each so many samples one shows the lesion of the one before
SUPERSAMPLE = 3  # lines are painted this much larger, for smooth edges

Field = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Drawing:
    """One synthetic sample.

    Attributes:
        id: ``drawn-0007``.
        image: ``(H, W, 3)`` uint8.
        mask: ``(H, W)`` bool, exact.
        group: equal for pictures of one lesion.
        category: ``nevus``, ``atypical`` or ``melanoma``.
    """

    id: str
    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    group: str
    category: str


@dataclass(frozen=True, slots=True)
class Kind:
    """What a category looks like.

    Attributes:
        irregularity: how far the border strays from an ellipse, as a fraction of the radius.
        num_notches: at most so many.
        tones: how strongly the colour varies inside.
        veil: chance of a blue-white veil.
    """

    irregularity: float
    num_notches: int
    tones: float
    veil: float


KINDS = {
    "nevus": Kind(irregularity=0.07, num_notches=1, tones=0.25, veil=0.0),
    "atypical": Kind(irregularity=0.16, num_notches=3, tones=0.45, veil=0.05),
    "melanoma": Kind(irregularity=0.19, num_notches=4, tones=0.8, veil=0.6),
}


def draw(seed: int, index: int) -> Drawing:
    """Draw sample ``index`` of the set with this seed; no other sample has a part in it."""
    shared = index % SHARED_LESION_EVERY == SHARED_LESION_EVERY - 1
    lesion_index = index - 1 if shared else index
    lesion_rng = np.random.default_rng(seed_for("synthetic lesion", seed=seed, lesion=lesion_index))
    rng = np.random.default_rng(seed_for("synthetic view", seed=seed, sample=index))
    category = str(lesion_rng.choice(list(KINDS), p=[0.4, 0.4, 0.2]))
    size = SIZES[int(rng.integers(len(SIZES)))]

    depth = lesion_depth(size, KINDS[category], lesion_rng, rng)
    skin = lit_skin(size, SKINS[int(lesion_rng.integers(len(SKINS)))], rng)
    image = with_distractors(skin, depth, rng)
    image = with_lesion(image, depth, KINDS[category], lesion_rng, rng)
    image = with_instruments(image, rng)
    image = np.clip(image + rng.normal(0, rng.uniform(0.005, 0.02), image.shape), 0, 1)
    return Drawing(
        id=f"drawn-{index:04}",
        image=np.round(image * 255).astype(np.uint8),
        mask=depth > 0,
        group=f"lesion-{lesion_index:04}",
        category=category,
    )


def smooth_noise(size: tuple[int, int], cell_px: float, rng: np.random.Generator) -> Field:
    """Noise ``(H, W)`` in about [-1, 1] whose blobs are ``cell_px`` wide."""
    height, width = size
    cells = (max(2, round(height / cell_px) + 1), max(2, round(width / cell_px) + 1))
    coarse = Image.fromarray(rng.uniform(-1, 1, cells).astype(np.float32))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.float64)


def lesion_depth(
    size: tuple[int, int], kind: Kind, lesion_rng: np.random.Generator, rng: np.random.Generator
) -> Field:
    """How deep inside the lesion each pixel lies, in pixels; positive is inside.

    The border is an ellipse, bent by waves around the centre, bitten into by notches and roughened by
    noise. The shape belongs to the lesion, where it lies in the picture to the view.
    """
    height, width = size
    area = height * width * np.exp(lesion_rng.uniform(np.log(0.07), np.log(0.75)))
    stretch = np.exp(lesion_rng.uniform(-0.3, 0.3))
    angle = lesion_rng.uniform(0, np.pi) + rng.uniform(-0.3, 0.3)
    far = 0.42 if rng.random() < 0.25 else 0.12  # one in four may reach over the picture's border
    y, x = np.mgrid[:height, :width].astype(np.float64)
    y -= height * (0.5 + rng.uniform(-far, far))
    x -= width * (0.5 + rng.uniform(-far, far))
    u = (x * np.cos(angle) + y * np.sin(angle)) / stretch
    v = (y * np.cos(angle) - x * np.sin(angle)) * stretch
    around = np.arctan2(v, u)

    radius = np.ones_like(u)
    for wave in range(2, 9):
        amplitude = kind.irregularity * lesion_rng.normal() / wave**0.8
        radius += amplitude * np.cos(wave * around + lesion_rng.uniform(0, 2 * np.pi))
    for _ in range(int(lesion_rng.integers(kind.num_notches + 1))):
        off = np.angle(np.exp(1j * (around - lesion_rng.uniform(-np.pi, np.pi))))
        radius -= lesion_rng.uniform(0.15, 0.4) * np.exp(-((off / lesion_rng.uniform(0.08, 0.25)) ** 2))
    depth = np.sqrt(area / np.pi) * np.maximum(radius, 0.2) - np.hypot(u, v)
    return np.asarray(depth + smooth_noise(size, 9, rng) * 12 * kind.irregularity)


def lit_skin(size: tuple[int, int], colour: tuple[float, ...], rng: np.random.Generator) -> Field:
    """Skin ``(H, W, 3)`` with uneven light, blotches and fine grain."""
    height, width = size
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    direction = rng.uniform(0, 2 * np.pi)
    light = 1 + rng.uniform(0, 0.35) * (x * np.cos(direction) + y * np.sin(direction))
    light += 0.09 * smooth_noise(size, 60, rng) + 0.025 * smooth_noise(size, 5, rng)
    redness = 0.05 * smooth_noise(size, 45, rng)
    tint = rng.normal(0, 0.02, 3)
    skin = (np.array(colour) + tint) * light[..., None]
    return np.asarray(skin * (1 + redness[..., None] * np.array([0.3, -1.0, -0.8])))


def with_distractors(image: Field, depth: Field, rng: np.random.Generator) -> Field:
    """Freckles, small moles and a flush that are no part of the lesion; they keep clear of it."""
    height, width = depth.shape
    pigment = np.zeros_like(depth)
    for _ in range(int(rng.integers(0, 14))):
        centre, radius = rng.uniform(0, 1, 2) * (height, width), rng.uniform(1.5, 6)
        if depth[int(centre[0]), int(centre[1])] > -2 * radius - 4:
            continue
        pigment += rng.uniform(0.1, 0.6) * _dot(depth.shape, centre, radius, 0.8)
    image = image * np.exp(-pigment[..., None] * MELANIN)
    if rng.random() < 0.35:  # a flush, often around the lesion: its edge is not the lesion's
        distance = -depth + 25 * smooth_noise((height, width), 40, rng)
        flush = rng.uniform(0.05, 0.22) / (1 + np.exp((distance - rng.uniform(8, 30)) / 8))
        image = image * (1 - flush[..., None] * np.array([0.1, 1.0, 0.8]))
    return np.asarray(image)


def with_lesion(
    image: Field, depth: Field, kind: Kind, lesion_rng: np.random.Generator, rng: np.random.Generator
) -> Field:
    """Pigment inside the border, fading over a soft edge that is half gone where the mask ends."""
    size = depth.shape[0], depth.shape[1]
    faint = lesion_rng.random() < 0.25
    density = lesion_rng.uniform(0.14, 0.3) if faint else lesion_rng.uniform(0.4, 1.3)
    softness_px = np.exp(lesion_rng.uniform(np.log(0.6), np.log(4.0)))
    inside = 1 / (1 + np.exp(-np.clip(depth / softness_px, -40, 40)))
    tones = 1 + kind.tones * (0.8 * smooth_noise(size, 45, rng) + 0.4 * smooth_noise(size, 14, rng))
    tones *= 1 + 0.25 * _network(size, rng) * (rng.random() < 0.6)
    tones += _globules(depth, rng) * (rng.random() < 0.5)
    pigment = density * np.maximum(tones, 0.25) * inside
    hue = MELANIN * np.exp(lesion_rng.normal(0, 0.12, 3))
    image = image * np.exp(-pigment[..., None] * hue)
    if lesion_rng.random() < kind.veil:
        veil = inside * np.clip(smooth_noise(size, 40, rng) + 0.1, 0, 1) * rng.uniform(0.3, 0.7)
        image += veil[..., None] * (np.array([0.50, 0.54, 0.66]) - image)
    return np.asarray(image)


def _network(size: tuple[int, int], rng: np.random.Generator) -> Field:
    """The mesh of a pigment network, bent by noise; in [-1, 1]."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float64)
    y, x = y + 7 * smooth_noise(size, 16, rng), x + 7 * smooth_noise(size, 16, rng)
    turned, mesh_px = rng.uniform(0, np.pi), rng.uniform(5, 10)
    lines = [
        np.cos(2 * np.pi / mesh_px * (x * np.cos(a) + y * np.sin(a))) for a in (turned, turned + np.pi / 2)
    ]
    clear = 0.5 + 0.5 * smooth_noise(size, 30, rng)  # plain in places
    return np.asarray(np.maximum(*lines) * np.clip(clear, 0, 1))


def _globules(depth: Field, rng: np.random.Generator) -> Field:
    """Round dark grains inside the lesion."""
    grains = np.zeros_like(depth)
    for _ in range(25):
        grains += 0.9 * _dot(depth.shape, rng.uniform(0, 1, 2) * depth.shape, rng.uniform(1.2, 3.2), 0.5)
    return np.asarray(grains * (depth > 3))


def _dot(size: tuple[int, ...], centre: Field, radius: float, softness: float) -> Field:
    """A soft disc in an otherwise empty picture; only the square around it is worked out."""
    dot = np.zeros(size)
    reach = int(radius + 12 * softness) + 1
    top, left = (max(0, int(c) - reach) for c in centre)
    y, x = np.ogrid[top : min(size[0], int(centre[0]) + reach), left : min(size[1], int(centre[1]) + reach)]
    distance = np.hypot(y - centre[0], x - centre[1])
    dot[top : top + distance.shape[0], left : left + distance.shape[1]] = 1 / (
        1 + np.exp((distance - radius) / softness)
    )
    return dot


def with_instruments(image: Field, rng: np.random.Generator) -> Field:
    """What lies between skin and camera: hair, a ruler, bubbles, and the corners of the lens."""
    if rng.random() < 0.6:
        image = _hair(image, rng)
    if rng.random() < 0.2:
        image = _ruler(image, rng)
    if rng.random() < 0.3:
        image = _bubbles(image, rng)
    if rng.random() < 0.45:
        image = _dark_corners(image, rng)
    return image


def _painted(image: Field, stroke: Image.Image, colour: Field, opacity: float) -> Field:
    """Blend a colour in where an enlarged stroke was painted."""
    height, width = image.shape[:2]
    cover = np.asarray(stroke.resize((width, height), Image.Resampling.BOX), np.float64) / 255
    return np.asarray(image + (opacity * cover)[..., None] * (colour - image))


def _canvas(image: Field) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    canvas = Image.new("L", (image.shape[1] * SUPERSAMPLE, image.shape[0] * SUPERSAMPLE))
    return canvas, ImageDraw.Draw(canvas)


def _hair(image: Field, rng: np.random.Generator) -> Field:
    """Curved hairs that taper to their tip, all dark or all light."""
    dark = rng.uniform(0.05, 0.22) * np.array([1.1, 0.9, 0.8])
    colour = np.array([0.82, 0.76, 0.66]) if rng.random() < 0.2 else dark
    canvas, pen = _canvas(image)
    extent = np.array(canvas.size)
    lean = rng.uniform(0, 2 * np.pi)
    for _ in range(int(rng.integers(3, 22))):
        start = rng.uniform(-0.1, 1.1, 2) * extent
        direction = lean + rng.normal(0, 0.6)
        length = rng.uniform(0.25, 0.9) * extent[0]
        along = np.linspace(0, 1, 14)[:, None]
        straight = np.array([np.cos(direction), np.sin(direction)])
        bend = np.array([-straight[1], straight[0]]) * rng.normal(0, 0.25)
        points = start + length * (along * straight + along**2 * bend)
        thick = rng.uniform(0.7, 1.9) * SUPERSAMPLE
        for i in range(13):
            width_px = max(1, round(thick * (1 - 0.7 * i / 13)))
            pen.line([tuple(points[i]), tuple(points[i + 1])], fill=255, width=width_px)
    return _painted(image, canvas, colour, rng.uniform(0.7, 0.95))


def _ruler(image: Field, rng: np.random.Generator) -> Field:
    """Ticks along one edge, every fifth longer."""
    canvas, pen = _canvas(image)
    width, height = canvas.size
    step, margin = rng.uniform(5, 9) * SUPERSAMPLE, rng.uniform(2, 10) * SUPERSAMPLE
    along_x = rng.random() < 0.5
    for i in range(int((width if along_x else height) / step)):
        reach = (14 if i % 5 == 0 else 7) * SUPERSAMPLE
        at = i * step
        ends = [(at, margin), (at, margin + reach)] if along_x else [(margin, at), (margin + reach, at)]
        pen.line(ends, fill=255, width=SUPERSAMPLE)
    return _painted(image, canvas, np.array([0.08, 0.08, 0.1]), 0.85)


def _bubbles(image: Field, rng: np.random.Generator) -> Field:
    """Air in the gel: bright rims with a spot of light."""
    canvas, pen = _canvas(image)
    for _ in range(int(rng.integers(1, 9))):
        radius = rng.uniform(2, 10) * SUPERSAMPLE
        x, y = rng.uniform(0, 1, 2) * canvas.size
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], outline=170, width=SUPERSAMPLE)
        spot = radius * 0.3
        pen.ellipse([x - 2 * spot, y - 2 * spot, x - spot, y - spot], fill=255)
    return _painted(image, canvas.filter(ImageFilter.GaussianBlur(1)), np.array([1.0, 0.99, 0.96]), 0.8)


def _dark_corners(image: Field, rng: np.random.Generator) -> Field:
    """The lens's round field: black outside, with an edge between sharp and gradual."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width]
    centre = np.array([height, width]) / 2 + rng.normal(0, 4, 2)
    distance = np.hypot(y - centre[0], x - centre[1])
    radius = np.hypot(height, width) / 2 * rng.uniform(0.8, 0.98)
    light = 1 / (1 + np.exp(np.clip((distance - radius) / rng.uniform(1, 14), -40, 40)))
    return np.asarray(image * (0.03 + 0.97 * light[..., None]))
