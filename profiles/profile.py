"""A profile: one named configuration of the engine for given hardware."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

# The GPU "family" of profiles for machines without a GPU.
CPU = "cpu"


class Objective(StrEnum):
    """What a profile is tuned for."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"


class Origin(StrEnum):
    """Who made a profile."""

    CATALOGUE = "catalogue"
    DERIVED = "derived"
    MANIFEST = "manifest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the engine is started with; the same contents have the same id everywhere.

    `gpu` is a family ("h100"), "cpu", or None for a generic profile. `arguments` are the engine's
    flags beyond parallelism and LoRA, "" for a flag without a value. How much memory it needs
    depends on the model and is not part of it.
    """

    precision: str
    tp: int = 1
    pp: int = 1
    gpu: str | None = None
    objective: Objective | None = None
    lora: bool = False
    arguments: Mapping[str, str] = field(default_factory=dict, hash=False)
    weights: str | None = None  # a URI in place of the model's own weights
    engine: str = "vllm"
    origin: Origin = Origin.DERIVED
    origin_key: str = ""  # file and key of the catalogue, or the manifest's file
    source: str = ""  # where its values come from, a sentence
    rank: int = 0  # place in its file: the first is the best of its kind
    # Never chosen unless pinned: it would change answers (or weights) behind the user's back.
    needs_pin: bool = False
    given_id: str | None = None  # a manifest's id, where its recipe is not ours

    @property
    def id(self) -> str:
        """64 hexadecimal digits that name the contents, on every machine."""
        if self.given_id is not None:
            return self.given_id
        contents = {
            "engine": self.engine,
            "gpu": self.gpu,
            "precision": self.precision,
            "tp": self.tp,
            "pp": self.pp,
            "objective": self.objective,
            "lora": self.lora,
            "arguments": dict(self.arguments),
            "weights": self.weights,
        }
        canonical = json.dumps(contents, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def name(self) -> str:
        """Such as `vllm-h100-fp8-tp2-pp1-throughput`; LoRA last, as NIM's documents spell it."""
        return "-".join([*self._words, *(["lora"] if self.lora else [])])

    def listed_name(self, required_gb: int | None) -> str:
        """The name as NIM's listing prints it, with `feat_lora` and the gigabytes."""
        words = [*self._words, *(["feat_lora"] if self.lora else [])]
        if required_gb is not None:
            words.append(f"{required_gb:.1f}")
        return "-".join(words)

    @property
    def gpu_count(self) -> int:
        """How many GPUs it takes, all alike; 0 on a CPU."""
        return 0 if self.gpu == CPU else self.tp * self.pp

    @property
    def is_quantized_while_loading(self) -> bool:
        """Whether the engine makes FP8 weights of wider ones; no other files are needed for it."""
        return self.arguments.get("--quantization") == "fp8"

    def engine_arguments(self) -> dict[str, str]:
        """All flags for the engine, in order."""
        flags = {
            "--tensor-parallel-size": str(self.tp),
            "--pipeline-parallel-size": str(self.pp),
            **self.arguments,
        }
        if self.lora:
            flags["--enable-lora"] = ""
        return flags

    @property
    def _words(self) -> list[str]:
        words = [self.engine, self.gpu, self.precision, f"tp{self.tp}", f"pp{self.pp}"]
        return [word for word in [*words, self.objective] if word]
