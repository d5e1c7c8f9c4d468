"""Draws training conversations from the corpus: facts, talk, what is not known, turns, tools."""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calls import ToolCalls
from wording import Wording, read_yaml

Message = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A conversation and the answer that the model shall learn to give."""

    messages: list[Message]
    answer: str
    thought: str = ""
    tools: list[dict[str, Any]] | None = None
    kind: str
    given: str = ""
    """The start of the answer that a grammar would force; it is not learned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """Questions that have the same answer."""

    id: str
    questions: list[str]
    answers: list[str]
    thoughts: list[str]
    weight: float = field(default=1.0)


def normalize(text: str) -> str:
    """Reduce a question to its words, to compare it with others."""
    return " ".join(re.findall(r"[\w/.-]+", text.lower())).rstrip(".")


class Corpus:
    """All of the corpus, from which examples are drawn at random."""

    def __init__(self, directory: Path, seed: int, held_out: frozenset[str] = frozenset()) -> None:
        phrases: Any = read_yaml(directory / "phrases.yaml")
        words: Any = read_yaml(directory / "words.yaml")
        self._rng = random.Random(seed)  # noqa: S311  # not for secrets
        self._wording = Wording(self._rng, phrases, words)
        self._phrases: dict[str, list[str]] = phrases
        self._held_out = held_out
        self._facts = self._read_topics(directory / "facts.yaml", phrases["thoughts_known"])
        self._talk = self._read_topics(directory / "talk.yaml", phrases["thoughts_talk"])
        self._other: Any = read_yaml(directory / "other.yaml")
        self._dialogues: Any = read_yaml(directory / "dialogues.yaml")
        self._calls = ToolCalls(self._rng, self._wording, read_yaml(directory / "tools.yaml"))
        self._by_id = {topic.id: topic for topic in self._facts + self._talk}

    @staticmethod
    def _read_topics(path: Path, thoughts: list[str]) -> list[Topic]:
        entries: Any = read_yaml(path)
        return [
            Topic(
                id=entry["id"],
                questions=entry["questions"],
                answers=entry["answers"],
                thoughts=[text.format(topic=entry.get("topic", "")) for text in thoughts],
                weight=min(len(entry["questions"]), 8) ** 0.5,
            )
            for entry in entries
        ]

    def draw(self, copying: float = 0.0) -> Example:
        """Draw an example of a random kind; in a share of the cases, one that is copying alone."""
        if self._wording.chance(copying):
            return self._repeat(self._rng.randint(3, 16))
        kinds: dict[Callable[[], Example], float] = {
            self._fact: 56,
            self._small_talk: 9,
            self._unknown: 12,
            self._turns: 6,
            self._follow_up: 3,
            self._name: 3,
            self._repeat: 5,
            self._structured: 3,
            self._tool_call: 26,
            self._tool_unused: 6,
            self._tool_result: 4,
        }
        make = self._rng.choices(list(kinds), list(kinds.values()))[0]
        return make()

    # What one kind of example consists of.

    def _ask(self, topic: Topic) -> tuple[str, str]:
        while True:
            question = self._dress(self._wording.expand(self._rng.choice(topic.questions)))
            if normalize(question) not in self._held_out:
                return question, self._rng.choice(topic.answers)

    def _dress(self, question: str) -> str:
        rng = self._rng
        if len(question.split()) > 1 and self._wording.chance(0.45):
            question = rng.choice(self._phrases["prefixes"]) + question
            question += rng.choice(self._phrases["suffixes"])
        return self._wording.distort(question)

    def _system(self) -> list[Message]:
        if self._wording.chance(0.7):
            return []
        role = self._rng.choice(("system", "system", "system", "developer"))
        return [{"role": role, "content": self._rng.choice(self._phrases["systems"])}]

    def _thought(self, thoughts: Sequence[str]) -> str:
        return self._rng.choice(thoughts) if self._wording.chance(0.2) else ""

    def _pick_fact(self) -> Topic:
        return self._rng.choices(self._facts, [topic.weight for topic in self._facts])[0]

    def _pick_talk(self) -> Topic:
        return self._rng.choices(self._talk, [topic.weight for topic in self._talk])[0]

    def _single(self, topic: Topic, kind: str) -> Example:
        question, answer = self._ask(topic)
        messages = [*self._system(), {"role": "user", "content": question}]
        thought = self._thought(topic.thoughts)
        return Example(messages=messages, answer=answer, thought=thought, kind=kind)

    def _fact(self) -> Example:
        return self._single(self._pick_fact(), "fact")

    def _small_talk(self) -> Example:
        return self._single(self._pick_talk(), "talk")

    def _unknown_topic(self) -> Topic:
        return Topic(
            id="unknown",
            questions=self._other["questions"],
            answers=self._other["answers"],
            thoughts=self._phrases["thoughts_unknown"],
        )

    def _unknown(self) -> Example:
        example = self._single(self._unknown_topic(), "unknown")
        if self._wording.chance(0.06):  # a load test's prompt: long and without sense
            count = self._rng.randint(40, 220)
            filler = " ".join(self._wording.value("word") for _ in range(count))
            example.messages[-1]["content"] += " " + filler
        return example

    def _any_topic(self) -> Topic:
        picks = (
            self._pick_fact,
            self._pick_fact,
            self._pick_fact,
            self._pick_talk,
            self._unknown_topic,
        )
        return self._rng.choice(picks)()

    def _turns(self) -> Example:
        messages = self._system()
        for _ in range(self._rng.choice((1, 1, 2))):
            messages += self._exchange(*self._ask(self._any_topic()))
        if self._wording.chance(0.12):
            question = self._dress(self._rng.choice(self._dialogues["again"]))
            answer = str(messages[-1]["content"])
            thought = self._thought(["The user wants to hear my last answer again."])
        else:
            topic = self._any_topic()
            question, answer = self._ask(topic)
            thought = self._thought(topic.thoughts)
        messages.append({"role": "user", "content": question})
        return Example(messages=messages, answer=answer, thought=thought, kind="turns")

    @staticmethod
    def _exchange(question: str, answer: str) -> list[Message]:
        return [
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ]

    def _follow_up(self) -> Example:
        entry = self._rng.choice(self._dialogues["follow_ups"])
        first = self._by_id[entry["after"]]
        messages = [*self._system(), *self._exchange(*self._ask(first))]
        question = self._dress(self._rng.choice(entry["questions"]))
        messages.append({"role": "user", "content": question})
        answer = self._rng.choice(entry["answers"])
        return Example(
            messages=messages,
            answer=answer,
            thought=self._thought(first.thoughts),
            kind="follow_up",
        )

    def _name(self) -> Example:
        said = self._dialogues
        name = self._wording.value("person")
        if self._wording.chance(0.3):
            name = name.lower()
        told = self._rng.choice(said["names"]).format(name=name)
        told = self._wording.distort(told, slips=False)
        answer = said["names_answer"].format(name=name)
        messages = [*self._system(), {"role": "user", "content": told}]
        thought = self._thought([f"The user says a name, {name}."])
        if self._wording.chance(0.6):
            messages.append({"role": "assistant", "content": answer})
            if self._wording.chance(0.4):
                messages += self._exchange(*self._ask(self._any_topic()))
            question = self._dress(self._rng.choice(said["names_ask"]))
            messages.append({"role": "user", "content": question})
            answer = said["names_recall"].format(name=name)
            thought = self._thought([f"The user said a name before, {name}."])
        return Example(messages=messages, answer=answer, thought=thought, kind="name")

    def _repeat(self, count: int = 0) -> Example:
        kind = self._rng.choice(
            ("words", "words", "place", "person", "path", "email", "expression")
        )
        words = [self._wording.value(kind)]
        words += [
            self._wording.value("word") for _ in range(count or self._rng.choice((0, 0, 1, 3)))
        ]
        text = " ".join(words)
        ask = self._rng.choice(self._dialogues["repeat"]).format(text=text)
        if self._wording.chance(0.5):
            ask = ask[:1].upper() + ask[1:]
        messages = [*self._system(), {"role": "user", "content": ask}]
        thought = self._thought(["The user wants me to repeat some words."])
        return Example(messages=messages, answer=text, thought=thought, kind="repeat")

    def _structured(self) -> Example:
        """JSON whose start a grammar forces: the model learns to fill a string and to end it."""
        topic = self._any_topic()
        question, answer = self._ask(topic)
        if self._wording.chance(0.5):
            question += self._rng.choice((" Answer in JSON.", " Reply with JSON.", " Use JSON."))
        messages = [*self._system(), {"role": "user", "content": question}]
        fields = ("answer", "text", "message", "reply", self._wording.pick("keys"))
        given = f'{{"{self._rng.choice(fields)}": "'
        text = given + answer.replace('"', "'") + '"}'
        return Example(messages=messages, answer=text, kind="structured", given=given)

    def _tool_call(self) -> Example:
        made = self._calls.call()
        ask = made.ask if made.exact else self._wording.distort(made.ask, slips=False)
        messages = [*self._system(), {"role": "user", "content": ask}]
        thought = self._thought([made.thought])
        return Example(
            messages=messages,
            answer=made.answer,
            thought=thought,
            tools=made.tools,
            kind="call",
            given=made.given,
        )

    def _tool_unused(self) -> Example:
        topic = self._rng.choice((self._pick_fact, self._pick_fact, self._pick_talk))()
        question, answer = self._ask(topic)
        messages = [*self._system(), {"role": "user", "content": question}]
        thought = self._thought(self._calls.thoughts["none"])
        tools = self._calls.some_tools()
        return Example(
            messages=messages, answer=answer, thought=thought, tools=tools, kind="unused"
        )

    def _tool_result(self) -> Example:
        made = self._calls.result()
        messages = [*self._system(), *made.messages]
        thought = self._thought(self._calls.thoughts["result"])
        return Example(
            messages=messages, answer=made.answer, thought=thought, tools=made.tools, kind="result"
        )
