"""Decide which addresses of receivers are acceptable: a URL by its form, an IP address by IANA's special registries.

`ipaddress.is_global` differs between Python's versions and admits special addresses. So their rows stand here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from switchboard.domain.errors import HookAddressRefusedError

_SPECIAL_V4: Final = tuple(
    ipaddress.IPv4Network(block)
    for block in (
        # IANA IPv4 Special-Purpose Address Registry
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "240.0.0.0/4",
        # Multicast
        "224.0.0.0/4",
    )
)
_UNICAST_V6: Final = ipaddress.IPv6Network("2000::/3")
"""The only IPv6 block from which IANA gives addresses to hosts. All special blocks outside it need no row."""
_SPECIAL_V6: Final = tuple(
    ipaddress.IPv6Network(block)
    for block in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
_LOOPBACK_V4: Final = ipaddress.IPv4Network("127.0.0.0/8")

_LABEL: Final = r"[0-9a-z](?:[0-9a-z_-]{0,61}[0-9a-z])?"
_NAME: Final = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}")
_NUMERIC_END: Final = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)")
_TARGET: Final = re.compile(r"[\x21-\x7e]*")
MAX_URL_LENGTH: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class HookUrl:
    """A receiver's URL, split. `target` is the encoded path and query."""

    scheme: str
    host: str
    port: int
    target: str


def parse_hook_url(url: str, *, own_hosts: Iterable[str] = (), allow_loopback: bool = False) -> HookUrl:
    """Read a receiver's URL: https on port 443, a dotted name that is no number, and not a host of ours.

    Args:
        url: the URL as the caller registered it.
        own_hosts: names of this deployment's own API.
        allow_loopback: True in the sandbox: `http://127.0.0.1` with any port is accepted as well.

    Raises:
        HookAddressRefusedError: the URL is another one. The text says what is wrong with it.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise HookAddressRefusedError("is no URL") from None
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if len(url) > MAX_URL_LENGTH or not _TARGET.fullmatch(url):
        raise HookAddressRefusedError(f"must be at most {MAX_URL_LENGTH} visible ASCII characters")
    if "@" in parts.netloc or "#" in url or "\\" in url:
        raise HookAddressRefusedError("must have no user, no fragment and no backslash")
    if allow_loopback and parts.scheme == "http" and host == "127.0.0.1":
        return HookUrl(scheme="http", host=host, port=port or 80, target=target)
    if parts.scheme != "https" or port not in {None, 443}:
        raise HookAddressRefusedError("must be https on port 443")
    name = host.removesuffix(".")
    if len(name) > 253 or not _NAME.fullmatch(name) or _NUMERIC_END.fullmatch(name.rpartition(".")[2]):
        raise HookAddressRefusedError("must have a host name with a dot, and no number in its place")
    if name in {own.lower().removesuffix(".") for own in own_hosts}:
        raise HookAddressRefusedError("must not be an address of this API")
    return HookUrl(scheme="https", host=name, port=443, target=target)


def is_public(address: str) -> bool:
    """Return whether an IP address is in none of IANA's special blocks. A text that is no address is not."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in block for block in _SPECIAL_V4)
    return parsed in _UNICAST_V6 and not any(parsed in block for block in _SPECIAL_V6)


def is_loopback(address: str) -> bool:
    """Return whether an IP address is this machine's own, in IPv4."""
    try:
        return ipaddress.IPv4Address(address) in _LOOPBACK_V4
    except ValueError:
        return False
