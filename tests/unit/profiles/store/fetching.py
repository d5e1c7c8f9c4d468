"""A process of its own: fetches `org/demo` from the hub argv[1] into the cache argv[2].

With a user's number in argv[3], as that user.
"""

import logging
import os
import sys
import tempfile
from pathlib import Path

from profiles.download import fetch
from profiles.errors import ModelNotAvailableError
from profiles.source import HubModel

DEMO = HubModel("org/demo")


def become(user: int, endpoint: str) -> None:
    # Whatever is imported on the way may lie where only root can read it.
    with tempfile.TemporaryDirectory() as scratch:
        fetch(DEMO, cache=Path(scratch), endpoint=endpoint)
    os.setgroups([])
    os.setegid(user)
    os.seteuid(user)


logging.basicConfig(level="INFO", force=True)
logging.getLogger().handlers[0].setFormatter(
    logging.Formatter("%(message)s %(holder)s", defaults={"holder": ""})
)
if len(sys.argv) > 3:
    become(int(sys.argv[3]), sys.argv[1])
try:
    print(fetch(DEMO, cache=Path(sys.argv[2]), endpoint=sys.argv[1]))  # noqa: T201
except ModelNotAvailableError as error:
    sys.exit(f"exit 4: {error}")
