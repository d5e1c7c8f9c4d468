"""One line per event, whatever is in it."""

import json
import logging
import sys
from typing import Any

import pytest

from app.observability.log_lines import FieldFormatter, JsonFormatter
from app.settings import wants_jsonl


def line(message: str, **fields: object) -> str:
    record = logging.LogRecord("app", logging.INFO, "/x/file.py", 7, message, (), None)
    vars(record).update(fields)
    return FieldFormatter().format(record)


def test_fields_stand_behind_the_event() -> None:
    text = line("engine.state", old="READY", reason="asked to stop")
    assert text.startswith("INFO ")
    assert text.endswith('file.py:7] engine.state old=READY reason="asked to stop"')


def test_a_line_break_cannot_forge_a_line() -> None:
    assert "\n" not in line("request", path="/v1\nCRITICAL forged")


def as_json(message: str, *arguments: object, **fields: object) -> dict[str, Any]:
    record = logging.LogRecord("app", logging.INFO, "/x/file.py", 7, message, arguments, None)
    vars(record).update(fields)
    text = JsonFormatter().format(record)
    assert "\n" not in text
    line: dict[str, Any] = json.loads(text)
    return line


def test_json_has_nims_names_and_the_fields() -> None:
    line = as_json("engine.state", old="READY", code=3, place=("a", 1))
    assert {"timestamp", "level", "message", "logger", "source", "process"} <= line.keys()
    assert (line["level"], line["message"]) == ("INFO", "engine.state")
    assert (line["old"], line["code"], line["place"]) == ("READY", 3, ["a", 1])
    assert line["source"] == "file.py:7"


def test_json_holds_whatever_is_logged() -> None:
    line = as_json("%s and %d", "a\nb", 2, odd=object(), keys={1: 2})
    assert line["message"] == "a\nb and 2"
    assert line["odd"].startswith("<object")
    assert line["keys"] == {"1": 2}


def test_json_has_the_exception() -> None:
    try:
        int("why")
    except ValueError:
        record = logging.LogRecord("app", 40, "/x/f.py", 7, "bug", (), sys.exc_info())
    line = json.loads(JsonFormatter().format(record))
    assert line["exception"].endswith("literal for int() with base 10: 'why'")


@pytest.mark.parametrize(
    ("word", "wanted"), [("1", True), ("true", True), ("0", False), ("", False), ("maybe", False)]
)
def test_what_is_wrong_with_settings_is_written_alike(word: str, wanted: bool) -> None:
    assert wants_jsonl({"NIM_JSONL_LOGGING": word}) is wanted
