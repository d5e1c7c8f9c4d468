"""The settings for what is logged, and how; a part of `app.settings.Settings`."""

from typing import Literal

from pydantic import BaseModel, field_validator

from app.setting import setting


class LogSettings(BaseModel):
    """Lines on stderr: ours, uvicorn's and the engine's alike."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = setting(
        "INFO", "NIM_LOG_LEVEL", description="How much is logged, by the engine too."
    )
    jsonl_logging: bool = setting(
        False, "NIM_JSONL_LOGGING",
        description="Log one JSON object a line, by the engine too.",
    )  # fmt: skip

    @field_validator("log_level", mode="before")
    @classmethod
    def _levels_in_any_case(cls, value: object) -> object:
        level = str(value).upper()
        return {"TRACE": "DEBUG", "DEFAULT": "INFO"}.get(level, level)
