"""What the process leaves behind on disk, and for whom."""

import os
import resource


def forbid_core_dumps() -> None:
    """Leave none, of the engine's processes either: prompts would be in it, and keys."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def share_with_group() -> None:
    """Let others of group 0 use what is written, where users change with each start.

    OpenShift gives a container any user id, and the group 0; the next one has to be able to use
    the model store: https://docs.openshift.com/container-platform/latest/openshift_images/create-images.html
    """
    if os.getuid() != 0 and os.getgid() == 0:
        os.umask(0o002)
