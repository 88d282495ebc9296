"""The address rule: every block of IANA's special-purpose registries is refused, and so is every unusual URL. (I35)"""

from __future__ import annotations

import csv
import ipaddress
from pathlib import Path

import pytest

from switchboard.domain.errors import HookAddressRefusedError
from switchboard.domain.subscription.addresses import HookUrl, is_loopback, is_public, parse_hook_url

_TABLE = Path(__file__).parents[2] / "specs" / "special_addresses.csv"
BLOCKS = [row["block"] for row in csv.DictReader(_TABLE.read_text(encoding="utf-8").splitlines())]


@pytest.mark.parametrize("block", BLOCKS)
def test_every_address_of_a_special_block_is_refused(block: str) -> None:
    network = ipaddress.ip_network(block)
    step = max(1, network.num_addresses // 7)
    inside = {network[0], network[-1], *(network[place] for place in range(0, network.num_addresses, step))}

    assert [str(address) for address in inside if is_public(str(address))] == []


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "198.20.0.0",
        "223.255.255.1",
        "2606:4700:4700::1111",
        "2001:200::1",
        "2400:cb00::1",
        "3ffe::1",
    ],
)
def test_an_address_outside_all_special_blocks_is_accepted(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("text", ["", "localhost", "1.1.1", "0x7f.1", "2130706433", "fe80::1%eth0", "1.1.1.1 "])
def test_a_text_that_is_no_plain_address_is_refused(text: str) -> None:
    assert not is_public(text)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://hooks.example.com", "/"),
        ("https://hooks.example.com:443/a/b?c=d", "/a/b?c=d"),
        ("https://HOOKS.Example.com./%7Ea", "/%7Ea"),
    ],
    ids=["no path", "port, path and query", "upper case and final dot"],
)
def test_an_https_url_with_a_dotted_name_is_accepted(url: str, target: str) -> None:
    assert parse_hook_url(url) == HookUrl(scheme="https", host="hooks.example.com", port=443, target=target)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "https://hooks.example.com:8443/",
        "https://localhost/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.0.0.1/",
        "https://127.1/",
        "https://example.0x7f/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://1.1.1.1/",
        "https://127.0.0.1./",
        "https://0177.0.0.1/",
        "https://017700000001/",
        "https://0x7f000001/",
        "https:///hooks.example.com/",
        "https:hooks.example.com/",
        "https://hooks.example.com:443:443/",
        "https://hooks.example.com:-443/",
        "https://hooks.example.com%40evil.example.com/",
        "https://hooks.example.com%00.evil.example.com/",
        "https://hooks.example.com\t/",
        " https://hooks.example.com/",
        "https://hooks.example.com\r\nHost:127.0.0.1/",
        "https://ｈooks.example.com/",
        "https://hooks。example.com/",
        "https://-hooks.example.com/",
        f"https://{'a' * 64}.example.com/",
        f"https://{'a.' * 126}com/",
        "https://api.example.com./",
        "https://API.EXAMPLE.COM:443/",
        "https://user:secret@hooks.example.com/",
        "https://hooks.example.com/#part",
        "https://hooks.example.com\\@evil.example.com/",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/ä",
        "https://１２７.0.0.1/",
        "https://hooks..example.com/",
        "https://hooks.example.com:port/",
        "https://api.example.com/v1/sms",
        "ftp://hooks.example.com/",
        "//hooks.example.com/",
        "",
        f"https://hooks.example.com/{'a' * 2_000}",
    ],
)
def test_an_unusual_url_or_our_own_is_refused(url: str) -> None:
    with pytest.raises(HookAddressRefusedError):
        parse_hook_url(url, own_hosts=["API.example.com"])


def test_plain_http_to_this_machine_is_accepted_only_in_the_sandbox() -> None:
    url = "http://127.0.0.1:9000/hooks"

    assert parse_hook_url(url, allow_loopback=True).port == 9000
    with pytest.raises(HookAddressRefusedError):
        parse_hook_url(url)
    for other in ("http://127.0.0.2/", "http://10.0.0.1/", "http://localhost/", "http://hooks.example.com/"):
        with pytest.raises(HookAddressRefusedError):
            parse_hook_url(other, allow_loopback=True)


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("10.0.0.1", False), ("::1", False), ("localhost", False)],
)
def test_only_loopback_in_ipv4_is_this_machines_own(address: str, *, expected: bool) -> None:
    assert is_loopback(address) is expected
