"""vLLM's knobs that exist only as environment variables."""

import os

from engine.config import EngineConfig

MEDIA_CONNECTOR = "unigate"
"""The name by which vLLM finds what loads media (`engine.vllm.media`)."""

_ANY_NUMBER = 1_000_000


def prepare(scratch: str, log_level: str) -> None:
    """Set what vLLM reads when it is imported; `scratch` is a directory of this process alone."""
    _default("VLLM_LOGGING_LEVEL", log_level)
    _default("VLLM_LOGGING_STREAM", "ext://sys.stderr")
    # Sockets between the processes: not where other users may look, and removed at the end.
    _default("VLLM_RPC_BASE_PATH", scratch)
    # Fork is vLLM's library default and unsafe here: this process has threads by now.
    _default("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    # Profiles count GPUs as the driver does; CUDA's own order puts the fastest first.
    _default("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    # Adapters are ours to load; vLLM's switch would make it keep a lock for each unknown name.
    os.environ["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "0"
    # Not a default: another one would load whatever a client names, from wherever it is.
    os.environ["VLLM_MEDIA_CONNECTOR"] = MEDIA_CONNECTOR
    # One turn of the loop for 128 outputs would keep a probe waiting for longer than 10 ms.
    _default("VLLM_V1_OUTPUT_PROC_CHUNK_SIZE", "32")
    # Requests are held to `engine.limits`. vLLM's own limits are lower, are read when it is
    # imported, and tell clients to set its variables.
    for name in ("VLLM_MAX_COMPLETION_PROMPTS", "VLLM_MAX_STOP_STRINGS"):
        _default(name, str(_ANY_NUMBER))
    # Nothing is reported to anyone unless the user asks for it.
    _default("VLLM_NO_USAGE_STATS", "1")


def prepare_for(config: EngineConfig) -> None:
    """Set what depends on the model; must run before the engine starts."""
    # vLLM's own 600 s are too short for large models; ours is the deadline that counts.
    _default("VLLM_ENGINE_READY_TIMEOUT_S", str(int(config.start_timeout_s) + 60))
    if config.visible_devices is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = config.visible_devices


def _default(name: str, value: str) -> None:
    """A user's own value stays."""
    os.environ.setdefault(name, value)
