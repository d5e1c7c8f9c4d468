"""Where lines of the log go: ours, uvicorn's and, by way of its own settings, vLLM's."""

import logging
import logging.config
from typing import Any

from app.observability.log_lines import FieldFormatter, JsonFormatter

FORMATTER_OF_ENGINE = f"{JsonFormatter.__module__}.{JsonFormatter.__qualname__}"
"""What vLLM is told to write its lines with, where they are to be JSON."""


def configure(level: str, *, jsonl: bool = False) -> None:
    """Send our loggers and uvicorn's to stderr; vLLM configures its own when it is imported."""
    formatter = JsonFormatter if jsonl else FieldFormatter
    mine: dict[str, Any] = {"handlers": ["stderr"], "level": level, "propagate": False}
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"lines": {"()": formatter}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
            "loggers": {
                "app": mine,
                "engine": mine,
                "profiles": mine,
                # uvicorn's own start and stop lines repeat ours.
                "uvicorn": {**mine, "level": max(logging.WARNING, logging.getLevelName(level))},
            },
            # Libraries that say something of their own accord.
            "root": {"handlers": ["stderr"], "level": "WARNING"},
        }
    )
    logging.captureWarnings(jsonl)
