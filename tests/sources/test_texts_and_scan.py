"""Bytes to parts of text, and which files there are."""

import os
from pathlib import Path

import pytest

from pygateway.sources import texts
from pygateway.sources.places import parse_path
from pygateway.sources.scan import require, scan
from pygateway.sources.source import DocumentFault, SourceError


class TestDecode:
    def test_a_byte_order_mark_is_left_out(self) -> None:
        assert texts.decode(b"\xef\xbb\xbfa: 1") == "a: 1"

    def test_what_is_not_utf8_is_named_with_its_line(self) -> None:
        with pytest.raises(DocumentFault, match="not UTF-8: byte 0xff") as caught:
            texts.decode(b"a: 1\nb: \xff\n")
        assert caught.value.line == 2

    def test_a_file_has_a_size_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(texts, "MAX_FILE", 1024 * 1024)
        assert texts.decode(b"#" * 1024 * 1024)
        with pytest.raises(DocumentFault, match="larger than 1 MiB"):
            texts.decode(b"#" * (1024 * 1024 + 1))


class TestChunks:
    def test_a_marker_begins_each_part_and_lines_are_counted(self) -> None:
        text = "# c\na: 1\n---\nb: 2\n--- # with a remark\nc: 3\n"
        assert list(texts.chunks(text)) == [
            (0, "# c\na: 1\n"),
            (2, "---\nb: 2\n"),
            (4, "--- # with a remark\nc: 3\n"),
        ]

    def test_parts_without_content_are_left_out(self) -> None:
        assert list(texts.chunks("---\n---\n# only a remark\n---\na: 1\n---\n")) == [(3, "---\na: 1\n")]
        assert list(texts.chunks("%YAML 1.1\n---\na: 1\n")) == [(1, "---\na: 1\n")]
        assert list(texts.chunks("")) == []

    def test_dashes_within_a_line_or_a_block_are_text(self) -> None:
        text = "a: |\n  ---\n  x\nb: x---\n----\n"
        assert list(texts.chunks(text)) == [(0, text)]

    def test_windows_line_ends(self) -> None:
        text = "a: 1\r\n---\r\nb: 2\r\n"
        assert list(texts.chunks(text)) == [(0, "a: 1\r\n"), (1, "---\r\nb: 2\r\n")]
        assert [d.value for _, part in texts.chunks(text) for d in texts.read_yaml(part)] == [{"a": 1}, {"b": 2}]


class TestJson:
    def test_one_value(self) -> None:
        (document,) = texts.read_json('\n{"a": [1, 2.5, null, true, "\\u00e4"]}')
        assert document.value == {"a": [1, 2.5, None, True, "ä"]}
        assert document.line == 2

    def test_broken_json_is_named_with_its_line(self) -> None:
        with pytest.raises(DocumentFault, match="not JSON") as caught:
            texts.read_json('{\n "a": 1,\n "b" 2\n}')
        assert caught.value.line == 3
        with pytest.raises(DocumentFault, match="not JSON") as caught:
            texts.read_json('{\n "a": 1,\n')
        assert caught.value.line == 3

    def test_equal_keys_are_named_with_their_line(self) -> None:
        (document,) = texts.read_json('{\n\t"a": 1,\n\t"b": {"c": 1,\n\t"c": 2}}')
        assert document.faults == [(4, 'the key "c" is there twice')]

    def test_lines_of_json_with_tabs(self) -> None:
        (document,) = texts.marks('{\n\t"a": {\n\t\t"b": 1}}', json=True)
        assert document.value == {"a": (2, {"b": (3, None)})}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("spec.http[0].match.exprs[1].op", ("spec", "http", 0, "match", "exprs", 1, "op")),
        ('metadata.annotations["a.b/c"]', ("metadata", "annotations", "a.b/c")),
        ("spec.rules[0][1]", ("spec", "rules", 0, 1)),
        ("", ()),
        ("spec.rules[x].y", ("spec", "rules")),
        ("spec..x", ("spec",)),
        ("spec.rules[0", ("spec", "rules")),
    ],
)
def test_field_paths_are_read(text: str, path: tuple[str | int, ...]) -> None:
    assert parse_path(text) == path


class TestScan:
    def test_folders_are_looked_through_and_sorted_files_are_taken_as_named(self, tmp_path: Path) -> None:
        for name in ("b.yaml", "a.yml", "c.json", "d.txt", "e.yaml~", ".hidden.yaml", "sub/z.yaml", "sub/.git/x.yaml"):
            (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
            (tmp_path / name).write_text("")
        found = scan([str(tmp_path / "d.txt"), str(tmp_path)])
        assert [os.path.relpath(path, tmp_path) for path in found.in_order()] == [
            "d.txt",
            "a.yml",
            "b.yaml",
            "c.json",
            "sub/z.yaml",
        ]
        assert not found.missing
        assert not found.unreadable

    def test_a_file_that_is_reached_twice_is_one_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text("")
        assert len(scan([str(tmp_path / "a.yaml"), str(tmp_path)]).in_order()) == 1

    def test_links_are_followed_but_not_in_circles(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "real" / "a.yaml").write_text("")
        (tmp_path / "real" / "up").symlink_to(tmp_path)
        (tmp_path / "dangling.yaml").symlink_to(tmp_path / "nothing")
        found = scan([str(tmp_path)])
        assert [os.path.relpath(path, tmp_path) for path in found.in_order()] == ["real/a.yaml"]

    def test_a_folder_with_the_ending_of_a_file_is_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "x.yaml").mkdir()
        (tmp_path / "x.yaml" / "a.yaml").write_text("")
        assert len(scan([str(tmp_path)]).files) == 1

    def test_what_is_no_regular_file_is_never_opened(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.yaml")
        assert scan([str(tmp_path)]).files == {}
        assert scan([str(tmp_path / "pipe.yaml")]).unreadable == {str(tmp_path / "pipe.yaml"): "not a regular file"}

    def test_a_path_that_is_not_there(self, tmp_path: Path) -> None:
        gone = str(tmp_path / "gone")
        assert scan([gone]).missing == [gone]
        with pytest.raises(SourceError, match="gone: no such file or folder"):
            require([gone])

    def test_a_rewrite_of_equal_length_with_the_old_time_is_still_a_change(self, tmp_path: Path) -> None:
        file = tmp_path / "a.yaml"
        file.write_text("a")
        os.utime(file, ns=(1, 1))
        before = scan([str(file)]).files
        os.utime(file, ns=(2, 2))
        os.utime(file, ns=(1, 1))
        assert scan([str(file)]).files != before
