"""Counts the tokens of prompts that the engine has been handed and has not read yet."""


class Unread:
    """What lies between being handed over and the engine's first output, or the end."""

    def __init__(self) -> None:
        self.tokens = 0
        """All of them together."""

        self._of: dict[str, int] = {}

    def add(self, request_id: str, tokens: int) -> None:
        """The engine has been handed a prompt."""
        self._of[request_id] = tokens
        self.tokens += tokens

    def remove(self, request_id: str) -> None:
        """It has read it, or will not; of any other there is nothing to do."""
        self.tokens -= self._of.pop(request_id, 0)
