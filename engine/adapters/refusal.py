"""Why an adapter is not loaded: one reason of a closed set, and one sentence."""

from enum import StrEnum

from engine.errors import InvalidRequestError


class Reason(StrEnum):
    """The reasons; a metric has them as its label."""

    NAME = "name"  # of a base model, of another adapter, or with a path's tricks
    PLACE = "place"  # outside the root
    UNREADABLE = "unreadable"
    CONFIG = "config"
    RANK = "rank"
    WEIGHTS = "weights"  # missing, truncated, or not those of a LoRA
    MODULES = "modules"  # the model has no such modules, or of other sizes
    CHANGING = "changing"
    ENGINE = "engine"  # the engine itself refused


class AdapterRefusedError(InvalidRequestError):
    """This adapter cannot be loaded as it is; whatever else is loaded stays as it was."""

    def __init__(self, reason: Reason, sentence: str, param: str = "lora_path") -> None:
        super().__init__(sentence, param)
        self.reason = reason
