"""Ask a recogniser behind HTTP for jobs, and for their states and results (docs/providers/recognizer_http.md)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Protocol

from switchboard.domain.errors import (
    ForbiddenError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RefusedError,
    UnreadableResultError,
)
from switchboard.domain.recording.transcript_facts import FailureReason, Source, TranscriptionAttempt, TranscriptionEnd
from switchboard.domain.recording.transcripts import channels_of
from switchboard.domain.recording.words import ChannelWords
from switchboard.domain.timestamps import to_rfc3339
from switchboard.ports.clock import Clock
from switchboard.ports.transcripts import JobLook, JobState, Media
from switchboard.providers.recognizer_http.results import parse_result
from switchboard.providers.transport import Answer, Connection, parse_endpoint

PROVIDER: Final = "recognizer_http"
_MAX_RESULT_BYTES: Final = 32 * 1024 * 1024
"""A talk of four hours has about 5 MB of words."""
_READ_BYTES: Final = 256 * 1024
_DEADLINE_S: Final = 30.0
_LINK_LIFETIME: Final = timedelta(hours=1)
_STATES: Final = frozenset({JobState.RUNNING, JobState.COMPLETED, JobState.FAILED})
_REASONS: Final = frozenset({FailureReason.MEDIA, FailureReason.NOT_ACCESSIBLE, FailureReason.INTERNAL})
_RETRY_AFTER_S: Final = 60


class AudioLinks(Protocol):
    """The signer of links to audio."""

    def __call__(self, media: Media, *, expires_in: timedelta) -> str:
        """Return an address under which anyone can read the audio until it expires."""
        ...


class RawResultQuarantine(Protocol):
    """The store of results that cannot be read."""

    def __call__(self, job: str, content: bytes, *, at: datetime) -> None:
        """Keep the result of a job for an operator to look at."""
        ...


class HttpRecognizer:
    """A Recognizer over one server of the operator's. It tells nothing by itself: the sweep has it asked.

    `url` is the address before `/jobs/…`. `token` is called before each request, and its errors pass through. A result
    of more than `max_result_bytes` counts as unreadable.
    """

    def __init__(
        self,
        *,
        url: str,
        token: Callable[[], str],
        links: AudioLinks,
        quarantine: RawResultQuarantine,
        clock: Clock,
        allow_plain_http: bool = False,
        max_result_bytes: int = _MAX_RESULT_BYTES,
    ) -> None:
        endpoint = parse_endpoint(url, allow_plain_http=allow_plain_http)
        self._connection = Connection(
            origin=endpoint.origin, provider=PROVIDER, allow_plain_http=allow_plain_http, deadline_s=_DEADLINE_S
        )
        self._path = endpoint.path.rstrip("/")
        self._token = token
        self._links = links
        self._quarantine = quarantine
        self._clock = clock
        self._max_result_bytes = max_result_bytes

    def start(self, attempt: TranscriptionAttempt, media: Media) -> TranscriptionEnd:
        expires_at = self._clock.now() + _LINK_LIFETIME
        request = {
            "language": attempt.language,
            "channels": [channel.value for channel in channels_of(attempt.source)],
            "format": media.format,
            "audio_url": self._links(media, expires_in=_LINK_LIFETIME),
            "audio_url_expires_at": to_rfc3339(expires_at),
        }
        answer = self._exchange("PUT", attempt.job, body=json.dumps(request).encode())
        if answer.status == 201:
            return TranscriptionEnd.STARTED
        if answer.status == 200:
            return TranscriptionEnd.ALREADY_STARTED
        raise _build_error(answer.status, "start")

    def look(self, job: str) -> JobLook:
        answer = self._exchange("GET", job)
        if answer.status == 404:
            return JobLook(state=JobState.NOT_FOUND)
        if answer.status != 200:
            raise _build_error(answer.status, "look")
        try:
            found = json.loads(answer.body)
            state, reason = JobState(found["state"]), found.get("reason")
        except (AttributeError, LookupError, TypeError, ValueError, RecursionError):
            raise _build_error(answer.status, "look") from None
        if state not in _STATES:
            raise _build_error(answer.status, "look")
        if state is not JobState.FAILED:
            return JobLook(state=state)
        # The server's own words are not kept: they could be what was said.
        return JobLook(state=state, reason=FailureReason(reason) if reason in _REASONS else FailureReason.INTERNAL)

    def result(self, job: str, source: Source) -> ChannelWords:
        content = self._read_result(job)
        if content is None:
            raise UnreadableResultError("The result of a completed job is missing")
        if len(content) > self._max_result_bytes:
            raise UnreadableResultError("The result is too large")
        return parse_result(content, channels=channels_of(source))

    def quarantine(self, job: str, *, at: datetime) -> None:
        content = self._read_result(job)
        if content is not None:
            self._quarantine(job, content, at=at)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _read_result(self, job: str) -> bytes | None:
        """Return the result, cut one byte after the limit, or None if there is none."""
        target = f"{self._path}/jobs/{job}/result"
        with self._connection.stream("GET", target, headers=self._headers(), operation="result") as answer:
            if answer.status == 404:
                return None
            if answer.status != 200:
                raise _build_error(answer.status, "result")
            content = bytearray()
            while len(content) <= self._max_result_bytes:
                more = answer.read(min(_READ_BYTES, self._max_result_bytes + 1 - len(content)))
                if not more:
                    if not answer.delimited:
                        raise OutcomeUnknownError(
                            f"no whole answer of {PROVIDER} was read", provider=PROVIDER, operation="result"
                        )
                    break
                content += more
            return bytes(content)

    def _exchange(self, method: str, job: str, *, body: bytes | None = None) -> Answer:
        headers = self._headers() | ({"Content-Type": "application/json"} if body is not None else {})
        operation = "look" if body is None else "start"
        return self._connection.exchange(
            method, f"{self._path}/jobs/{job}", headers=headers, body=body, operation=operation
        )

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token()}", "Accept": "application/json"}


def _build_error(status: int, operation: str) -> ProviderError:
    """Return the error for an answer other than the expected one, by its status only."""
    text = f"{PROVIDER} answered {status}"
    if status == 429:
        return RateLimitedError(
            text, provider=PROVIDER, operation=operation, http_status=status, retry_after_s=_RETRY_AFTER_S
        )
    if status in (400, 409, 413, 415, 422) and operation == "start":
        return RefusedError(text, provider=PROVIDER, operation=operation, http_status=status)
    if 300 <= status < 500:
        return ForbiddenError(text, provider=PROVIDER, operation=operation, http_status=status)
    return OutcomeUnknownError(text, provider=PROVIDER, operation=operation, http_status=status)
