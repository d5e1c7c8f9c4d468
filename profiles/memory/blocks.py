"""Weights as the planner sees them: how many, what for, and how ranks share them. Data only."""

from dataclasses import dataclass
from enum import Enum, auto


class Role(Enum):
    """What a weight is for; quantization picks by it."""

    EMBEDDING = auto()
    HEAD = auto()
    ATTENTION = auto()
    RECURRENCE = auto()
    DENSE = auto()
    EXPERT = auto()
    SHARED_EXPERT = auto()
    ROUTER = auto()
    NORM = auto()
    TOWER = auto()  # encoders of images and sound, and what joins them to the model
    OTHER = auto()


class Split(Enum):
    """How the ranks of a tensor-parallel group share a weight."""

    EVENLY = auto()
    BY_KV_HEAD = auto()  # evenly up to the number of KV heads, duplicated beyond
    WHOLE = auto()  # every rank has a copy


@dataclass(frozen=True, slots=True)
class Block:
    """Weights of one role that are shared in one way."""

    role: Role
    split: Split
    elements: int
    bytes: float

    def scaled(self, factor: float) -> "Block":
        """So much more or less of it."""
        return Block(self.role, self.split, round(self.elements * factor), self.bytes * factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A whole model's weights, in the order in which pipeline stages divide them."""

    first: tuple[Block, ...]  # embeddings, towers
    layers: tuple[tuple[Block, ...], ...]
    last: tuple[Block, ...]  # final norm, head

    @property
    def everything(self) -> tuple[Block, ...]:
        """All blocks in one row."""
        inner = tuple(block for layer in self.layers for block in layer)
        return self.first + inner + self.last

    @property
    def total_bytes(self) -> float:
        """What one GPU would hold."""
        return sum(block.bytes for block in self.everything)

    @property
    def total_elements(self) -> int:
        """The number of parameters."""
        return sum(block.elements for block in self.everything)

    def scaled(self, factor: float) -> "Weights":
        """The same model, so much larger or smaller."""
        return Weights(
            first=tuple(block.scaled(factor) for block in self.first),
            layers=tuple(tuple(block.scaled(factor) for block in row) for row in self.layers),
            last=tuple(block.scaled(factor) for block in self.last),
        )
