"""URLs, read once and strictly."""

import pytest

from engine.errors import InvalidRequestError
from engine.media.location import locate

READ = {
    "https://example.com": ("example.com", 443, "/", "example.com"),
    "HTTPS://Example.COM./a/b.png?w=1&h=2#top": (
        "example.com", 443, "/a/b.png?w=1&h=2", "example.com",
    ),
    "https://example.com:8443/a%20b/ü?q=ü": (
        "example.com", 8443, "/a%20b/%C3%BC?q=%C3%BC", "example.com:8443",
    ),
    "http://example.com:80/x": ("example.com", 80, "/x", "example.com"),
    "https://93.184.216.34/x": ("93.184.216.34", 443, "/x", "93.184.216.34"),
    "https://[2606:4700::1111]:444/x": ("2606:4700::1111", 444, "/x", "[2606:4700::1111]:444"),
    "https://my_bucket.s3-eu.example.com/x": (
        "my_bucket.s3-eu.example.com", 443, "/x", "my_bucket.s3-eu.example.com",
    ),
    "https://xn--bcher-kva.example/": ("xn--bcher-kva.example", 443, "/", "xn--bcher-kva.example"),
}  # fmt: skip


@pytest.mark.parametrize("url", READ)
def test_a_url_has_one_reading(url: str) -> None:
    location = locate(url)
    host, port, target, authority = READ[url]
    assert (location.host, location.port, location.target) == (host, port, target)
    assert location.authority == authority


REFUSED = {
    "file": "file:///etc/passwd",
    "ftp": "ftp://example.com/x",
    "gopher": "gopher://example.com/x",
    "javascript": "javascript:alert(1)",
    "nothing": "",
    "no scheme": "example.com/x",
    "relative": "//example.com/x",
    "no host": "https:///x",
    "only a port": "https://:443/x",
    "user": "https://user@example.com/",
    "user and password": "https://a:b@example.com/",
    "another host behind an at": "https://example.com@169.254.169.254/",
    "backslash": "https://example.com\\@169.254.169.254/",
    "backslash in front": "https:\\\\169.254.169.254/",
    "tab": "https://exam\tple.com/",
    "line break": "https://example.com/\r\nHost: internal",
    "line break in front": "\nhttps://example.com/",
    "space": "https://example.com /x",
    "null": "https://example.com/\x00",
    "decimal host": "https://2130706433/",
    "octal host": "https://0177.0.0.1/",
    "hexadecimal host": "https://0x7f000001/",
    "hexadecimal part": "https://127.0.0.0x1/",
    "short host": "https://127.1/",
    "leading zero": "https://127.0.0.01/",
    "five parts": "https://1.2.3.4.5/",
    "number as the last label": "https://example.1/",
    "full-width digits": "https://\uff11\uff12\uff17.\uff10.\uff10.\uff11/",
    "ideographic dots": "https://127\u30020\u30020\u30021/",
    "circled letters": "https://\u24dbocalhost/",
    "percent in the host": "https://127.0.0.1%2f.example.com/",
    "zone": "https://[fe80::1%25eth0]/",
    "open bracket": "https://[::1/",
    "text behind the bracket": "https://[::1]example.com/",
    "future address": "https://[v1.fe80]/",
    "bad v6": "https://[12345::]/",
    "port zero": "https://example.com:0/",
    "port too high": "https://example.com:65536/",
    "port of letters": "https://example.com:https/",
    "port of full-width digits": "https://example.com:\uff14\uff14\uff13/",
    "two ports": "https://example.com:1:2/",
    "empty label": "https://example..com/",
    "dash in front": "https://-example.com/",
    "long name": f"https://{'a.' * 130}com/",
    "long label": f"https://{'a' * 64}.com/",
    "long": "https://example.com/" + "a" * 9000,
}


@pytest.mark.parametrize("url", REFUSED.values(), ids=REFUSED)
def test_what_could_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        locate(url)
    assert str(caught.value)
    assert "169.254" not in str(caught.value)
