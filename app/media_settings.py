"""The settings for images, audio and video; a part of `app.settings.Settings`."""

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from pydantic import BaseModel, BeforeValidator

from app.setting import by_commas, setting


class MediaSettings(BaseModel):
    """What requests may bring, and where it is fetched from."""

    max_images_per_prompt: int | None = setting(
        None, "NIM_MAX_IMAGES_PER_PROMPT", ge=0, description="Images that one request may have."
    )
    media_fetch: bool = setting(
        True, "UNIGATE_MEDIA_FETCH",
        description="Fetch images, audio and video that requests name by URL; `data:` URLs are "
        "always taken.",
    )  # fmt: skip
    media_hosts: Annotated[tuple[str, ...], BeforeValidator(by_commas)] = setting(
        (), "UNIGATE_MEDIA_HOSTS",
        description="The only hosts to fetch from, separated by commas; `*.example.com` is all "
        "below it. Without it, every public host.",
    )  # fmt: skip
    media_allow_http: bool = setting(
        False, "UNIGATE_MEDIA_ALLOW_HTTP", description="Fetch `http:` URLs, too, not `https:` only."
    )
    media_private_networks: Annotated[
        tuple[IPv4Network | IPv6Network, ...], BeforeValidator(by_commas)
    ] = setting(
        (), "UNIGATE_MEDIA_PRIVATE_NETWORKS",
        description="Networks that are not public and may be fetched from, such as `10.1.0.0/16`, "
        "separated by commas.",
    )  # fmt: skip
    media_connect_timeout_s: float = setting(
        5.0, "UNIGATE_MEDIA_CONNECT_TIMEOUT_S", gt=0,
        description="Longest time to connect to such a host.",
    )  # fmt: skip
    media_timeout_s: float = setting(
        20.0, "UNIGATE_MEDIA_TIMEOUT_S", gt=0,
        description="Longest time for all that a request names to arrive.",
    )  # fmt: skip
    media_mib: int = setting(
        32, "UNIGATE_MEDIA_MIB", gt=0,
        description="Largest image, audio or video file of a chat.",
    )  # fmt: skip
    media_request_mib: int = setting(
        128, "UNIGATE_MEDIA_REQUEST_MIB", gt=0, description="All such files of a request together."
    )
    image_megapixels: float = setting(
        64.0, "UNIGATE_IMAGE_MEGAPIXELS", gt=0, le=178,
        description="Largest image, in millions of pixels.",
    )  # fmt: skip
    image_request_megapixels: float = setting(
        256.0, "UNIGATE_IMAGE_REQUEST_MEGAPIXELS", gt=0,
        description="All images of a request together.",
    )  # fmt: skip
