"""A file of keys, as an operator writes it."""

import hashlib
from pathlib import Path


class KeysFile:
    """Each key's secret is `secret-` and its name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries: dict[str, str] = {}

    def put(self, name: str, **fields: str) -> None:
        """Add or change an entry; `fields` are TOML."""
        digest = hashlib.sha256(self.secret(name).encode()).hexdigest()
        lines = [f"[keys.{name}]", f'sha256 = "{digest}"']
        lines += [f"{field} = {value}" for field, value in fields.items()]
        self._entries[name] = "\n".join(lines)
        self._write()

    def remove(self, name: str) -> None:
        del self._entries[name]
        self._write()

    @staticmethod
    def secret(name: str) -> str:
        return f"secret-{name}"

    def header(self, name: str) -> dict[str, str]:
        """What a client sends."""
        return {"authorization": f"Bearer {self.secret(name)}"}

    def _write(self) -> None:
        new = self.path.with_suffix(".new")
        new.write_text("\n\n".join(self._entries.values()) + "\n")
        new.replace(self.path)
