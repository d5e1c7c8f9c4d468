"""What may be wrong with the file of NIM_MIDDLEWARE_CONFIG_PATH, and with what it names."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.followed_files import FilesUnusableError
from app.middleware.own import OwnMiddleware
from app.middleware_file import read_makers

MODULE = """
THREE = 3

def wrap(app, **arguments):
    def made(*_):
        return (app, arguments)
    return made

class Fails:
    def __init__(self, app, limit=0):
        raise ValueError("limit must be positive")

class NoApplication:
    def __init__(self, app):
        pass
"""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    before = list(sys.path)
    (tmp_path / "policies_beside.py").write_text(MODULE)
    yield tmp_path / "middleware.yaml"
    sys.path[:] = before
    sys.modules.pop("policies_beside", None)


def middleware(*entries: Any) -> str:
    return json.dumps({"middleware": entries})


def test_entries_are_made_with_their_arguments_the_first_outermost(file: Path) -> None:
    file.write_text("middleware:\n- class: a.B\n  arguments: {limit: 3}\n- class: c.d.E\n")
    assert [(maker.name, maker.arguments) for maker in read_makers(file)] == [
        ("a.B", {"limit": 3}),
        ("c.d.E", {}),
    ]


def test_what_stands_beside_the_file_is_imported(file: Path) -> None:
    entry = {"class": "policies_beside.wrap", "arguments": {"limit": 3}}
    file.write_text(middleware(entry))
    (maker,) = read_makers(file)
    made: Any = maker.make(print)  # type: ignore[arg-type]  # any application
    assert made() == (print, {"limit": 3})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("middleware: [", "is neither YAML nor JSON"),
        ("\x00", "is neither YAML nor JSON"),
        ("", "all of it: Input should be"),
        ("[]", "all of it: Input should be"),
        ("middleware: []", "middleware: List should have at least 1 item"),
        ("policies: []", "middleware: Field required"),
        (middleware("a.B"), "middleware.0: Input should be"),
        (middleware({"arguments": {}}), "middleware.0.class: Field required"),
        (middleware({"class": "B"}), "middleware.0.class: String should match"),
        (middleware({"class": "a.B", "arguments": [1]}), "middleware.0.arguments: Input should"),
        (middleware({"class": "a.B"}, {"class": "a.B", "args": {}}), "middleware.1.args: Extra"),
        (middleware({"class": "nothing_such.B"}), "No module named 'nothing_such'"),
        (middleware({"class": "policies_beside.None_"}), "has no attribute 'None_'"),
        (middleware({"class": "policies_beside.THREE"}), "policies_beside.THREE is not a class"),
        (middleware({"class": "policies_beside.Fails"}), "limit must be positive"),
        (
            middleware({"class": "policies_beside.Fails", "arguments": {"most": 1}}),
            "unexpected keyword argument 'most'",
        ),
        (middleware({"class": "policies_beside.NoApplication"}), "no ASGI application"),
    ],
)
def test_what_is_wrong_is_said_with_the_file_and_the_entry(
    file: Path, text: str, sentence: str
) -> None:
    file.write_text(text)
    with pytest.raises(FilesUnusableError) as caught:
        OwnMiddleware(file)
    assert str(caught.value).startswith(str(file))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_no_file_is_named(file: Path) -> None:
    for path in (file, file.parent):
        with pytest.raises(FilesUnusableError, match=f"{path} cannot be read"):
            OwnMiddleware(path)
