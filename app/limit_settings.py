"""The settings for how much a request may ask for; a part of `app.settings.Settings`."""

import re

from pydantic import BaseModel, field_validator

from app.setting import setting

_SIZE = re.compile(r"(\d+)([kmg]?)")
_SHIFTS = {"": 0, "k": 10, "m": 20, "g": 30}


class LimitSettings(BaseModel):
    """What is refused at once, and what is kept of an answer."""

    max_body_size: int = setting(
        50 << 20, "NIM_PROXY_CLIENT_MAX_BODY_SIZE", ge=0,
        description="Largest body of a request in bytes, or as nginx has it: `500m`, `1g`, 0 for "
        "any size.",
    )  # fmt: skip
    max_messages: int = setting(
        4096, "UNIGATE_MAX_MESSAGES", gt=0,
        description="Most messages of a chat, or items of a response's input.",
    )  # fmt: skip
    max_inputs: int = setting(
        2048, "UNIGATE_MAX_INPUTS", gt=0,
        description="Most prompts or texts of one request, times the answers to each.",
    )  # fmt: skip
    max_n: int = setting(128, "UNIGATE_MAX_N", gt=0, description="Most answers to one prompt.")
    max_stop: int = setting(
        32, "UNIGATE_MAX_STOP", gt=0, description="Most stop strings of a request."
    )
    max_tools: int = setting(256, "UNIGATE_MAX_TOOLS", gt=0, description="Most tools of a request.")
    max_schema_kib: int = setting(
        256, "UNIGATE_MAX_SCHEMA_KIB", gt=0,
        description="Largest JSON schema, grammar or regular expression of a request.",
    )  # fmt: skip
    max_schema_depth: int = setting(
        64, "UNIGATE_MAX_SCHEMA_DEPTH", gt=0, le=250,  # orjson writes no deeper
        description="How deep such a schema may be nested, in brackets.",
    )  # fmt: skip
    max_tokens: int | None = setting(
        None, "UNIGATE_MAX_TOKENS", gt=0,
        description="Most tokens of an answer that a request may ask for; the context's end "
        "without it.",
    )  # fmt: skip
    responses_mib: int = setting(
        256, "UNIGATE_RESPONSES_MIB", ge=0,
        description="Memory for the responses of `/v1/responses` that are kept for later.",
    )  # fmt: skip
    responses_kept_s: float = setting(
        3600.0, "UNIGATE_RESPONSES_KEPT_S", gt=0,
        description="How long such a response is kept.",
    )  # fmt: skip
    max_audio_mib: int = setting(
        25, "UNIGATE_MAX_AUDIO_MIB", gt=0,
        description="Largest file that `/v1/audio` takes; `NIM_PROXY_CLIENT_MAX_BODY_SIZE` must "
        "leave room for it.",
    )  # fmt: skip
    max_audio_s: float = setting(
        600.0, "UNIGATE_MAX_AUDIO_S", gt=0,
        description="Longest audio that `/v1/audio` or a chat takes; decoded, a second has 64 kB "
        "in the one, 192 kB in the other.",
    )  # fmt: skip

    @field_validator("max_body_size", mode="before")
    @classmethod
    def _sizes_as_nginx_has_them(cls, value: object) -> object:
        found = _SIZE.fullmatch(str(value).strip().lower())
        return int(found[1]) << _SHIFTS[found[2]] if found else value
