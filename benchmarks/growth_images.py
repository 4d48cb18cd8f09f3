"""The steps of a study on many small images, of which some are planted near-duplicates."""

import csv
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from growth_clock import Clock, Steps
from PIL import Image, ImageEnhance

SIZE_PX = 64
SCENES = 10
COPY_EVERY = 100  # the last image of each hundred is a changed copy of the one before
FIELDS = {"architecture": "unet", "loss": "bce", "image_size": SIZE_PX, "width": 4, "batch_size": 8}
FIELDS |= {"epochs": 1, "seeds": 1, "record_test": False, "accept_duplicates": True}
CATEGORIES = ("nevus", "atypical", "melanoma")

Pair = tuple[Image.Image, Image.Image]


def made_up_images(folder: Path, n: int) -> None:
    """Smooth noise with an ellipse, different in every image, in the layout of ``segstudy synth``."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    before = made_up(0)
    for i in range(n):
        before = copied(before, i // COPY_EVERY) if i % COPY_EVERY == COPY_EVERY - 1 else made_up(i)
        for kind, picture in zip(("images", "masks"), before, strict=True):
            picture.save(folder / kind / _name(i), compress_level=1)
    _write_table(folder, n)


def made_up(i: int) -> Pair:
    """An image and its mask, by number alone."""
    rng = np.random.default_rng(i)
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX]
    noise = Image.fromarray(rng.integers(60, 200, (16, 16, 3), np.uint8)).resize((SIZE_PX, SIZE_PX))
    centre, radii = rng.uniform(20, 44, 2), rng.uniform(5, 18, 2)
    mask = ((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 < 1
    pixels = np.where(mask[..., None], np.asarray(noise) // 2, noise).astype(np.uint8)
    return Image.fromarray(pixels), Image.fromarray(mask)


def copied(pair: Pair, number: int) -> Pair:
    """The same in another orientation, darker or with less contrast, every other one cropped to 95 %."""
    image, mask = pair
    if number % 2:
        box = (0, 0, 61, 61)
        image, mask = image.crop(box), mask.crop(box)
    image = (ImageEnhance.Brightness if number % 3 else ImageEnhance.Contrast)(image).enhance(0.8)
    turns = [Image.Transpose.ROTATE_90] * (number % 4)
    turns += [Image.Transpose.FLIP_LEFT_RIGHT] * (number // 4 % 2)
    for turn in turns:
        image, mask = image.transpose(turn), mask.transpose(turn)
    return image, mask


def first_of(whole: Path, folder: Path, n: int) -> None:
    """The first images of a larger set, as further names of the same files."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
        for i in range(n):
            os.link(whole / kind / _name(i), folder / kind / _name(i))
    _write_table(folder, n)


def _name(i: int) -> str:
    return f"{i:06}.png"


def _write_table(folder: Path, n: int) -> None:
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["id", "group", "category"])
        table.writerows([f"{i:06}", f"{i:06}", CATEGORIES[i % 3]] for i in range(n))


def in_images(n: int, folder: Path) -> Steps:
    """Every step of a study with one run of one epoch, on so many images."""
    data, whole = folder / "data", os.environ.get("GROWTH_IMAGES")
    first_of(Path(whole), data, n) if whole else made_up_images(data, n)
    from segstudy.config.study import override, preset_study
    from segstudy.data.datasets import read
    from segstudy.data.fingerprint import fingerprint
    from segstudy.data.prepared import open_prepared, prepare
    from segstudy.reporting.page import write_report
    from segstudy.store.folder import StudyFolder
    from segstudy.store.verify import verify_folder
    from segstudy.study.execution import carry_out
    from segstudy.study.findings import find
    from segstudy.study.machine import choose_machine
    from segstudy.study.plan import make_plan, plan_on, resolve, write_plan

    clock = Clock()
    timed_inside(clock)
    fields: dict[str, Any] = {name: [value] for name, value in FIELDS.items()}
    machine, store = choose_machine("cpu", 1, 1, "serial"), StudyFolder(folder / "study")
    study = resolve(override(preset_study("classic", "growth", str(data)), fields), machine)
    with clock.step("read"):
        dataset = read(data)
    with clock.step("hash"):
        hashed = fingerprint(dataset.samples)
    with clock.step("hash again"):
        fingerprint(dataset.samples)
    with clock.step("check"):
        findings = find(dataset, hashed, study, None, lambda _: None)
    pairs = [each for each in findings.problems if each.kind == "near-duplicate images"]
    with clock.step("plan"):
        plan = plan_on(study, dataset, hashed, findings)
    with clock.step("write plan"):
        write_plan(plan, store)
    protocol = plan.configurations()[0].protocol
    settings = (protocol.image_size, protocol.resize, protocol.mask_meaning(), protocol.scale())
    with clock.step("prepare"):
        prepared = prepare(dataset.samples, hashed, *settings)
    with clock.step("check prepared"):
        open_prepared(prepared)
    with clock.step("a run"):
        for outcome in carry_out(plan, plan.runs, store, machine):
            assert outcome.status == "finished", outcome
    with clock.step("plan again"):
        make_plan(plan.study, machine, store.data())
    with clock.step("report"):
        write_report(store)
    with clock.step("verify"):
        assert not verify_folder(store).faults
    clock.steps["near-duplicates"]["pairs_found"] = len(pairs)
    clock.steps["near-duplicates"]["pairs_planted"] = n // COPY_EVERY
    return clock.steps


def in_scenes(n: int, _folder: Path) -> Steps:
    """The search for near-duplicates alone: every other image is a noisy frame of one of ten still scenes."""
    from segstudy.data.duplicates import near_duplicates, thumbnail

    rng, clock = np.random.default_rng(0), Clock()
    images = np.empty((n, SIZE_PX, SIZE_PX), np.uint8)
    for i in range(n):
        scene = i // 2 % SCENES if i % 2 else i + SCENES
        images[i] = thumbnail(np.asarray(made_up(scene)[0]))
        if i % 2:
            images[i] = (images[i] + rng.normal(0, 3, images[i].shape)).clip(0, 255)
    with clock.step("near-duplicates"):
        found = near_duplicates(images)
    clock.steps["near-duplicates"]["pairs_found"] = len(found)
    clock.steps["near-duplicates"]["pairs_planted"] = n // 2 - SCENES  # as many as connect the frames
    return clock.steps


def timed_inside(clock: Clock) -> None:
    """Measure parts of steps by themselves: the pairs of ``check``, the parts of a run."""
    import segstudy.data.check
    import segstudy.study.plan
    import segstudy.training.worker

    def around(module: Any, function: str, name: str) -> None:
        original: Callable[..., Any] = getattr(module, function)

        def timed(*args: Any, **kwargs: Any) -> Any:
            with clock.step(name):
                return original(*args, **kwargs)

        setattr(module, function, timed)

    around(segstudy.data.check, "near_duplicates", "near-duplicates")
    around(segstudy.study.plan, "write_baselines", "baselines")
    around(segstudy.study.plan, "write_thumbnails", "small images")
    around(segstudy.training.worker, "finish", "final scores")
    around(segstudy.training.worker, "_store", "store a run")
    original = segstudy.training.worker.epochs

    def epochs(training: Any) -> Iterator[dict[str, float]]:
        with clock.step("an epoch"):
            rows = list(original(training))
        yield from rows

    segstudy.training.worker.epochs = epochs
