"""A file's stamp changes with its content, and when another file takes its place."""

import json
import os

from segstudy.core.file_stamps import FileStamp, stamp_of


def test_an_unchanged_file_keeps_its_stamp_also_through_json(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"1234")
    stamp = stamp_of(file.stat())
    assert stamp == stamp_of(file.stat()) == FileStamp(*json.loads(json.dumps(stamp)))
    assert stamp.num_bytes == 4
    assert stamp.latest_ns >= stamp.content_ns


def test_a_file_of_equal_size_and_time_in_its_place_has_another_stamp(tmp_path):
    file, other = tmp_path / "a", tmp_path / "b"
    file.write_bytes(b"1234")
    other.write_bytes(b"5678")
    before = stamp_of(file.stat())
    os.utime(other, ns=(before.content_ns, before.content_ns))
    other.replace(file)
    after = stamp_of(file.stat())
    assert (after.num_bytes, after.content_ns) == (before.num_bytes, before.content_ns)
    assert after != before
