"""vLLM's knobs that exist only as environment variables; must run before vLLM is imported."""

import os

from engine.config import EngineConfig


def prepare(config: EngineConfig, scratch: str) -> None:
    """Set what the user has not set; `scratch` is a directory of this process alone."""
    defaults = {
        # Sockets between the processes: not where other users may look, and removed at the end.
        "VLLM_RPC_BASE_PATH": scratch,
        # Fork is vLLM's library default and unsafe here: this process has threads by now.
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
        "VLLM_LOGGING_LEVEL": config.log_level,
        "VLLM_LOGGING_STREAM": "ext://sys.stderr",
        # vLLM's own 600 s are too short for large models; ours is the deadline that counts.
        "VLLM_ENGINE_READY_TIMEOUT_S": str(int(config.start_timeout_s) + 60),
        # Profiles count GPUs as the driver does; CUDA's own order puts the fastest first.
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        # Nothing is reported to anyone unless the user asks for it.
        "VLLM_NO_USAGE_STATS": "1",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    if config.visible_devices is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = config.visible_devices
