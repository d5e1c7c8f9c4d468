"""Which adapters are loaded, replaced and unloaded, and when."""

import shutil
from pathlib import Path

import pytest

from engine.adapters.refusal import AdapterRefusedError, Reason
from engine.errors import EngineStalledError
from tests.support.adapters import write_adapter
from tests.unit.engine.adapters.place import WEIGHTS, Place


def test_an_adapter_is_served_when_it_has_been_the_same_at_two_looks(place: Place) -> None:
    mine = write_adapter(place.root / "mine")
    place.look(1)
    assert not place.shelf.served
    place.look(1)
    assert place.shelf.served == {"mine": (mine / WEIGHTS).read_bytes()}


def test_what_is_being_copied_is_neither_served_nor_refused(place: Place) -> None:
    whole = (write_adapter(place.scratch / "whole") / WEIGHTS).read_bytes()
    mine = write_adapter(place.root / "mine")
    for length in range(1000, 5000, 1000):
        (mine / WEIGHTS).write_bytes(whole[:length])
        place.look(1)
    assert not place.shelf.served
    assert not place.refusals
    (mine / WEIGHTS).write_bytes(whole)
    assert place.judged() is None


def test_what_stays_half_is_refused_once_and_served_when_it_is_whole(place: Place) -> None:
    mine = write_adapter(place.root / "mine")
    whole = (mine / WEIGHTS).read_bytes()
    (mine / WEIGHTS).write_bytes(whole[:-1])
    place.look(4)
    assert place.refusals == [Reason.WEIGHTS]
    (mine / WEIGHTS).write_bytes(whole)
    place.look()
    assert "mine" in place.shelf.served


def test_a_changed_adapter_replaces_the_old_one_and_a_broken_one_does_not(place: Place) -> None:
    mine = write_adapter(place.root / "mine", seed=1)
    place.look()
    write_adapter(mine, seed=2)
    place.look()
    second = (mine / WEIGHTS).read_bytes()
    assert place.shelf.served == {"mine": second}
    (mine / WEIGHTS).write_bytes(b"")
    place.look()
    assert place.shelf.served == {"mine": second}
    assert place.refusals == [Reason.WEIGHTS]


def test_a_removed_adapter_is_unloaded_at_the_next_look_and_may_come_back(place: Place) -> None:
    mine = write_adapter(place.root / "mine")
    place.look()
    shutil.rmtree(mine)
    place.look(1)
    assert not place.shelf.served
    write_adapter(mine)
    assert place.judged() is None


def test_a_root_that_cannot_be_read_takes_nothing_away(place: Place, tmp_path: Path) -> None:
    write_adapter(place.root / "mine")
    place.look()
    place.root.rename(tmp_path / "elsewhere")
    place.look()
    assert "mine" in place.shelf.served


def test_files_and_hidden_directories_are_no_adapters(place: Place) -> None:
    (place.root / "README").write_text("text")
    write_adapter(place.root / ".staging")
    place.look()
    assert not place.shelf.served
    assert not place.refusals


def test_a_root_may_be_a_link_that_is_turned(place: Place, tmp_path: Path) -> None:
    for version in (1, 2):
        write_adapter(tmp_path / str(version) / "mine", seed=version)
    place.root.rmdir()
    place.root.symlink_to(tmp_path / "1")
    place.look()
    first = place.shelf.served["mine"]
    place.root.unlink()
    place.root.symlink_to(tmp_path / "2")
    place.look()
    assert place.shelf.served["mine"] not in (first, b"")


@pytest.mark.parametrize(
    "path", ["/etc", "..", ".", "", "../loras/../../etc", "no-such", "mine/../..", "a\0b", "~"]
)
def test_the_api_loads_nothing_from_outside(place: Place, path: str) -> None:
    write_adapter(place.root / "mine")
    with pytest.raises(AdapterRefusedError) as caught:
        place.load("x", path)
    assert caught.value.reason in (Reason.PLACE, Reason.UNREADABLE)
    assert caught.value.param == "lora_path"
    assert not place.shelf.served


def test_the_api_loads_by_relative_and_absolute_paths_below_the_root(place: Place) -> None:
    deep = write_adapter(place.root / "team" / "mine")
    place.load("relative", "team/mine")
    place.load("absolute", str(deep))
    assert place.shelf.names == ("relative", "absolute")


def test_a_loaded_name_is_replaced_only_in_place(place: Place) -> None:
    write_adapter(place.root / "a", seed=1)
    b = write_adapter(place.root / "b", seed=2)
    place.load("x", "a")
    with pytest.raises(AdapterRefusedError, match="load_inplace") as caught:
        place.load("x", "b")
    assert caught.value.param == "lora_name"
    place.load("x", "b", in_place=True)
    assert place.shelf.served["x"] == (b / WEIGHTS).read_bytes()


def test_what_the_api_unloads_stays_away_until_somebody_touches_it(place: Place) -> None:
    mine = write_adapter(place.root / "mine", seed=1)
    place.look()
    place.library.unload("mine")
    place.look()
    assert not place.shelf.served
    write_adapter(mine, seed=2)
    place.look()
    assert "mine" in place.shelf.served


def test_what_the_api_has_loaded_is_not_the_directorys_to_take_away(place: Place) -> None:
    mine = write_adapter(place.root / "mine")
    place.load("mine", "mine")
    place.look()
    shutil.rmtree(mine)
    place.look()
    assert "mine" in place.shelf.served


def test_an_engine_that_does_not_answer_is_waited_for_as_long_as_set(place: Place) -> None:
    write_adapter(place.root / "mine")
    place.shelf.hangs = True
    with pytest.raises(EngineStalledError, match="NIM_PEFT_API_TIMEOUT_SECS"):
        place.load("x", "mine")
    place.look()  # neither served nor refused
    assert not place.refusals
    place.shelf.hangs = False
    place.look(1)
    assert "mine" in place.shelf.served


def test_one_bad_adapter_does_not_keep_the_others_away(place: Place) -> None:
    write_adapter(place.root / "a", rank=64)
    write_adapter(place.root / "b")
    (place.root / "c").mkdir()
    place.look()
    assert place.shelf.names == ("b",)
    assert place.refusals == [Reason.RANK, Reason.CONFIG]
