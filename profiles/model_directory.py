"""Tells a model's directory from a broken one in milliseconds, before an engine is started on it.

Whether vLLM knows the architecture is vLLM's to say; here are the mistakes that copying, mounting
and downloading make.
"""

import json
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from profiles.errors import ModelNotAvailableError

_INDEX = "model.safetensors.index.json"
_OTHER_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.gguf")
_TOKENIZERS = (
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "vocab.txt",
    "tekken.json", "*.tiktoken", "spiece.model",
)  # fmt: skip
# A safetensors file starts with the length of its header, 8 bytes little-endian, and the format's
# own limit for a header is 100 MB.
_LENGTH_BYTES = 8
_LONGEST_HEADER_BYTES = 100_000_000


def verify(directory: Path) -> None:
    """Check that the directory holds a whole model.

    Raises:
        ModelNotAvailableError: naming the file and what is wrong with it.
    """
    with _readable(directory):
        _verify_config(directory)
        _verify_weights(directory)
        _verify_tokenizer(directory)


def verify_config(directory: Path) -> None:
    """Check that it is a model's directory at all; enough to choose a profile by.

    Raises:
        ModelNotAvailableError: as `verify`.
    """
    with _readable(directory):
        _verify_config(directory)


@contextmanager
def _readable(directory: Path) -> Iterator[None]:
    """What the file system refuses, in sentences."""
    try:
        yield
    except PermissionError as error:
        raise ModelNotAvailableError(
            f"{error.filename} is not readable for user {os.geteuid()}: change its permissions, "
            "or run as the user it belongs to",
        ) from None
    except OSError as error:
        raise ModelNotAvailableError(f"{directory} cannot be read: {error}") from None


def _verify_config(directory: Path) -> None:
    if not directory.exists():
        raise ModelNotAvailableError(f"{directory} does not exist: check NIM_MODEL_PATH and mounts")
    if not directory.is_dir():
        raise ModelNotAvailableError(f"{directory} is not a directory")
    if not any(directory.iterdir()):
        raise ModelNotAvailableError(f"{directory} is empty: is the volume mounted?")
    config = directory / "config.json"
    if config.exists():
        _read_object(config)
    elif not (directory / "params.json").exists():  # Mistral's own format
        raise ModelNotAvailableError(
            f"{directory} has no config.json: it is not a model's directory"
        )


def _verify_weights(directory: Path) -> None:
    weights = _weights(directory)
    if not weights and not any(any(directory.glob(pattern)) for pattern in _OTHER_WEIGHTS):
        raise ModelNotAvailableError(f"{directory} has no weights (*.safetensors)")
    for path in weights:
        _verify_safetensors(path)


def _verify_tokenizer(directory: Path) -> None:
    if not any(any(directory.glob(pattern)) for pattern in _TOKENIZERS):
        raise ModelNotAvailableError(f"{directory} has no tokenizer (tokenizer.json)")
    tokenizer = directory / "tokenizer.json"
    if tokenizer.exists():
        _read_object(tokenizer)


def _weights(directory: Path) -> list[Path]:
    """The safetensors files, after the index's word where there is one."""
    index = directory / _INDEX
    if not index.exists():
        return sorted(directory.glob("*.safetensors"))
    shards = _read_object(index).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise ModelNotAvailableError(f"{index} names no weights: fetch it again")
    paths = sorted({directory / str(shard) for shard in shards.values()})
    missing = [path.name for path in paths if not path.exists()]
    if missing:
        raise ModelNotAvailableError(
            f"{directory} lacks {len(missing)} of {len(paths)} weight files, the first is "
            f"{missing[0]}: fetch it again",
        )
    return paths


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelNotAvailableError(
            f"{path} is not valid JSON ({error}): fetch it again"
        ) from None
    if not isinstance(value, dict):
        raise ModelNotAvailableError(f"{path} is not a JSON object: fetch it again")
    return value


def _verify_safetensors(path: Path) -> None:
    """Compare the file's length with what its header promises: half a download shows here."""
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_LENGTH_BYTES)
        if len(start) < _LENGTH_BYTES:
            raise ModelNotAvailableError(
                f"{path} is cut short ({size_bytes} bytes): fetch it again"
            )
        (header_bytes,) = struct.unpack("<Q", start)
        if header_bytes > min(_LONGEST_HEADER_BYTES, size_bytes - _LENGTH_BYTES):
            raise ModelNotAvailableError(f"{path} is not a safetensors file: fetch it again")
        try:
            header = json.loads(file.read(header_bytes))
            header.pop("__metadata__", None)
            data_bytes = max(
                (int(tensor["data_offsets"][1]) for tensor in header.values()), default=0
            )
        except (ValueError, AttributeError, KeyError, TypeError, IndexError):
            raise ModelNotAvailableError(f"{path} has a broken header: fetch it again") from None
    promised_bytes = _LENGTH_BYTES + header_bytes + data_bytes
    if size_bytes < promised_bytes:
        raise ModelNotAvailableError(
            f"{path} is cut short ({size_bytes} of {promised_bytes} bytes): fetch it again",
        )
