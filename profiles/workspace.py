"""A model as plain files in a directory of the user's choice."""

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from profiles.errors import ModelNotAvailableError
from profiles.sources.remote import MANIFEST
from profiles.store.staging import remove
from profiles.store.trouble import explain_target

_WEIGHTS = (
    "*.safetensors", "*.safetensors.index.json", "*.bin", "*.bin.index.json", "*.pth", "*.pt",
    "*.gguf",
)  # fmt: skip


def materialise(directories: Path | Sequence[Path], target: Path) -> Path:
    """Put a model's files into the target: weights are linked where the file system can.

    Of several directories the first that has a file gives it, and the first that has weights gives
    all weights: so a fine-tuned checkpoint goes on top of its base model.
    A target that is not there yet appears by one rename; into one that is, file by file.

    Raises:
        ModelNotAvailableError: the disk does not take it.
    """
    sources = [directories] if isinstance(directories, Path) else list(directories)
    chosen = _choose(sources)
    if not chosen:
        raise ModelNotAvailableError(f"{sources[0]} holds no files")
    new = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        if target.exists():
            for name, path in chosen.items():
                _put(path, target / name)
            return target
        try:
            for name, path in chosen.items():
                _put(path, new / name)
            new.rename(target)
        finally:
            remove(new)
    except OSError as error:
        raise explain_target(error, target) from None
    return target


def _choose(sources: Sequence[Path]) -> dict[str, Path]:
    """Names in the target → the files to put there; the manifest of a single source comes last."""
    chosen: dict[str, Path] = {}
    has_weights = False
    for source in sources:
        files = dict(_files(source))
        weights = {name for name, path in files.items() if _is_weight(path)}
        for name, path in files.items():
            if name not in chosen and not (has_weights and name in weights):
                chosen[name] = path
        has_weights = has_weights or bool(weights)
    manifest = chosen.pop(MANIFEST, None)
    if manifest is not None and len(sources) == 1:
        chosen[MANIFEST] = manifest
    return chosen


def _files(directory: Path) -> Iterator[tuple[str, Path]]:
    for root, _, names in os.walk(directory):
        for name in sorted(names):
            path = Path(root) / name
            yield path.relative_to(directory).as_posix(), path


def _is_weight(path: Path) -> bool:
    return any(path.match(pattern) for pattern in _WEIGHTS)


def _put(path: Path, target: Path) -> None:
    """One file, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        temporary.unlink()
    real = path.resolve()  # caches of hubs consist of links to what is elsewhere
    if not (_is_weight(path) and _linked(real, temporary)):
        # People edit a workspace's configuration: that of the store must not change with it.
        shutil.copy2(real, temporary)
    temporary.replace(target)
    # Two links to one file: the rename above does nothing, and leaves the other name.
    with suppress(FileNotFoundError):
        temporary.unlink()


def _linked(real: Path, target: Path) -> bool:
    try:
        os.link(real, target)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise
        return False
    return True
