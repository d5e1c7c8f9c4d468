"""Copies of adapters that belong to this process, and are what the engine reads.

vLLM reads an adapter again whenever its cache had no room for it, in the middle of a step: a file
that has been replaced or removed by then ends the engine. And its prefix cache knows adapters by
their path: new weights at an old path would be answered with what the old ones had computed.
"""

import shutil
import tempfile
import weakref
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from engine.adapters.peft_config import check_config
from engine.adapters.refusal import AdapterRefusedError, Reason
from engine.adapters.root import CONFIG, WEIGHTS, Fingerprint, Root, fingerprint
from engine.adapters.weights import Shapes, read_shapes

_LARGEST_CONFIG = 1 << 20
_CHUNK = 1 << 20


class Copy:
    """A directory with one adapter, whole and checked; goes when it is closed or forgotten."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shapes: Shapes = {}
        self._remove = weakref.finalize(self, shutil.rmtree, path, ignore_errors=True)

    def close(self) -> None:
        """Remove it; nobody may read it any more."""
        self._remove()


@dataclass(frozen=True, slots=True)
class Copier:
    """Makes copies in `scratch`, and refuses what would not be served from one."""

    root: Root
    scratch: Path
    max_rank: int

    def copy(self, directory: Path, seen: Fingerprint) -> Copy:
        """Copy an adapter that looks as it was `seen`, and check it; blocks.

        Raises:
            AdapterRefusedError: it is not good, or somebody is writing to it.
        """
        with ExitStack() as undo:
            copy = Copy(Path(tempfile.mkdtemp(prefix="adapter-", dir=self.scratch)))
            undo.callback(copy.close)
            try:
                self._fill(copy, directory)
            except OSError as error:
                raise AdapterRefusedError(
                    Reason.UNREADABLE, f"Its files cannot be copied: {error.strerror}."
                ) from None
            finally:
                if fingerprint(directory) != seen:  # whatever was found is not what is there
                    raise AdapterRefusedError(Reason.CHANGING, "Its files are being changed.")
            undo.pop_all()
        return copy

    def _fill(self, copy: Copy, directory: Path) -> None:
        try:
            with self.root.open(directory / CONFIG) as file:
                text = file.read(_LARGEST_CONFIG + 1)
        except FileNotFoundError:
            raise AdapterRefusedError(Reason.CONFIG, f"It has no {CONFIG}.") from None
        if len(text) > _LARGEST_CONFIG:
            raise AdapterRefusedError(Reason.CONFIG, f"Its {CONFIG} is larger than 1 MiB.")
        check_config(text, self.max_rank)
        (copy.path / CONFIG).write_bytes(text)
        weights = self._copy_weights(copy, directory)
        copy.shapes = read_shapes(weights, self.max_rank)

    def _copy_weights(self, copy: Copy, directory: Path) -> Path:
        for name in WEIGHTS:
            try:
                source = self.root.open(directory / name)
            except FileNotFoundError:
                continue
            target = copy.path / name
            with source, target.open("wb") as file:
                shutil.copyfileobj(source, file, _CHUNK)
            return target
        raise AdapterRefusedError(Reason.WEIGHTS, f"It has neither {' nor '.join(WEIGHTS)}.")
