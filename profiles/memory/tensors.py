"""The tensors of a checkpoint: their names, types and shapes, read from safetensors headers."""

import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from profiles.errors import ModelNotAvailableError

_LENGTH_BYTES = 8
_LONGEST_HEADER_BYTES = 100_000_000  # the format's own limit
_BITS = {
    "F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16,
    "I16": 16, "U16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "I8": 8, "U8": 8, "BOOL": 8,
    "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
}  # fmt: skip
FLOATS = frozenset({"F64", "F32", "F16", "BF16"})


@dataclass(frozen=True, slots=True)
class Tensor:
    """One entry of a header."""

    name: str
    type: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """As stored; packed integers count as one."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    @property
    def bytes(self) -> float:
        """What it takes in the file."""
        return self.elements * _BITS.get(self.type, 16) / 8


Tensors = tuple[Tensor, ...]


def read_tensors(files: Iterable[Path]) -> Tensors:
    """What the headers of safetensors files say; no tensor's data is read.

    Raises:
        ModelNotAvailableError: a file cannot be read, or is not one.
    """
    return tuple(
        tensor
        for path in files
        for name, entry in _header(path).items()
        if name != "__metadata__" and (tensor := _tensor(name, entry, path))
    )


def _header(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(_LENGTH_BYTES))
            if length > min(_LONGEST_HEADER_BYTES, path.stat().st_size):
                raise ModelNotAvailableError(f"{path} is not a safetensors file: fetch it again")
            header = json.loads(file.read(length))
    except OSError as error:
        raise ModelNotAvailableError(f"{path} cannot be read: {error}") from None
    except (ValueError, struct.error):
        raise ModelNotAvailableError(f"{path} has a broken header: fetch it again") from None
    if not isinstance(header, dict):
        raise ModelNotAvailableError(f"{path} has a broken header: fetch it again")
    return header


def _tensor(name: str, entry: Any, path: Path) -> Tensor:
    try:
        return Tensor(name, str(entry["dtype"]), tuple(int(size) for size in entry["shape"]))
    except (KeyError, TypeError, ValueError):
        raise ModelNotAvailableError(f"{path} has a broken header: fetch it again") from None
