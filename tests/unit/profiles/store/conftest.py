"""Models for tests of sources and store, and a way to fetch that does not wait between attempts."""

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from profiles.download import fetch
from profiles.store.transfer import Patience

# Large enough to be cut several times, small enough to be fetched in no time.
_TENSOR_BYTES = 1_500_000
Fetch = Callable[..., Path]


def safetensors(seed: str, size_bytes: int = _TENSOR_BYTES) -> bytes:
    """A file of the format, with content that belongs to the seed."""
    tensor = {"dtype": "U8", "shape": [size_bytes], "data_offsets": [0, size_bytes]}
    header = json.dumps({"weight": tensor}).encode()
    block = hashlib.sha256(seed.encode()).digest()
    data = (block * (size_bytes // len(block) + 1))[:size_bytes]
    return struct.pack("<Q", len(header)) + header + data


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of two shards."""
    directory = tmp_path / "origin"
    directory.mkdir()
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for shard in shards:
        (directory / shard).write_bytes(safetensors(shard))
    index = {"weight_map": {f"layer{number}": shard for number, shard in enumerate(shards)}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    (directory / "config.json").write_text('{"model_type": "llama"}')
    (directory / "tokenizer.json").write_text("{}")
    return directory


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def get(cache: Path) -> Fetch:
    """`fetch` into the test's cache; attempts follow each other at once."""

    def fetched(source: Any, **options: Any) -> Path:
        patience = Patience(attempts=3, first_wait_s=0.01)
        return fetch(source, **{"cache": cache, "patience": patience, **options})

    return fetched


def content(directory: Path) -> dict[str, bytes]:
    """All files of a model, without the store's own."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != ".unigate.json"
    }
