"""The settings for what happens when too much is asked; a part of `app.settings.Settings`."""

from pydantic import BaseModel

from app.setting import setting


class OverloadSettings(BaseModel):
    """How many requests may wait until the engine has room for them."""

    max_waiting: int | None = setting(
        None, "UNIGATE_MAX_WAITING", ge=0,
        description="Most requests that wait; without it four times `--max-num-seqs`, at least "
        "256. One more is answered with 503, or 429 where other keys have requests, too.",
    )  # fmt: skip
    max_bodies_mib: int = setting(
        1024, "UNIGATE_MAX_BODIES_MIB", ge=0,
        description="Most memory for bodies of requests that are being answered, small ones aside; "
        "one more is answered with 503. 0 is any size.",
    )  # fmt: skip
    max_wait_s: float = setting(
        60.0, "UNIGATE_MAX_WAIT_S", gt=0,
        description="Longest time a request waits; then it is answered with 503.",
    )  # fmt: skip
    max_queued_tokens: int | None = setting(
        None, "UNIGATE_MAX_QUEUED_TOKENS", gt=0,
        description="Tokens of prompts in the engine's own queue from which on requests wait in "
        "front of it; without it eight times `--max-num-batched-tokens`, and four times as many "
        "while nothing waits there; on a CPU as many as that says.",
    )  # fmt: skip
