"""How a line of the log is written: as text for people, or as JSON for collectors.

The engine's processes write the same lines, so nothing here may need more than they have.
"""

import logging
import re
from typing import Any, ClassVar

import orjson

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "color_message",  # uvicorn's line once more, with escapes
    "vllm_process_name",  # put into every record of the process by vLLM
}
# A text without any of these is written as it is.
_ODD = re.compile(r"[\\\n\r ]").search


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
        named = [(key, str(value)) for key, value in vars(record).items() if key not in _STANDARD]
        texts = [text for _, text in named]
        if not all(texts) or _ODD("".join(texts)):
            named = [(key, _quoted(text)) for key, text in named]
        line = "".join([f" {key}={text}" for key, text in named])
        return self._style.format(record) + line

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802  # as above
        """As logging's, once a second."""
        second = int(record.created)
        if second != self._formatted[0]:
            self._formatted = second, super().formatTime(record, datefmt)
        return self._formatted[1]


def _quoted(text: str) -> str:
    # A line stays a line, whatever a client sent.
    text = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f'"{text}"' if " " in text or not text else text


class JsonFormatter(logging.Formatter):
    """One object a line: NIM's `timestamp`, `level` and `message`, where it is from, the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; what JSON has no word for is written as text."""
        fields = vars(record)
        line: dict[str, Any] = {
            "timestamp": self.formatTime(record),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            "source": f"{record.filename}:{record.lineno}",
            "process": fields.get("vllm_process_name") or record.processName,
        }
        line |= {key: fields[key] for key in fields if key not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
