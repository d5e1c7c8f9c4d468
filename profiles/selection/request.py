"""What the user wants of a selection."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from profiles.profile import Objective, Profile
from profiles.selection.flags import MAX_MODEL_LEN, number, spelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Everything that has a say besides model and machine.

    `arguments` are engine flags that the user sets himself ("" for a flag without a value); they
    win over a profile's, so memory is planned with them.
    """

    profile: str | None = None  # NIM_MODEL_PROFILE
    expected: str | None = None  # UNIGATE_EXPECT_PROFILE
    lora: bool = False
    max_model_len: int | None = None
    tp: int | None = None
    pp: int | None = None
    objective: Objective | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    host_memory_bytes: int | None = None  # for machines without a GPU

    @property
    def length(self) -> int | None:
        """The context that is asked for, also where it is spelled 32k; None: as it comes."""
        return self.max_model_len or number(spelled(self.arguments), MAX_MODEL_LEN)

    def refuses(self, profile: Profile) -> str | None:
        """Why the user does not want this profile, as a sentence, or None."""
        if profile.lora and not self.lora:
            return "LoRA is off"
        if self.lora and not profile.lora:
            return "LoRA is on, and it serves no adapters"
        if self.tp is not None and profile.tp != self.tp:
            return f"TP {self.tp} is asked for"
        if self.pp is not None and profile.pp != self.pp:
            return f"PP {self.pp} is asked for"
        return None
