"""NIM's variables that unigate knows but does not act on, each with what to do about it.

Silence about a variable that used to work is how a migration goes wrong, so all but those that an
operator injects by itself are worth a warning.
"""

TOLERATED = frozenset({
    # Set by the NIM operator or its charts on every pod, whether or not they apply.
    "NIM_NUM_COMPUTE_NODES", "NIM_NODE_RANK", "NIM_MULTI_NODE", "NIM_LEADER_ROLE",
    "NIM_MPI_ALLOW_RUN_AS_ROOT", "NIM_SDK_USE_NATIVE_TLS", "NIM_TELEMETRY_MODE",
    "NIM_USE_SGLANG", "NIM_DISABLE_LOG_REQUESTS",
    # There is no second process that would need them.
    "NIM_BACKEND_PORT", "NIM_NGINX_DIR",
})  # fmt: skip

SET_BY_SAGEMAKER = (
    # By the hosting of several containers, of several models and of batch transform jobs:
    # https://docs.aws.amazon.com/sagemaker/latest/dg/multi-container-troubleshooting.html
    "SAGEMAKER_BIND_TO_PORT", "SAGEMAKER_SAFE_PORT_RANGE", "SAGEMAKER_MULTI_MODEL",
    "SAGEMAKER_BATCH",
    # By its SDK, for every model it deploys, and for its toolkit in the container:
    # https://github.com/aws/sagemaker-inference-toolkit
    "SAGEMAKER_BASE_DIR", "SAGEMAKER_CONTAINER_LOG_LEVEL", "SAGEMAKER_REGION",
    "SAGEMAKER_PROGRAM", "SAGEMAKER_SUBMIT_DIRECTORY", "SAGEMAKER_MODEL_SERVER_WORKERS",
    "SAGEMAKER_MODEL_SERVER_TIMEOUT", "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT",
)  # fmt: skip
"""Any of them says that it is SageMaker that runs the container."""

_NOT_YET = "this version does not support it yet"
_ARGUMENT = "pass {} in NIM_PASSTHROUGH_ARGS"

NOT_SUPPORTED: dict[str, str] = {
    "NIM_MANIFEST_PROFILE": _NOT_YET,
    "NIM_TAGS_SELECTOR": _NOT_YET,
    "NIM_OTEL_METRICS_EXPORTER": "metrics are at /v1/metrics",
    "UNIGATE_CONSOLE": _NOT_YET,
    # Not NIM's, but whoever sets it believes that the server is locked.
    "VLLM_API_KEY": "put keys into the file of UNIGATE_API_KEYS_PATH",
    # Not NIM's either: what they configure in vLLM is not what fetches here.
    "VLLM_MEDIA_CONNECTOR": "unigate fetches media itself; UNIGATE_MEDIA_FETCH has the switch",
    "VLLM_MEDIA_CACHE": "media are fetched anew for each request",
    "VLLM_MEDIA_URL_ALLOW_REDIRECTS": "redirects of media are never followed",
    "VLLM_IMAGE_FETCH_TIMEOUT": "set UNIGATE_MEDIA_TIMEOUT_S",
    "VLLM_AUDIO_FETCH_TIMEOUT": "set UNIGATE_MEDIA_TIMEOUT_S",
    "VLLM_VIDEO_FETCH_TIMEOUT": "set UNIGATE_MEDIA_TIMEOUT_S",
    "VLLM_MAX_MEDIA_DOWNLOAD_SIZE_MB": "set UNIGATE_MEDIA_MIB",
    "NIM_DRAFT_MODEL_PATH": _ARGUMENT.format("--speculative-config"),
    "NIM_GPU_MEM_FRACTION": _ARGUMENT.format("--gpu-memory-utilization"),
    "NIM_GPU_MEMORY_UTILIZATION": _ARGUMENT.format("--gpu-memory-utilization"),
    "NIM_KV_CACHE_PERCENT": _ARGUMENT.format("--gpu-memory-utilization"),
    "NIM_KVCACHE_PERCENT": _ARGUMENT.format("--gpu-memory-utilization"),
    "NIM_ENABLE_KV_CACHE_REUSE": "prefix caching is on by default",
    "NIM_MAX_NUM_SEQS": _ARGUMENT.format("--max-num-seqs"),
    "NIM_MAX_BATCH_SIZE": _ARGUMENT.format("--max-num-seqs"),
    "NIM_MAX_NUM_BATCHED_TOKENS": _ARGUMENT.format("--max-num-batched-tokens"),
    "NIM_GUIDED_DECODING_BACKEND": _ARGUMENT.format("--structured-outputs-config"),
    "NIM_CUSTOM_MODEL_NAME": "set NIM_SERVED_MODEL_NAME",
    "NIM_LOW_MEMORY_MODE": "it belongs to TensorRT-LLM; lower NIM_MAX_MODEL_LEN instead",
    "NIM_RELAX_MEM_CONSTRAINTS": "it belongs to TensorRT-LLM",
    "NIM_SCHEDULER_POLICY": "it belongs to TensorRT-LLM",
    "NIM_DYNAMO_SINGLE": "unigate is one process; it has no Dynamo mode",
    "NIM_DYNAMO_WORKER": "unigate is one process; it has no Dynamo mode",
    "NIM_DYNAMO_FRONTEND": "unigate is one process; it has no Dynamo mode",
}
