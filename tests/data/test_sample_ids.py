"""Ids in lists as people and other systems write them, and what becomes of them in studies."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import write_dataset

from segstudy.config import study_file
from segstudy.core.errors import UserError
from segstudy.data.datasets import read
from segstudy.data.fingerprint import fingerprint
from segstudy.data.image_formats import SUFFIXES
from segstudy.data.sample_ids import Matched, match_ids, no_such_ids
from segstudy.data.split import read_split
from segstudy.study.options import excluded

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8)
FORMS = ("NFC", "NFD")


@given(st.lists(NAMES, unique_by=lambda name: unicodedata.normalize("NFC", name), min_size=1))
def test_what_is_written_exactly_is_that_sample(names):
    assert match_ids(names, names) == Matched(tuple(names), ())


@given(
    names=st.lists(
        NAMES.filter(lambda name: not set(name) & set("\\/.")),
        unique_by=lambda name: unicodedata.normalize("NFC", name),
        min_size=1,
    ),
    written=st.sampled_from(FORMS),
    stored=st.sampled_from(FORMS),
    slash=st.sampled_from(["/", "\\"]),
    ending=st.sampled_from(["", *sorted(SUFFIXES), ".PNG", ".Jpg"]),
)
def test_every_spelling_is_that_sample(names, written, stored, slash, ending):
    known = [f"train/{unicodedata.normalize(stored, name)}" for name in names]
    listed = [f"train{slash}{unicodedata.normalize(written, name)}{ending}" for name in names]
    assert match_ids(listed, known).ids == tuple(known)


def test_nothing_is_guessed():
    known = {"a", "b.v2", "train/c", "d.png", "d"}
    assert match_ids(["d.png", "d", "d.jpg", "b.v2.tif"], known).ids == ("d.png", "d", "d", "b.v2")
    assert match_ids(["A", "a.v2", "b", "c", "a.png.png", " a", "x/a"], known).ids == ()


@pytest.mark.parametrize(
    ("unknown", "said"),
    [
        ("I03", "did you mean 'i03'"),
        ("images/i03.jpg", "did you mean 'i03'"),
        ("C:\\data\\i03.png", "did you mean 'i03'"),
        ("i03,i05", "one id a line"),
        ("train\test1", "escape"),
        ("nothing", "no sample 'nothing' in set"),
    ],
)
def test_of_an_unknown_id_the_message_says_what_was_meant(unknown, said):
    assert said in no_such_ids([unknown], ["i03", "i05"], "set")


# In studies


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Six samples, of which two have accents, as Linux and as macOS store them."""
    root = write_dataset(tmp_path_factory.mktemp("ids") / "set", n=6)
    for folder in ("images", "masks"):
        for old, new in zip(sorted((root / folder).iterdir()), ("é1", "ö2"), strict=False):
            form = "NFD" if new == "é1" else "NFC"
            old.rename(old.with_name(unicodedata.normalize(form, new) + old.suffix))
    return root


def listed(data, ids):
    return {sample.id for sample in read(data).samples} - {
        sample.id for sample in read(data, exclude=ids).samples
    }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_list_of_ids_leaves_out_the_same_samples_whatever_wrote_it(data, tmp_path, encoding, form, end):
    if encoding == "cp1252" and form == "NFD":
        return  # has no combining accents
    file = tmp_path / "ids.txt"
    text = f"# too dark{end}é1{end}ö2.jpg{end}{end}"
    file.write_bytes(unicodedata.normalize(form, text).encode(encoding))
    assert listed(data, excluded(file)) == {"é1", "ö2"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("ending", ["", ".png"])
def test_a_split_file_gives_the_same_parts_whatever_wrote_it(data, tmp_path, encoding, ending):
    samples = read(data).samples
    ids = sorted(sample.id for sample in samples)
    parts = {"train": ids[:2], "validation": ids[2:4], "test": ids[4:]}
    written = {part: [each + ending for each in reversed(of)] for part, of in parts.items()}
    file = tmp_path / "split.json"
    file.write_bytes(json.dumps(written, ensure_ascii=False, indent=1).replace("\n", "\r\n").encode(encoding))
    split = read_split(file, samples)
    assert {part: list(split.part(part)) for part in parts} == parts  # type: ignore[arg-type]


def test_a_split_file_names_a_sample_once(data, tmp_path):
    samples = read(data).samples
    ids = sorted(sample.id for sample in samples)
    file = tmp_path / "split.json"
    file.write_text(json.dumps({"train": ids[:2], "validation": [f"{ids[0]}.png"], "test": ids[4:]}))
    with pytest.raises(UserError, match="in two parts"):
        read_split(file, samples)
    file.write_text('{"train": ["train\\a"]}')
    with pytest.raises(UserError, match="backslash"):
        read_split(file, samples)


def test_a_study_file_of_another_system_excludes_the_same(data, tmp_path):
    text = f"data = '{data}'\r\nname = 'x'\r\nexclude = ['e\u03011.jpg', 'ö2.png']\r\n".replace(
        "\u0301", "\u0301"
    )
    (tmp_path / "study.toml").write_bytes(text.encode("utf-16"))
    study = study_file.load(tmp_path / "study.toml")
    samples = read(study.data, study.reader, study.exclude).samples
    assert fingerprint(samples) == fingerprint(read(data, exclude=["é1", "ö2"]).samples)
