"""The memory estimate against what the real engine reports."""

import re
from pathlib import Path

import pytest

from profiles.memory import EngineOptions, estimate, read_model_directory
from tests.support.server import Server

_GIB = 1 << 30
# VLLM_CPU_KVCACHE_SPACE of tests/support/server.py; on a CPU the cache has a size of its own.
_CACHE_BYTES = 1 * _GIB


def test_the_engine_gets_as_many_tokens_as_were_estimated(server: Server, demo: Path) -> None:
    reported = re.search(r"KV cache size: ([\d,]+) tokens", server.log)
    assert reported is not None
    result = estimate(read_model_directory(demo), EngineOptions(gpu_memory_bytes=8 * _GIB))
    # The estimate is for GPUs, where the cache has 16 bits; the CPU's profile has float32.
    expected = _CACHE_BYTES / (2 * result.kv_bytes_per_token)
    assert int(reported[1].replace(",", "")) == pytest.approx(expected, rel=0.001)
