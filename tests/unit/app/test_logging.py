"""One line per event, whatever is in it."""

import logging

from app.observability.logging import FieldFormatter


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
