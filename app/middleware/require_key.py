"""Lets in whoever has a key, as far as it reaches; probes need none."""

import math
from functools import partial

from starlette.types import ASGIApp, Receive, Scope, Send

from app.budget import Budget
from app.errors import ForbiddenError, RateLimitedError, UnauthorizedError, response_to
from app.health import PROBES
from app.keys import ADMIN, Holder, KeyRing
from app.observability.metrics import observe_key
from app.reply import reply_to
from engine import EngineError
from engine.account import Account, account

_BEARER = b"bearer "


class RequireKey:
    """Everything but probes needs a key, also what does not exist: nobody can explore."""

    def __init__(self, app: ASGIApp, keys: KeyRing) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request that may come in, and book what it has cost; answer any other."""
        if scope["method"] in ("GET", "HEAD") and scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        try:
            holder = self._admit(scope)
        except EngineError as error:
            await response_to(error, scope)(scope, receive, send)
            return
        scope["state"]["key"] = holder.name
        mine = account.get(Account())
        mine.holder = holder.name
        mine.cache_salt = holder.cache_salt
        if holder.requests is not None:
            holder.requests.spend(1)
        if holder.requests is not None or holder.tokens is not None:
            # With what is left of the budgets when the answer begins.
            reply_to(scope).add_by(partial(_told, holder))
        try:
            await self._app(scope, receive, send)
        finally:
            spent = mine.read()
            if holder.tokens is not None:
                holder.tokens.spend(spent.prompt_tokens + spent.output_tokens)
            observe_key(holder.name, spent)

    def _admit(self, scope: Scope) -> Holder:
        holder = self._keys.holder(_secret(scope))
        if holder is None:
            raise UnauthorizedError("This key is not known here.")
        if holder.has_expired:
            raise UnauthorizedError("This key has expired.")
        if scope["path"] in ADMIN and not holder.key.admin:
            raise ForbiddenError("This key may not change the server.")
        for what, budget in _budgets(holder).items():
            if (wait_s := budget.wait_s()) > 0:
                raise RateLimitedError(
                    f"This key may use {budget.per_minute} {what} per minute.",
                    _headers(holder),
                    math.ceil(wait_s),
                )
        return holder


def _secret(scope: Scope) -> bytes:
    """The key that was sent; there may be one only, or somebody in between might read another."""
    found: set[bytes] = {value for name, value in scope["headers"] if name == b"x-api-key"}
    for name, value in scope["headers"]:
        if name == b"authorization":
            if value[: len(_BEARER)].lower() != _BEARER:
                raise UnauthorizedError("Send the key as 'Authorization: Bearer KEY'.")
            found.add(value[len(_BEARER) :].strip())
    if not found:
        raise UnauthorizedError(
            "Send a key as 'Authorization: Bearer KEY', or as 'x-api-key: KEY'."
        )
    if len(found) > 1:
        raise UnauthorizedError("Send one key.")
    return found.pop()


def _budgets(holder: Holder) -> dict[str, Budget]:
    named = {"requests": holder.requests, "tokens": holder.tokens}
    return {name: budget for name, budget in named.items() if budget is not None}


def _headers(holder: Holder) -> dict[str, str]:
    """OpenAI's: https://platform.openai.com/docs/guides/rate-limits."""
    found = {}
    for name, budget in _budgets(holder).items():
        found[f"x-ratelimit-limit-{name}"] = str(budget.per_minute)
        found[f"x-ratelimit-remaining-{name}"] = str(budget.left)
        found[f"x-ratelimit-reset-{name}"] = f"{budget.full_in_s:.3f}s"
    return found


def _told(holder: Holder) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in _headers(holder).items()]
