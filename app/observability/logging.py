"""One format for every line on stderr: ours, uvicorn's and, by way of its own settings, vLLM's."""

import logging
import logging.config
from typing import Any, ClassVar

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "color_message",  # uvicorn's line once more, with escapes
    "vllm_process_name",  # put into every record of the process by vLLM
}


class FieldFormatter(logging.Formatter):
    """`LEVEL time file:line] event key=value …`: NIM's prefix, then a constant event and fields."""

    default_format: ClassVar[str] = (
        "%(levelname)s %(asctime)s.%(msecs)03d %(filename)s:%(lineno)d] %(message)s"
    )

    def __init__(self) -> None:
        super().__init__(self.default_format, datefmt="%Y-%m-%d %H:%M:%S")
        self._formatted = 0, ""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """The line, with what was passed as `extra` behind it."""
        fields = vars(record)
        named = [f" {key}={_quoted(fields[key])}" for key in fields if key not in _STANDARD]
        return super().formatMessage(record) + "".join(named)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802  # as above
        """As logging's, once a second."""
        second = int(record.created)
        if second != self._formatted[0]:
            self._formatted = second, super().formatTime(record, datefmt)
        return self._formatted[1]


def _quoted(value: object) -> str:
    text = str(value)
    if text.isalnum():
        return text
    # A line stays a line, whatever a client sent.
    text = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f'"{text}"' if " " in text or not text else text


def configure(level: str) -> None:
    """Send our loggers and uvicorn's to stderr; vLLM configures its own when it is imported."""
    mine: dict[str, Any] = {"handlers": ["stderr"], "level": level, "propagate": False}
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"fields": {"()": FieldFormatter}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "fields"}},
            "loggers": {
                "app": mine,
                "engine": mine,
                "profiles": mine,
                # uvicorn's own start and stop lines repeat ours.
                "uvicorn": {**mine, "level": max(logging.WARNING, logging.getLevelName(level))},
            },
        }
    )
