"""Public addresses, and all the ways in which one is not."""

from ipaddress import ip_address, ip_network

import pytest

from engine.media.address import may_be_asked


@pytest.mark.parametrize("text", ["8.8.8.8", "193.0.6.139", "2606:4700::1111", "2a00::1"])
def test_a_public_address_may_be_asked(text: str) -> None:
    assert may_be_asked(ip_address(text), ())


PRIVATE = {
    "this host": "0.0.0.0",  # noqa: S104
    "this network": "0.1.2.3",
    "loopback": "127.0.0.1",
    "all of loopback": "127.255.255.254",
    "private 10": "10.0.0.1",
    "private 172.16": "172.31.255.255",
    "private 192.168": "192.168.1.1",
    "carrier": "100.64.0.1",
    "link-local": "169.254.1.1",
    "metadata": "169.254.169.254",
    "metadata of ECS": "169.254.170.2",
    "metadata of Alibaba": "100.100.100.200",
    "metadata of Oracle": "192.0.0.192",
    "Azure's own": "168.63.129.16",
    "benchmarks": "198.18.0.1",
    "documentation": "203.0.113.9",
    "relay": "192.88.99.1",
    "multicast": "224.0.0.1",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "unspecified v6": "::",
    "loopback v6": "::1",
    "unique local": "fc00::1",
    "metadata v6": "fd00:ec2::254",
    "link-local v6": "fe80::1",
    "link-local v6 with a zone": "fe80::1%eth0",
    "site-local": "fec0::1",
    "multicast v6": "ff02::1",
    "documentation v6": "2001:db8::1",
    "newer documentation v6": "3fff::1",
    "mapped": "::ffff:10.0.0.1",
    "mapped public": "::ffff:8.8.8.8",
    "compatible": "::10.0.0.1",
    "translated": "::ffff:0:10.0.0.1",
    "NAT64": "64:ff9b::10.0.0.1",
    "local NAT64": "64:ff9b:1::10.0.0.1",
    "6to4": "2002:0a00:0001::1",
    "Teredo": "2001:0:a00:1::1",
    "ORCHID": "2001:20::1",
    "not given out": "4000::1",
}


@pytest.mark.parametrize("text", PRIVATE.values(), ids=PRIVATE)
def test_any_other_may_not(text: str) -> None:
    assert not may_be_asked(ip_address(text), ())


def test_a_network_that_is_named_is_open_and_no_other() -> None:
    networks = (ip_network("10.1.0.0/16"), ip_network("fd12::/64"))
    assert may_be_asked(ip_address("10.1.2.3"), networks)
    assert may_be_asked(ip_address("fd12::9"), networks)
    assert not may_be_asked(ip_address("10.2.0.1"), networks)
    assert not may_be_asked(ip_address("fd13::9"), networks)


@pytest.mark.parametrize(
    "text",
    ["169.254.169.254", "168.63.129.16", "fd00:ec2::254", "::ffff:169.254.169.254", "0.0.0.0"],  # noqa: S104
)
def test_no_setting_opens_the_way_to_credentials(text: str) -> None:
    everything = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    assert not may_be_asked(ip_address(text), everything)
