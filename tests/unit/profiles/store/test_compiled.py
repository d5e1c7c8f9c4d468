"""Where compiled code is kept: apart for each processor, and only where there is room."""

import errno
from pathlib import Path

import pytest

from profiles.store import compiled
from tests.support.places import read_only


def test_a_processor_has_a_place_of_its_own_each_time_the_same(tmp_path: Path) -> None:
    place = compiled.place(tmp_path / "runtime", timeout_s=5)
    assert place.is_dir()
    assert place.parent == tmp_path / "runtime"
    assert place == compiled.place(tmp_path / "runtime", timeout_s=5)
    assert not list(place.iterdir())


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(NotADirectoryError):
        compiled.place(tmp_path / "file" / "runtime", timeout_s=5)


def test_a_directory_that_may_not_be_written_to_is_said(tmp_path: Path) -> None:
    with read_only(tmp_path), pytest.raises(OSError, match="Read-only file system"):
        compiled.place(tmp_path / "runtime", timeout_s=5)


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        compiled.place(tmp_path, timeout_s=5, least_bytes=1 << 60)
    assert caught.value.errno == errno.ENOSPC
