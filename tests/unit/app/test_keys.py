"""Keys are read whole or not at all."""

import hashlib
from pathlib import Path

import pytest

from app.followed_files import FilesUnusableError
from app.keys import KeyRing

HASH = hashlib.sha256(b"secret").hexdigest()


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_key_is_found_by_its_secret(tmp_path: Path) -> None:
    ring = KeyRing(written(tmp_path / "keys.toml", f'[keys.team-a]\nsha256 = "{HASH.upper()}"\n'))
    holder = ring.holder(b"secret")
    assert holder is not None
    assert holder.name == "team-a"
    assert ring.holder(b"Secret") is None
    assert ring.holder(HASH.encode()) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("keys = ", "is not TOML"),
        ("", "keys: Field required"),
        ("[keys]\n", "keys: "),
        ('[keys.a]\nsha256 = "secret"\n', "keys.a.sha256: String should match"),
        (f'[keys."a b"]\nsha256 = "{HASH}"\n', "keys.a b"),
        (f'[keys.a]\nsha256 = "{HASH}"\nrequests_per_minut = 3\n', "requests_per_minut: Extra"),
        (f'[keys.a]\nsha256 = "{HASH}"\nrequests_per_minute = 0\n', "requests_per_minute"),
        (f'[keys.a]\nsha256 = "{HASH}"\nexpires = 2026-01-01\n', "keys.a.expires"),
        (f'[keys.a]\nsha256 = "{HASH}"\n[keys.b]\nsha256 = "{HASH}"\n', "a and b have the same"),
    ],
)
def test_a_file_that_is_wrong_says_where_and_shows_nothing(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(FilesUnusableError) as caught:
        KeyRing(written(tmp_path / "keys.toml", text))
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)
    assert HASH not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FilesUnusableError, match=r"keys\.toml cannot be read: No such file"):
        KeyRing(tmp_path / "keys.toml")


def test_those_who_share_nothing_share_no_cache(tmp_path: Path) -> None:
    other = hashlib.sha256(b"other").hexdigest()
    text = f'[keys.a]\nsha256 = "{HASH}"\n[keys.b]\nsha256 = "{other}"\n'
    ring = KeyRing(written(tmp_path / "keys.toml", text))
    first, second = ring.holder(b"secret"), ring.holder(b"other")
    assert first is not None
    assert second is not None
    assert first.cache_salt != second.cache_salt
    assert len(first.cache_salt) == 64
