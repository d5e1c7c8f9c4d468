"""The directory that all adapters are below: nothing outside it is ever read."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from engine.adapters.refusal import AdapterRefusedError, Reason

CONFIG = "adapter_config.json"
# vLLM takes the first that is there.
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")

Fingerprint = tuple[tuple[str, str], ...]
"""Of an adapter's files, each by its name: what changes when they do."""


class Root:
    """NIM_PEFT_SOURCE; may be a link that is turned to another place while it is looked at."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def directory(self, path: str | Path) -> Path:
        """An adapter's directory with links resolved, from a path below the root or relative to it.

        Raises:
            AdapterRefusedError: it is not below the root, or not there.
        """
        try:
            root = self._path.resolve(strict=True)
            found = (self._path / path).resolve(strict=True)
        except FileNotFoundError:
            raise AdapterRefusedError(
                Reason.PLACE, "There is no such directory below NIM_PEFT_SOURCE."
            ) from None
        except (OSError, RuntimeError, ValueError):  # no permission, a loop of links, a null byte
            raise AdapterRefusedError(Reason.UNREADABLE, "The directory cannot be read.") from None
        if root not in found.parents:
            raise AdapterRefusedError(
                Reason.PLACE, "The directory is not below NIM_PEFT_SOURCE, or leads out of it."
            )
        return found

    def look(self) -> dict[str, Fingerprint]:
        """The directories directly in the root, by name; raises `OSError` if it cannot be read."""
        with os.scandir(self._path) as entries:
            return {
                entry.name: fingerprint(Path(entry.path))
                for entry in entries
                if not entry.name.startswith(".") and _may_be_adapter(entry)
            }

    def open(self, path: Path) -> BinaryIO:
        """One file for reading; the file that was opened is below the root, whatever the path was.

        Raises:
            AdapterRefusedError: it leads out of the root, or is not a file.
            OSError: it cannot be read.
        """
        # A pipe would be waited for without the flag.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        file = os.fdopen(descriptor, "rb")
        # Not the path, which a link may lead elsewhere between a check and the opening.
        opened = Path(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115
        if self._path.resolve() not in opened.parents:
            file.close()
            raise AdapterRefusedError(Reason.PLACE, f"{path.name} leads out of NIM_PEFT_SOURCE.")
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            file.close()
            raise AdapterRefusedError(Reason.UNREADABLE, f"{path.name} is not a file.")
        return file


def _may_be_adapter(entry: "os.DirEntry[str]") -> bool:
    """Directories, and links to whatever: one that leads nowhere is worth a sentence."""
    return entry.is_symlink() or entry.is_dir()


def fingerprint(directory: Path) -> Fingerprint:
    """Equal as long as nobody has touched the files; blocks."""
    return tuple((name, _look(directory / name)) for name in (CONFIG, *WEIGHTS))


def _look(path: Path) -> str:
    try:
        seen = path.stat()
    except OSError as error:
        return f"error {error.errno}"
    return f"{seen.st_dev}:{seen.st_ino} {seen.st_size} {seen.st_mtime_ns} {seen.st_ctime_ns}"
