"""Spellings of sums: ``bce+0.5*dice``."""

import pytest

from segstudy.core.errors import UserError
from segstudy.core.registry import parse
from segstudy.core.sums import distinct_titles, parse_sum, title


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("bce", "bce"),
        ("bce+dice", "bce+dice"),
        ("dice+bce", "bce+dice"),
        ("0.5*dice + bce", "bce+0.5*dice"),
        ("bce+.50*dice", "bce+0.5*dice"),
        ("1*bce+1.0*dice", "bce+dice"),
        ("2.0*dice", "2*dice"),
        ("1e2*dice+1e-3*bce", "0.001*bce+100*dice"),
        ("1e+2*dice+1e+30*bce", "1e+30*bce+100*dice"),
        ("focal+tversky:fp_weight=0.3", "focal+tversky:fp_weight=0.3"),
        ("tversky:smooth=1e+3+dice:smooth=1e2", "dice:smooth=100.0+tversky:smooth=1000.0"),
        ("dice:smooth=2+dice:smooth=1", "dice:smooth=1+dice:smooth=2"),
        ('a.b:Name:word="x+y"+bce', 'a.b:Name:word="x+y"+bce'),
        ("a.b:Name:sizes=[1e+2,3]+bce", "a.b:Name:sizes=[100.0,3]+bce"),
        ("a.b:Name:word=2*x", 'a.b:Name:word="2*x"'),
    ],
)
def test_equal_sums_have_one_spelling(written: str, meant: str) -> None:
    assert str(parse_sum(written)) == title(written) == meant
    assert parse_sum(meant) == parse_sum(written)
    assert parse_sum(written).spelling == meant


@pytest.mark.parametrize("path", ["/data/c++/my.py", "/data/2*3/a+b.py", "c+d/my.py"])
def test_a_path_may_hold_any_sign(path: str) -> None:
    text = f"{path}:Name:depth=3"
    assert parse_sum(text).components == (parse(text),)
    assert parse_sum(text).spelling == parse(text).spelling
    assert parse_sum(text).file == parse(text).file
    assert title(text) == str(parse(text))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("bce+", "'bce.' adds up nothing beside a plus sign: write it as bce.0.5.dice"),
        ("+bce", "adds up nothing"),
        ("bce++dice", "adds up nothing"),
        ("0*dice", r"'0\*dice': the weight of dice must be a number above 0"),
        ("bce+-1*dice", r"'-1\*dice': the weight of dice must be a number above 0"),
        ("inf*dice", "the weight of dice must be a number above 0"),
        ("nan*dice", "the weight of dice must be a number above 0"),
        ("half*dice", "the weight of dice must be a number above 0"),
        ("*dice", "the weight of dice must be a number above 0"),
        ("2*", "not of the form name:option=value"),
        ("dice+bce+2*dice", r"'bce\+dice\+2\*dice' adds dice twice: give it once, as 2\*dice"),
        ("bce+my net", "'my net' is not of the form name:option=value"),
        ("bce+dice:smooth=1:x", "'dice:smooth=1:x': 'x' is not of the form option=value"),
    ],
)
def test_what_is_wrong_is_said_of_the_part(wrong: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        parse_sum(wrong)


def test_titles_of_sums_stand_beside_those_of_files() -> None:
    found = distinct_titles(["/a/my.py:Net", "/b/my.py:Net", "dice+bce"])
    assert list(found.values()) == ["a/my.py:Net", "b/my.py:Net", "bce+dice"]


@pytest.mark.parametrize("text", ["pkg.mod:Loss:mode=a+b", "pkg.mod:Loss:mode=mean+dice"])
def test_a_plus_sign_behind_a_text_without_quotes_is_refused(text):
    with pytest.raises(UserError, match="may belong to it or add a component"):
        parse_sum(text)
    parse_sum('pkg.mod:Loss:mode="a+b"')
    parse_sum('pkg.mod:Loss:mode="a"+dice')
