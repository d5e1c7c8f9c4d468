"""How many files and connections the process may have open."""

import resource

# A client is one; what is above costs nothing, but programs that close every file that might be
# open take long where there is no end of them.
_ENOUGH = 65_536


def raise_file_limit() -> None:
    """Take what the system grants beyond the usual 1024, at which a busy server would refuse."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    granted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < granted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (granted, hard))
