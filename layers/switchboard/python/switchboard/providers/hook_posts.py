"""Posts to callers' addresses: resolves a name, checks all of its addresses, and connects to a checked one.

One deadline bounds name resolution, connecting, TLS, writing and the head of the answer. The body of an answer is not
read. No redirect is followed, no proxy is used, and nothing is repeated. Errors never quote the URL or the answer.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final, Literal, cast

import requests

from switchboard.domain.errors import (
    HookAddressRefusedError,
    HookAnsweredError,
    HookGoneError,
    HookTimedOutError,
    HookUnreachedError,
)
from switchboard.domain.subscription.addresses import HookUrl, is_loopback, is_public, parse_hook_url
from switchboard.domain.subscription.subscriptions import MAX_RETRY_AFTER
from switchboard.providers.http_adapter import FAILURES, OneConnectionAdapter, PlainSession

DEADLINE_S: Final = 15.0
_RESOLVE_S: Final = 5.0
_CONNECT_S: Final = 4.0
"""The bound of connecting, and once more of the TLS handshake."""

Resolve = Callable[[str], Sequence[str]]


def resolve_name(host: str) -> Sequence[str]:
    """Return all addresses of a name, IPv4 first.

    Raises:
        OSError: the name has none, or its servers do not answer.
    """
    found = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(entry[4][0]) for entry in sorted(found, key=lambda entry: entry[0])))


class HookPosts:
    """A HookPoster over the network.

    `own_hosts` are this deployment's own names. `allow_loopback` is True only in the sandbox. `tls_context` replaces
    the system's certificate authorities.
    """

    def __init__(
        self,
        *,
        own_hosts: Sequence[str] = (),
        allow_loopback: bool = False,
        resolve: Resolve = resolve_name,
        deadline_s: float = DEADLINE_S,
        tls_context: ssl.SSLContext | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._own_hosts = own_hosts
        self._allow_loopback = allow_loopback
        self._resolve = resolve
        self._deadline_s = deadline_s
        self._tls_context = tls_context
        self._monotonic = monotonic

    def check(self, url: str) -> None:
        self._find_address(self._parse(url), time_left_s=min(_RESOLVE_S, self._deadline_s))

    def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> None:
        deadline = self._monotonic() + self._deadline_s
        parts = self._parse(url)
        address = self._find_address(parts, time_left_s=min(_RESOLVE_S, self._deadline_s))
        connect_s = min(_CONNECT_S, (deadline - self._monotonic()) / 2)
        if connect_s <= 0:
            raise HookTimedOutError("no answer within the deadline")
        adapter = OneConnectionAdapter(
            scheme=cast("Literal['http', 'https']", parts.scheme),
            host=address,
            port=parts.port,
            connect_timeout_s=connect_s,
            read_timeout_s=self._deadline_s,
            idle_limit_s=self._deadline_s,
            tls_context=self._tls_context,
            monotonic=self._monotonic,
            server_name=parts.host,
        )
        try:
            status, retry_after = self._exchange(adapter, parts, body, headers, deadline)
        except TimeoutError:
            raise HookTimedOutError("no answer within the deadline") from None
        except FAILURES as error:
            if isinstance(error, requests.Timeout) or self._monotonic() >= deadline:
                raise HookTimedOutError("no answer within the deadline") from None
            raise HookUnreachedError(f"no readable answer ({type(error).__name__})") from None
        finally:
            adapter.close()
        if not 200 <= status < 300:
            raise HookGoneError(status) if status == 410 else HookAnsweredError(status, retry_after_s=retry_after)

    def _exchange(
        self,
        adapter: OneConnectionAdapter,
        parts: HookUrl,
        body: bytes,
        headers: Mapping[str, str],
        deadline: float,
    ) -> tuple[int, float | None]:
        """Return the status of the answer and the pause that it asks for, without reading its body."""
        adapter.open(idle_s=self._deadline_s)
        origin = f"{parts.scheme}://{parts.host}"
        with PlainSession() as session:
            session.mount(f"{origin}/", adapter)
            host = parts.host if parts.scheme == "https" else f"{parts.host}:{parts.port}"
            request = requests.Request("POST", origin, headers={**headers, "Host": host}, data=body)
            prepared = session.prepare_request(request)
            prepared.url = f"{origin}{parts.target}"  # unchanged: requests would normalise it
            timeout_s = deadline - self._monotonic()
            answer = session.send(prepared, timeout=timeout_s, stream=True, allow_redirects=False)
            return answer.status_code, _read_retry_after(answer.headers.get("Retry-After"))

    def _parse(self, url: str) -> HookUrl:
        return parse_hook_url(url, own_hosts=self._own_hosts, allow_loopback=self._allow_loopback)

    def _find_address(self, parts: HookUrl, *, time_left_s: float) -> str:
        """Resolve the name once, and return an address after all of them have been checked.

        Raises:
            HookError: the name has no address, or one of its addresses is refused.
        """
        if parts.scheme == "http":  # parse_hook_url admits only this machine
            return parts.host
        results: SimpleQueue[Sequence[str] | OSError] = SimpleQueue()
        # The resolver knows no deadline. A thread that is still waiting ends by itself.
        Thread(target=_resolve_into, args=(self._resolve, parts.host, results), daemon=True).start()
        try:
            addresses = results.get(timeout=time_left_s)
        except Empty:
            raise HookTimedOutError("its name was not resolved in time") from None
        if isinstance(addresses, OSError) or not addresses:
            raise HookUnreachedError("its name has no address")
        allowed = [
            address for address in addresses if is_public(address) or (self._allow_loopback and is_loopback(address))
        ]
        if len(allowed) < len(addresses):
            raise HookAddressRefusedError("must have a public address, and no other")
        return allowed[0]


def _resolve_into(resolve: Resolve, host: str, results: SimpleQueue[Sequence[str] | OSError]) -> None:
    try:
        results.put(resolve(host))
    except (OSError, UnicodeError) as error:
        results.put(error if isinstance(error, OSError) else OSError())


def _read_retry_after(value: str | None) -> float | None:
    """Read whole seconds, at most a day. A date, or anything else, is ignored."""
    if value is None or not (value.isascii() and value.isdigit()):
        return None
    return min(float(value), MAX_RETRY_AFTER.total_seconds())
