"""What AWS_PROFILE means: obstore knows the variables of AWS, but not its configuration files."""

import configparser
from collections.abc import Mapping
from pathlib import Path

from profiles.errors import Cause, SourceError

# Names in the files → names in obstore's configuration.
_KEYS = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
    "region": "region",
    "endpoint_url": "endpoint",
}


def from_profile(environment: Mapping[str, str]) -> dict[str, str]:
    """The named profile's static keys, region and endpoint; nothing without AWS_PROFILE.

    Raises:
        SourceError: there is no such profile, or no key in it.
    """
    profile = environment.get("AWS_PROFILE")
    if not profile:
        return {}
    home = Path(environment.get("HOME") or "/") / ".aws"
    paths = (
        Path(environment.get("AWS_CONFIG_FILE") or home / "config"),
        Path(environment.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials"),
    )
    found: dict[str, str] = {}
    for path in paths:
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            # Its text may hold keys, so the parser's message is left out.
            raise SourceError(f"{path} is not a file of AWS profiles", Cause.BROKEN) from None
        for section in (profile, f"profile {profile}"):
            if parser.has_section(section):
                found |= {_KEYS[k]: v for k, v in parser.items(section) if k in _KEYS}
    if "access_key_id" not in found:
        raise SourceError(
            f"AWS_PROFILE is {profile!r}, and neither {paths[0]} nor {paths[1]} has static keys "
            "under that name: mount them, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            Cause.REFUSED,
        )
    return found
