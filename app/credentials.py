"""Checks the source's credentials while serving, so that one that expires is seen in time.

A server needs them again only at its next start, which is when nobody wants to learn about it.
"""

import asyncio
import logging

from app.observability.metrics import observe_credential
from app.plan import Plan

log = logging.getLogger(__name__)


async def watch_credentials(plan: Plan) -> None:
    """Check now and at every interval; never returns, never raises."""
    settings = plan.resolved.settings
    if plan.is_local or settings.disable_model_download:
        return
    while True:
        await asyncio.to_thread(_check, plan)
        await asyncio.sleep(settings.credential_check_interval_s)


def _check(plan: Plan) -> None:
    """Ask the source, which has deadlines of its own, and tell what it says."""
    # In this thread: clients of sources take 0.3 s to import.
    from profiles.credentials import Status, check  # noqa: PLC0415

    found = check(plan.source, plan.resolved.access)
    if found.status is Status.UNREACHABLE:
        log.warning("credentials.unknown", extra={"reason": found.sentence})
        return
    is_valid = found.status in (Status.OK, Status.NONE)
    observe_credential(is_valid, found.expires_at.timestamp() if found.expires_at else 0.0)
    if not is_valid:
        reason = f"{found.sentence}; the next start needs them"
        log.warning("credentials.refused", extra={"status": found.status, "reason": reason})
