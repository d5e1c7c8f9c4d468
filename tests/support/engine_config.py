"""vLLM's configuration for a model, without an engine."""

import os
from pathlib import Path
from unittest.mock import patch

from vllm.config import VllmConfig
from vllm.engine.arg_utils import AsyncEngineArgs


def engine_config(model: Path) -> VllmConfig:
    """As an engine on a CPU would have it."""
    arguments = AsyncEngineArgs(model=str(model), dtype="float32", enforce_eager=True)
    # vLLM prepares this process to be an engine; the servers of other tests would inherit it.
    with patch.dict(os.environ):
        return arguments.create_engine_config()
