"""Which of a repository's files make the model that vLLM serves."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from profiles.errors import Cause, SourceError
from profiles.source import RemoteModel, is_inside
from profiles.sources.remote import MANIFEST, RemoteFile

# Formats of other engines, and what never matters.
_UNWANTED = (
    "*.msgpack", "*.h5", "*.onnx", "*.onnx_data", "*.ot", "*.mlmodel", "*.tflite", "onnx/*",
    "openvino/*", "original/*", "metal/*", "coreml/*", "runs/*", "*.md", ".gitattributes",
    ".gitignore", "*.png", "*.jpg", "*.jpeg", "*.gif", "*.mp4", "*.pdf", MANIFEST,
)  # fmt: skip
# The same weights once more, where there are safetensors, and what training leaves behind.
_BESIDE_SAFETENSORS = (
    "pytorch_model*.bin", "pytorch_model.bin.index.json", "consolidated*.pth", "*.gguf",
    "optimizer*", "scheduler*.pt", "rng_state*.pth", "training_args.bin", "trainer_state.json",
)  # fmt: skip


def choose(source: RemoteModel, files: Sequence[RemoteFile]) -> tuple[RemoteFile, ...]:
    """The files to fetch, in the order of their names.

    Raises:
        SourceError: there is none, or one that was asked for is not there.
    """
    offered = sorted((file for file in files if is_inside(file.path)), key=lambda file: file.path)
    if source.files:
        known = {file.path: file for file in offered}
        missing = [name for name in source.files if name not in known]
        if missing:
            raise SourceError(
                f"{source.uri} has no file {missing[0]!r}: check the name behind file=",
                Cause.MISSING,
            )
        return tuple(known[name] for name in dict.fromkeys(source.files))
    has_safetensors = any(file.path.endswith(".safetensors") for file in offered)
    unwanted = (*_UNWANTED, *(_BESIDE_SAFETENSORS if has_safetensors else ()))
    chosen = tuple(file for file in offered if not _matches(file.path, unwanted))
    if not chosen:
        raise SourceError(f"{source.uri} holds no model's files: check the name", Cause.MISSING)
    return chosen


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)
