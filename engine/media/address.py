"""Which addresses are the public internet's, and so anybody's to ask for."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def _networks(*names: str) -> tuple[Network, ...]:
    return tuple(ip_network(name) for name in names)


# Who answers here gives credentials away, or is another address in disguise: no setting opens them.
_NEVER = _networks(
    "169.254.169.254/32", "169.254.170.2/32", "169.254.170.23/32",  # AWS, Azure, GCP; ECS; EKS
    "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32",     # Alibaba, Azure, Oracle
    "fd00:ec2::/32", "fd20:ce::254/128",                            # AWS, GCP
    "0.0.0.0/8", "::/128",                                          # this host
    "::/96", "::ffff:0:0/96", "::ffff:0:0:0/96",                    # IPv4 within IPv6, in each of
    "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32",     # the ways there are
)  # fmt: skip
# https://www.iana.org/assignments/iana-ipv4-special-registry and the registry of IPv6. The standard
# library's `is_global` is wrong about some of them before Python 3.11.10 (CVE-2024-4032).
_SPECIAL = _networks(
    "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    "2001::/23", "2001:db8::/32", "3fff::/20",
)  # fmt: skip
# All that is given out of IPv6: loopback, link-local, unique local and multicast are outside.
_GIVEN_OUT = IPv6Network("2000::/3")


def may_be_asked(address: Address, private: tuple[Network, ...]) -> bool:
    """Whether it is public, or in one of the `private` networks that the operator has named."""
    if any(address in network for network in _NEVER):
        return False
    if any(address in network for network in private):
        return True
    if isinstance(address, IPv6Address) and address not in _GIVEN_OUT:
        return False
    return not any(address in network for network in _SPECIAL)
