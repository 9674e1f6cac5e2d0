"""A watched folder: what is saved arrives, what is broken leaves the last good state, half a file is never believed."""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pygateway.aio.clock import VirtualClock
from pygateway.resources.meta import Ref
from pygateway.sources.files import INTERVAL, FileSource
from pygateway.sources.objects import Content, read
from pygateway.sources.source import SourceError, SourceFault

if TYPE_CHECKING:
    from tests.sources.conftest import Watched

Svc = Callable[..., str]


class TestChanges:
    def test_nothing_changes_when_nothing_changes(self, watched: "Watched", svc: Svc) -> None:
        watched.write("a.yaml", svc("a"))
        watched.load()
        assert watched.looks(5) == []

    def test_a_saved_change_is_taken_at_the_second_look(self, watched: "Watched", svc: Svc) -> None:
        watched.write("a.yaml", svc("a"), svc("b"))
        watched.load()
        watched.write("a.yaml", svc("a"), svc("b", 8081))
        assert watched.looks(4) == [2]
        assert watched.services() == {"default/a": 80, "default/b": 8081}
        assert 3 * INTERVAL < 0.3, "a change that is saved right after a look waits for three intervals"

    def test_new_files_are_read_and_removed_ones_forgotten(self, watched: "Watched", svc: Svc) -> None:
        watched.write("a.yaml", svc("a"))
        watched.load()
        watched.write("sub/b.yaml", svc("b"))
        assert watched.looks(4) == [2]
        assert list(watched.services()) == ["default/a", "default/b"]
        shutil.rmtree(watched.folder / "sub")
        assert watched.looks(4) == [2]
        assert list(watched.services()) == ["default/a"]

    def test_an_object_that_leaves_a_file_is_gone_at_the_third_look(self, watched: "Watched", svc: Svc) -> None:
        watched.write("a.yaml", svc("a"), svc("b"))
        watched.load()
        watched.write("a.yaml", svc("a"))
        assert watched.looks(4) == [3]
        assert list(watched.services()) == ["default/a"]

    def test_a_file_written_anew_without_a_change_brings_no_new_world(self, watched: "Watched", svc: Svc) -> None:
        watched.write("a.yaml", svc("a"))
        watched.load()
        watched.write("a.yaml", svc("a"))
        os.utime(watched.folder / "a.yaml", (1, 1))
        assert watched.looks(5) == []

    def test_a_remark_brings_no_new_world(self, watched: "Watched", svc: Svc) -> None:
        watched.write("a.yaml", svc("a"))
        watched.load()
        watched.write("a.yaml", "# a remark\n" + svc("a"))
        before = watched.world.services["default/a"]
        watched.looks(4)
        assert watched.world.services["default/a"] == before

    def test_a_rename_as_editors_do_it_is_a_change_like_any_other(self, watched: "Watched", svc: Svc) -> None:
        path = watched.write("a.yaml", svc("a"))
        watched.load()
        fresh = watched.write(".a.yaml.swp", svc("a", 8081))
        os.replace(fresh, path)
        assert watched.looks(4) == [2]
        assert watched.services() == {"default/a": 8081}

    def test_a_file_that_gets_a_new_name_loses_nothing(self, watched: "Watched", svc: Svc) -> None:
        watched.write("a.yaml", svc("a"))
        watched.load()
        before = watched.world.services["default/a"].metadata
        os.rename(watched.folder / "a.yaml", watched.folder / "b.yaml")
        watched.looks(4)
        after = watched.world.services["default/a"].metadata
        assert after == before

    def test_a_renamed_file_is_read_before_the_old_name_is_forgotten(self, watched: "Watched", svc: Svc) -> None:
        watched.write("a.yaml", svc("a"), svc("bad") + "oops: 1\n")
        watched.load()
        os.rename(watched.folder / "a.yaml", watched.folder / "b.yaml")
        seen = []
        for _ in range(5):
            watched.look()
            seen.append("default/a" in watched.world.services)
        assert all(seen), "the new file is faulty and so waits for one look more: the removal waits with it"

    def test_a_mounted_config_map_changes_all_at_once(self, watched: "Watched", svc: Svc) -> None:
        def fill(folder: str, port: int) -> None:
            watched.write(f"{folder}/a.yaml", svc("a", port))
            watched.write(f"{folder}/b.yaml", svc("b", port))

        fill("..one", 80)
        (watched.folder / "..data").symlink_to("..one")
        for name in ("a.yaml", "b.yaml"):
            (watched.folder / name).symlink_to(f"..data/{name}")
        watched.load()
        assert watched.services() == {"default/a": 80, "default/b": 80}
        fill("..two", 8081)
        (watched.folder / "..tmp").symlink_to("..two")
        os.replace(watched.folder / "..tmp", watched.folder / "..data")
        assert watched.looks(4) == [2]
        assert watched.services() == {"default/a": 8081, "default/b": 8081}

    def test_files_of_one_burst_arrive_together(self, watched: "Watched", svc: Svc) -> None:
        watched.write("a.yaml", svc("a"))
        watched.load()
        watched.write("b.yaml", svc("b"))
        assert watched.look() is None
        watched.write("c.yaml", svc("c"))
        assert watched.looks(4) == [2]
        assert list(watched.services()) == ["default/a", "default/b", "default/c"]

    def test_a_file_that_never_rests_is_read_all_the_same(self, watched: "Watched", svc: Svc) -> None:
        watched.write("a.yaml", svc("a"))
        watched.load()
        arrived = 0
        for number in range(40):
            watched.write("a.yaml", svc("a", 1000 + number) + "# " + "x" * number + "\n")
            arrived += watched.look() is not None
        assert arrived >= 2
        assert watched.services()["default/a"] > 1000


class TestIdentity:
    def test_a_change_of_one_document_parses_that_document_only(
        self, watched: "Watched", svc: Svc, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        watched.write("a.yaml", svc("a"), svc("b"), svc("c"))
        watched.write("d.yaml", svc("d"))
        watched.load()
        parsed: list[str] = []

        def note(text: str, *, json: bool) -> Content:
            parsed.append(text)
            return read(text, json=json)

        monkeypatch.setattr("pygateway.sources.loaded.read", note)
        watched.write("a.yaml", svc("a"), svc("b", 8081), svc("c"))
        assert watched.looks(4) == [2]
        assert parsed == ["---\n" + svc("b", 8081)]

    def test_objects_that_did_not_change_are_the_same_objects(self, watched: "Watched", svc: Svc) -> None:
        watched.write("a.yaml", svc("a"), svc("b"))
        watched.write("c.yaml", svc("c"))
        before = watched.load()
        watched.write("a.yaml", svc("new"), svc("a", 8081), svc("b"))
        watched.looks(3)
        after = watched.world
        assert after.services["default/a"] is not before.services["default/a"]
        assert after.services["default/b"] is before.services["default/b"]
        assert after.services["default/c"] is before.services["default/c"]
        assert after.namespaces is before.namespaces
        assert after.http_routes is before.http_routes

    def test_generation_grows_with_the_spec_only(self, watched: "Watched", svc: Svc) -> None:
        labelled = svc("a").replace("name: a", "name: a\n  labels: {x: y}")
        generations = []
        for text in (svc("a"), labelled, svc("a", 81), svc("a", 82), svc("a", 82) + "# remark\n"):
            watched.write("a.yaml", text)
            if not generations:
                watched.load()
            watched.looks(3)
            generations.append(watched.world.services["default/a"].metadata.generation)
        assert generations == [1, 1, 2, 3, 3]
        assert watched.world.services["default/a"].metadata.labels == {}

    def test_what_comes_later_is_younger_and_a_change_keeps_the_age(self, watched: "Watched", svc: Svc) -> None:
        watched.write("b.yaml", svc("b"), svc("c"))
        watched.load()
        watched.write("a.yaml", svc("a"))
        watched.write("b.yaml", svc("b", 81), svc("c"))
        watched.looks(3)
        ages = {key: one.metadata.creation_timestamp for key, one in watched.world.services.items()}
        assert sorted(ages, key=lambda key: ages[key]) == ["default/b", "default/c", "default/a"]


class TestLastGood:
    def test_broken_yaml_keeps_all_objects_of_the_file(self, watched: "Watched", svc: Svc) -> None:
        watched.write("a.yaml", svc("a"), svc("b"))
        watched.load()
        watched.write("a.yaml", "a: [\n")
        assert watched.looks(5) == []
        assert watched.services() == {"default/a": 80, "default/b": 80}
        assert watched.faults() == [
            "a.yaml:1: not YAML: did not find expected node content (while parsing a flow node)"
        ]

    def test_a_broken_document_keeps_its_object_while_the_others_change(self, watched: "Watched", svc: Svc) -> None:
        watched.write("a.yaml", svc("a"), svc("b"), svc("c"))
        watched.load()
        watched.write("a.yaml", svc("a", 81), svc("b", 81) + "  x: [\n", svc("c", 81))
        assert watched.looks(4) == [3]
        assert watched.services() == {"default/a": 81, "default/b": 80, "default/c": 81}
        assert len(watched.faults()) == 1

    @pytest.mark.parametrize(
        "break_it",
        [
            lambda text: text + "unknown: 1\n",
            lambda text: text.replace("port: 80", "port: eighty"),
            lambda text: text + "kind: Service\n",
            lambda text: text.replace("apiVersion: v1", "apiVersion: v9"),
            lambda text: text.replace("kind: Service", "kind: Servcie"),
            lambda text: text.replace("kind: Service\n", ""),
            lambda text: text.replace("apiVersion: v1\n", ""),
            lambda text: text.replace("  name: b\n", "  nam: b\n"),
            lambda text: text.replace("metadata:", "metadata"),
            lambda _: "just text\n",
        ],
    )
    def test_whatever_is_wrong_with_an_object_it_stays_as_it_was(
        self, watched: "Watched", svc: Svc, break_it: Callable[[str], str]
    ) -> None:
        watched.write("a.yaml", svc("a"), svc("b"), svc("c"))
        watched.load()
        before = watched.world.services["default/b"]
        watched.write("a.yaml", svc("a"), break_it(svc("b")), svc("c", 81))
        watched.looks(4)
        assert watched.world.services["default/b"] is before
        assert watched.services()["default/c"] == 81
        assert watched.faults()
        watched.write("a.yaml", svc("a"), svc("b", 82), svc("c"))
        watched.looks(4)
        assert watched.services()["default/b"] == 82
        assert watched.faults() == []

    def test_a_good_copy_in_another_file_wins_over_what_was_kept(self, watched: "Watched", svc: Svc) -> None:
        watched.write("a.yaml", svc("a"))
        watched.load()
        watched.write("a.yaml", "[")
        watched.write("b.yaml", svc("a", 81))
        watched.looks(4)
        assert watched.services() == {"default/a": 81}

    def test_a_broken_file_that_is_removed_takes_its_objects_with_it(self, watched: "Watched", svc: Svc) -> None:
        path = watched.write("a.yaml", svc("a"))
        watched.load()
        watched.write("a.yaml", "[")
        watched.looks(4)
        path.unlink()
        watched.looks(4)
        assert watched.services() == {}
        assert watched.faults() == []

    def test_the_second_of_two_takes_over_when_the_first_goes(self, watched: "Watched", svc: Svc) -> None:
        path = watched.write("a.yaml", svc("a"))
        watched.write("b.yaml", svc("a", 81))
        watched.load()
        (fault,) = watched.faults()
        assert fault == "b.yaml:1: Service default/a: there is already one at a.yaml:1; this one is left out"
        path.unlink()
        watched.looks(3)
        assert watched.services() == {"default/a": 81}
        assert watched.faults() == []

    def test_locate_follows_the_newest_text(self, watched: "Watched", svc: Svc) -> None:
        path = watched.write("a.yaml", svc("a"))
        watched.load()
        watched.write("a.yaml", "# one\n# two\n" + svc("a", 81))
        watched.looks(3)
        assert watched.source.locate(Ref("", "Service", "default", "a"), "spec.ports[0].port") == (str(path), 9)

    def test_a_file_that_cannot_be_opened_keeps_its_objects(
        self, watched: "Watched", svc: Svc, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        watched.write("a.yaml", svc("a"))
        watched.load()

        def refuse(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        watched.write("a.yaml", svc("a", 8081))
        with monkeypatch.context() as patch:
            patch.setattr("pygateway.sources.files.open_file", refuse)
            assert watched.looks(6) == []
            assert watched.faults() == ["a.yaml: Permission denied"]
        assert watched.services() == {"default/a": 80}
        assert len(watched.looks(4)) == 1
        assert watched.services() == {"default/a": 8081}
        assert watched.faults() == []


class TestHalfWritten:
    def test_a_file_that_is_empty_for_a_moment_is_not_believed(self, watched: "Watched", svc: Svc) -> None:
        watched.write("a.yaml", svc("a"))
        watched.load()
        watched.write("a.yaml")
        assert watched.looks(2) == []
        watched.write("a.yaml", svc("a", 8081))
        assert watched.looks(4) == [2]
        assert watched.services() == {"default/a": 8081}

    def test_a_file_that_breaks_off_is_told_at_the_third_look_only(self, watched: "Watched", svc: Svc) -> None:
        watched.write("a.yaml", svc("a"))
        watched.load()
        watched.write("a.yaml", svc("a") + '  x: "abc')
        watched.looks(2)
        assert watched.faults() == []
        watched.look()
        assert len(watched.faults()) == 1

    def test_a_folder_that_is_away_for_one_look_is_not_missed(self, watched: "Watched", svc: Svc) -> None:
        watched.write("sub/a.yaml", svc("a"))
        watched.load()
        os.rename(watched.folder / "sub", watched.folder / ".away")
        assert watched.look() is None
        os.rename(watched.folder / ".away", watched.folder / "sub")
        watched.looks(4)
        assert watched.services() == {"default/a": 80}

    def test_a_path_that_stays_away_is_a_fault_and_its_objects_are_gone(self, tmp_path: Path, svc: Svc) -> None:
        folder = tmp_path / "manifests"
        folder.mkdir()
        (folder / "a.yaml").write_text(svc("a"))
        clock = VirtualClock()
        source = FileSource([folder], clock=clock)
        source.load()
        shutil.rmtree(folder)
        worlds = []
        for _ in range(4):
            clock.jump(INTERVAL)
            worlds.append(source.poll())
        (world,) = [world for world in worlds if world is not None]
        assert world.services == {}
        assert [str(fault) for fault in source.faults] == [f"{folder}: no such file or folder"]

    def test_a_folder_that_cannot_be_listed_keeps_its_objects(
        self, watched: "Watched", svc: Svc, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        watched.write("a.yaml", svc("a"))
        watched.load()

        def refuse(_: object) -> None:
            raise PermissionError(13, "Permission denied")

        with monkeypatch.context() as patch:
            patch.setattr(os, "scandir", refuse)
            assert watched.looks(4) == []
            assert [str(fault) for fault in watched.source.faults] == [f"{watched.folder}: Permission denied"]
        watched.looks(4)
        assert watched.faults() == []
        assert watched.services() == {"default/a": 80}

    def test_a_thousand_saved_changes_end_in_the_last_and_none_is_read_as_a_removal(
        self, watched: "Watched", svc: Svc
    ) -> None:
        names = [f"s{number}" for number in range(5)]
        for name in names:
            watched.write(f"{name}.yaml", svc(name), svc(f"{name}-twin"))
        watched.load()
        for number in range(1000):
            name = names[number % len(names)]
            text = svc(name, 1000 + number) + "---\n" + svc(f"{name}-twin") + "# " + "x" * number + "\n"
            path = watched.folder / f"{name}.yaml"
            with path.open("w") as file:
                # A look falls into the middle of every third file that is written.
                if number % 3 == 0:
                    file.write(text[: number % len(text)])
                    file.flush()
                    watched.look()
                    file.seek(0)
                file.write(text)
            if number % 7 == 0:
                watched.look()
            assert len(watched.world.services) == 10
            assert watched.faults() == []
        watched.looks(4)
        assert [watched.services()[f"default/{name}"] for name in names] == [1995, 1996, 1997, 1998, 1999]


class TestIteration:
    def test_the_world_comes_at_once_and_then_after_each_change(self, tmp_path: Path, svc: Svc) -> None:
        async def story() -> tuple[list[int], list[tuple[SourceFault, ...]]]:
            told: list[tuple[SourceFault, ...]] = []
            source = FileSource([tmp_path], interval=0.005, on_faults=told.append)
            ports: list[int] = []
            async for world in source:
                ports.append(world.services["default/a"].spec.ports[0].port)
                if len(ports) == 1:
                    (tmp_path / "a.yaml").write_text(svc("a", 8081) + "---\nx: [\n")
                elif len(ports) == 2:
                    (tmp_path / "a.yaml").write_text(svc("a", 18082))
                else:
                    break
            return ports, told

        (tmp_path / "a.yaml").write_text(svc("a"))
        ports, told = asyncio.run(asyncio.wait_for(story(), 10))
        assert ports == [80, 8081, 18082]
        assert [len(faults) for faults in told] == [1, 0]
        assert told[0][0].line == 9

    def test_a_path_that_is_not_there_at_the_start_ends_the_iteration(self, tmp_path: Path) -> None:
        async def story() -> None:
            async for _ in FileSource([tmp_path / "nowhere"]):
                pass

        with pytest.raises(SourceError, match="nowhere: no such file or folder"):
            asyncio.run(story())
