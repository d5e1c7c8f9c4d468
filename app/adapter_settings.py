"""The settings for LoRA adapters; a part of `app.settings.Settings`."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, field_validator

from app.setting import setting


class AdapterSettings(BaseModel):
    """Where adapters come from, and how many there may be."""

    peft_source: Path | None = setting(
        None, "NIM_PEFT_SOURCE",
        description="Directory of LoRA adapters, each in a directory that has its name; switches "
        "LoRA on. They are copied to `TMPDIR` while they are served.",
    )  # fmt: skip
    peft_refresh_interval_s: float | None = setting(
        None, "NIM_PEFT_REFRESH_INTERVAL", gt=0,
        description="How often adapters that were added, changed or removed are looked for; "
        "without it, at the start only.",
    )  # fmt: skip
    peft_timeout_s: float = setting(
        60.0, "NIM_PEFT_API_TIMEOUT_SECS", gt=0, description="Longest time to load an adapter."
    )
    allow_runtime_lora_updating: bool = setting(
        False, "VLLM_ALLOW_RUNTIME_LORA_UPDATING",
        description="Clients may load and unload adapters that are below `NIM_PEFT_SOURCE`.",
    )  # fmt: skip
    max_lora_rank: Literal[1, 8, 16, 32, 64, 128, 256, 320, 512] = setting(
        32, "NIM_MAX_LORA_RANK", description="Highest rank of an adapter."
    )
    max_gpu_loras: int = setting(
        8, "NIM_MAX_GPU_LORAS", gt=0, description="Adapters that may be used in one step."
    )
    max_cpu_loras: int | None = setting(
        None, "NIM_MAX_CPU_LORAS", gt=0,
        description="Adapters kept in the engine's memory, where others are read again when used; "
        "16 without it, or `NIM_MAX_GPU_LORAS` if that is more.",
    )  # fmt: skip

    @field_validator("max_lora_rank", mode="before")
    @classmethod
    def _rank_as_a_number(cls, value: object) -> object:
        return int(value) if isinstance(value, str) and value.isdecimal() else value
