"""Leaves the cause of a failure where people look for it."""

import contextlib
import logging
from pathlib import Path

from app.exit_codes import ExitCode

log = logging.getLogger(__name__)


def report(code: ExitCode, reason: str, termination_log: Path) -> None:
    """Log why the process ends, and write it to Kubernetes' termination log if there is one."""
    log.critical("process.failed", extra={"code": int(code), "cause": code.name, "reason": reason})
    with contextlib.suppress(OSError):
        if termination_log.exists():
            termination_log.write_text(f"{code.name} (exit code {int(code)}): {reason}\n")
