"""Every option that a refusal of masks or images names is one that the command has, and that helps."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from small import CLASSES, write_channels, write_classes, write_dataset

Change = Callable[[NDArray[np.uint8], int], NDArray[np.generic]]
WORD = r"(?:'[^']*'|[^\s;()`]*[^\s;,.()`])"
OPTIONS = re.compile(rf"(?<![\w`-])--[a-z-]+ {WORD}(?: --[a-z-]+ {WORD})*")
RUN = re.compile(r"\(run: (--set [^)\s]+)\)")
TINY = ("--protocol", "quick", "--image-size", "32")


def rewritten(folder: Path, change: Change) -> Path:
    for i, file in enumerate(sorted((folder / "masks").iterdir())):
        Image.fromarray(change(np.array(Image.open(file)), i)).save(file)
    return folder


def colours(*palette: tuple[int, int, int]) -> Change:
    return lambda mask, _: np.array(palette, np.uint8)[mask]


BLACK, RED, GREEN, WHITE = (0, 0, 0), (255, 0, 0), (0, 255, 0), (255, 255, 255)
ONE_AND_TWO: Change = lambda mask, i: np.minimum(mask, 1) * np.uint8(i % 2 + 1)  # noqa: E731
RED_OR_GREEN: Change = lambda mask, i: colours(BLACK, *[(RED, GREEN)[i % 2]] * 2)(mask, i)  # noqa: E731

# Of masks of 0, 1 and 2: what they become, the call, and how many remedies there are.
MASKS: dict[str, tuple[Change, tuple[str, ...], int]] = {
    "three values": (lambda mask, _: mask, (), 3),
    "far values": (lambda mask, _: mask * np.uint8(100), (), 3),
    "void": (lambda mask, _: np.where(mask == 2, np.uint8(255), mask), (), 4),
    "other values in other masks": (ONE_AND_TWO, (), 4),
    "three colours": (colours(BLACK, RED, GREEN), (), 3),
    "two colours on white": (colours(WHITE, RED, RED), (), 2),
    "a number of two colours": (RED_OR_GREEN, ("--foreground", "255"), 3),
    "an ignored number of two colours": (RED_OR_GREEN, ("--ignore", "255"), 1),
    "one mask of several": (lambda mask, i: mask if i == 1 else np.minimum(mask, 1), (), 3),
}


def errors_of(out: str) -> str:
    """What the output of check says of errors."""
    return out.partition("\nwarning: ")[0].partition("\nnote: ")[0]


@pytest.mark.parametrize("case", MASKS)
def test_each_remedy_for_masks_is_one_that_check_takes(tmp_path: Path, call, case: str) -> None:
    change, words, number = MASKS[case]
    data = rewritten(write_classes(tmp_path / "eyes", n=8), change)
    code, out, _ = call("check", data, *words)
    assert code == 2
    assert out.count("error: ") == 1
    remedies = OPTIONS.findall(RUN.sub("", errors_of(out)))
    assert len(remedies) == number
    for remedy in remedies:
        code, out, _ = call("check", data, *shlex.split(remedy))
        assert code == 0, (remedy, out)


@pytest.mark.parametrize("case", ["three values", "three colours", "a number of two colours"])
def test_each_remedy_for_masks_is_one_that_plan_takes(tmp_path: Path, call, case: str) -> None:
    change, words, _ = MASKS[case]
    data = rewritten(write_classes(tmp_path / "eyes", n=8), change)
    given = ("--set", f"foreground={words[1]}") if words else ()
    code, _, err = call("plan", data, *TINY, *given)
    assert code == 2
    (first,) = OPTIONS.findall(err)
    errors = errors_of(call("check", data, *words)[1])
    others = [each for each in OPTIONS.findall(RUN.sub("", errors)) if not each.startswith("--foreground")]
    assert first in others
    for remedy in (*others, *RUN.findall(errors)):
        code, _, err = call("plan", data, *TINY, *shlex.split(remedy))
        assert code == 0, (remedy, err)


@pytest.mark.parametrize("channels", [2, 4, 6])
def test_channels_that_are_named_are_read(tmp_path: Path, call, channels: int) -> None:
    data = write_channels(tmp_path / "bands", channels, n=6)
    code, out, _ = call("check", data)
    (remedy,) = set(OPTIONS.findall(errors_of(out))) or {
        "--channels " + re.findall("--channels ([0-9]+)", out)[0]
    }
    code, out, _ = call("check", data, *shlex.split(remedy))
    assert code == 0, out
    code, out, _ = call("check", data, "--channels", channels + 1)
    assert code == 2
    assert set(OPTIONS.findall(errors_of(out))) - {f"--channels {channels + 1}"} == {f"--channels {channels}"}


def test_numbers_of_unknown_range_are_read_with_one(tmp_path: Path, call) -> None:
    data = write_dataset(tmp_path / "fractions", n=6)
    for file in sorted((data / "images").iterdir()):
        values = np.asarray(Image.open(file).convert("RGB")).astype(np.float32) / 255
        file.unlink()
        tifffile.imwrite(file.with_suffix(".tif"), values[..., 0])
    assert call("check", data, "--intensity", "0..1")[0] == 0


def test_folders_of_classes_are_read_with_their_names(tmp_path: Path, call) -> None:
    data = write_classes(tmp_path / "eyes", n=6, overlapping=True)
    code, out, _ = call("check", data)
    assert code == 2
    (remedy,) = OPTIONS.findall(errors_of(out))
    assert call("check", data, *shlex.split(remedy))[0] == 0


def test_names_without_values_are_given_some(tmp_path: Path, call) -> None:
    data = write_classes(tmp_path / "eyes", n=6)
    code, out, _ = call("check", data, "--classes", "disc,cup")
    assert code == 2
    assert f"--classes {CLASSES}" in out
    assert call("check", data, "--classes", CLASSES)[0] == 0


def test_a_value_of_no_class_is_ignored_or_named(tmp_path: Path, call) -> None:
    data = write_classes(tmp_path / "eyes", n=6, void=True)
    code, out, _ = call("check", data, "--classes", CLASSES)
    assert code == 2
    assert "no class has: 255; name the class in --classes, or the value in --ignore" in out
    assert call("check", data, "--classes", CLASSES, "--ignore", 255)[0] == 0
    assert call("check", data, "--classes", f"{CLASSES}+255")[0] == 0


def test_what_is_left_out_is_not_read(tmp_path: Path, call) -> None:
    change, _, _ = MASKS["one mask of several"]
    data = rewritten(write_classes(tmp_path / "eyes", n=8), change)
    out = call("check", data)[1]
    (left_out,) = re.findall("exclude (eye[0-9]+)", errors_of(out))
    (tmp_path / "out.txt").write_text(left_out)
    assert call("plan", data, *TINY, "--exclude", tmp_path / "out.txt")[0] == 0
