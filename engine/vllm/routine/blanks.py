"""vLLM's documents with blanks where their values go, so that nobody writes them once more."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Blanks:
    """What stands around the values."""

    template: bytes
    """As for the operator %, with names."""

    @classmethod
    def of(cls, document: str, values: dict[str, str]) -> Self | None:
        """What is left of a document without these values; None unless each is there once.

        A value may bring what stands around it, to be told from others.
        """
        template = document.replace("%", "%%")
        for name, value in values.items():
            if document.count(value) != 1:
                return None
            template = template.replace(value.replace("%", "%%"), f"%({name})b")
        return cls(template.encode())

    def filled(self, values: dict[bytes, bytes]) -> bytes:
        """The document with values, by the names of the blanks; more than there are do no harm."""
        return self.template % values
