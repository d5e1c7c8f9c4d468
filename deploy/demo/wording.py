"""Turns the corpus's shorthand into sentences: choices, lists, made-up words and typing habits."""

import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_BLANK = re.compile(r"\{([a-z]+)\}")
_FEW_LETTERS = 3
_FEW_WORDS = 3


def read_yaml(path: Path) -> object:
    """Read one file of the corpus."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


class Wording:
    """Draws words: from the corpus's lists where they exist, else made up of syllables."""

    def __init__(
        self, rng: random.Random, phrases: Mapping[str, Any], words: Mapping[str, list[str]]
    ) -> None:
        self.rng = rng
        self._lists: Mapping[str, Sequence[str]] = phrases["lists"]
        self._fillers: list[str] = phrases["fillers"]
        self._droppable: frozenset[str] = frozenset(phrases["droppable"])
        self._words = words

    def chance(self, share: float) -> bool:
        """Decide at random; true in this share of the cases."""
        return self.rng.random() < share

    def pick(self, name: str) -> str:
        """Draw one of the words of a list in words.yaml."""
        return self.rng.choice(self._words[name])

    def made_up(self, syllables: int = 0) -> str:
        """Make up a word, one that can only be copied."""
        count = syllables or self.rng.choice((1, 2, 2, 2, 3))
        parts = ("onsets", "vowels", "codas")
        return "".join(self.pick(part) for _ in range(count) for part in parts)

    def expand(self, text: str) -> str:
        """Choose among the alternatives of a pattern and fill its blanks."""
        while found := _CHOICE.search(text):
            text = text.replace(found[0], self.rng.choice(found[1].split("|")), 1)
        text = _BLANK.sub(lambda found: self._fill(found[1]), text)
        return re.sub(r" +", " ", text).strip()

    def _fill(self, name: str) -> str:
        if name in self._lists:
            return self.rng.choice(self._lists[name])
        match name:
            case "place" | "name" | "word" | "number":
                return self.value(
                    {"place": "place", "name": "person", "word": "word", "number": "integer"}[name]
                )
            case "digits":
                return f"{self.rng.randrange(100):02d}"
            case "sentence":
                return " ".join(self.value("word") for _ in range(self.rng.randint(4, 12)))
            case _:
                return "{" + name + "}"

    def _proper(self, known: str, known_share: float) -> str:
        if self.rng.random() < known_share:
            return self.pick(known)
        words = [self.made_up().capitalize() for _ in range(self.rng.choice((1, 1, 1, 1, 2, 2, 3)))]
        return " ".join(words)

    def value(self, kind: str) -> str:  # noqa: C901, PLR0911  # one line for each kind of value
        """Draw a value for a parameter or a blank."""
        rng = self.rng
        match kind:
            case "place":
                return self._proper("places", 0.3)
            case "person":
                return self._proper("persons", 0.3)
            case "word":
                return self.pick("nouns") if self.chance(0.4) else self.made_up()
            case "words":
                return " ".join(self.value("word") for _ in range(rng.choice((1, 1, 2, 2, 3))))
            case "integer":
                return str(
                    rng.choice((rng.randrange(10), rng.randrange(100), rng.randrange(10000)))
                )
            case "expression":
                return self._expression()
            case "email":
                return (
                    f"{self.made_up()}@{self.made_up()}.{rng.choice(('com', 'org', 'net', 'io'))}"
                )
            case "path":
                names = [self.value("word").replace(" ", "_") for _ in range(rng.randint(1, 3))]
                ending = rng.choice(("", "", ".txt", ".py", ".md", "." + self.made_up(1)))
                return rng.choice(("/", "/", "", "./", "~/")) + "/".join(names) + ending
            case "symbol":
                letters = [
                    rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(rng.randint(2, 5))
                ]
                return "".join(letters)
            case "service":
                made_up = self.made_up() + rng.choice(("", "", "-" + self.made_up(), "-api", "d"))
                return self.pick("services") if self.chance(0.3) else made_up
            case "day" | "language":
                return self.pick(kind + "s")
            case _:
                raise ValueError(kind)

    def _expression(self) -> str:
        rng = self.rng
        gap = rng.choice(("", " "))
        text = self.value("integer")
        for _ in range(rng.choice((1, 1, 2, 3))):
            text += gap + rng.choice("+-*/") + gap + self.value("integer")
            if self.chance(0.2):
                text = f"({text})"
        return text

    def distort(self, text: str, *, slips: bool = True) -> str:
        """Write a question as people do: capitals or none, a question mark or none, a slip.

        Without slips the words stay as they are, because the answer repeats some of them.
        """
        rng = self.rng
        if slips:
            text = self._slip(text)
        if self.chance(0.5):
            text = text[:1].upper() + text[1:]
        elif slips and self.chance(0.04):
            text = text.upper()
        ending = rng.choice(("", "", "?", "?", "?", ".", "!", " ?", "??"))
        return text if text.endswith(("?", "!", ".", ":")) else text + ending

    def _slip(self, text: str) -> str:
        """Put a word in, drop small ones, mistype one, in any order; half the questions stay."""
        words = text.split(" ")
        at = self.rng.randrange(len(words))
        if len(words) > _FEW_WORDS and self.chance(0.15):
            words.insert(at, self.rng.choice(self._fillers) if self.chance(0.7) else self.made_up())
        if len(words) > _FEW_WORDS and self.chance(0.3):
            share = self.rng.choice((0.2, 0.5, 0.8))
            kept = [
                word
                for word in words
                if word.lower() not in self._droppable or not self.chance(share)
            ]
            words = kept or words
        if self.chance(0.04):
            self.rng.shuffle(words)
        if self.chance(0.12):
            at = self.rng.randrange(len(words))
            words[at] = self._mistype(words[at])
        return " ".join(words)

    def _mistype(self, word: str) -> str:
        if len(word) < _FEW_LETTERS or not word.isalpha():
            return word
        cut = self.rng.randrange(len(word) - 1)
        swapped = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
        return self.rng.choice((swapped, word[:cut] + word[cut + 1 :]))
