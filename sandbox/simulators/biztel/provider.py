"""Simulates BIZTEL without sockets: ends calls, decides about each download and remembers it."""

import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from sandbox.simulators.account import Account, Log
from sandbox.simulators.biztel import error_bodies
from sandbox.simulators.biztel.audio import Content, mp3_of_bytes, mp3_of_dialogue, mp3_of_seconds
from sandbox.simulators.biztel.call_actions import CallActions
from sandbox.simulators.biztel.config import SimulatorConfig
from sandbox.simulators.biztel.download_answers import (
    DownloadAnswer,
    apply_fault,
    content_disposition,
    create_answer,
)
from sandbox.simulators.biztel.error_bodies import Channel, Refusal
from sandbox.simulators.biztel.faults import Fault, FaultKind
from sandbox.simulators.biztel.limits import BurstLimit, MonthCount, month_of
from sandbox.simulators.biztel.recorded_calls import CallSpec, RecordedCall, create_call, file_name, printable_id
from sandbox.simulators.biztel.wall_clock import SettableClock
from sandbox.simulators.clock_and_locks import Clock, StateLock
from sandbox.simulators.outcomes import Outcome

_DAY_S: Final = 86_400
_AUTHORIZATION: Final = re.compile(r"Token +(\S+)")
_SCRIPTED_REFUSALS: Final[Mapping[FaultKind, Refusal]] = {
    FaultKind.SERVER_ERROR: error_bodies.BROKEN,
    FaultKind.FORBIDDEN: error_bodies.NO_RIGHT,
    FaultKind.NOT_FOUND: error_bodies.NOT_FOUND,
    FaultKind.BURST: error_bodies.BURST,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A request for a recording as it arrived."""

    call_id: str
    channel: str | None
    """The value of `content_type`; None if the request has none."""
    authorization: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One request and its outcome; `status` is None if it got no answer."""

    at_s: float
    call_id: str
    channel: str
    status: int | None
    outcome: Outcome
    cause: str


class Provider(Account[SimulatorConfig, Fault, RequestRecord]):
    """The whole state of the simulated system."""

    def __init__(
        self, config: SimulatorConfig, *, clock: Clock, wall_clock: SettableClock, lock: StateLock, log: Log
    ) -> None:
        super().__init__(config, lock=lock, log=log)
        self._clock = clock
        self.wall_clock = wall_clock
        self.call_actions = CallActions(
            lock=lock, clock=clock, wall_clock=wall_clock, config=lambda: self._config, log=log
        )
        self._sequence = 0
        self._forget()

    @property
    def calls(self) -> tuple[RecordedCall, ...]:
        """The calls that have ended, oldest first."""
        with self.lock:
            return tuple(self._calls)

    def find(self, call_id: str) -> RecordedCall | None:
        """Return the latest call with this id, or None if there is none."""
        with self.lock:
            return self._by_id.get(call_id)

    def end_calls(self, count: int, spec: CallSpec, *, wait: bool) -> tuple[RecordedCall, ...]:
        """End `count` calls at once, fire their call actions, and return them.

        At most `call_actions.MAX_UNDER_WAY` call actions are under way at the same time. With `wait`, return after the
        last one is over, retries included.
        """
        calls = tuple(self._end_call(spec) for _ in range(count))
        if spec.announce:
            futures = self.call_actions.fire(calls)
            for future in futures if wait else []:
                future.result()
        return calls

    def repeat_call_action(self, call: RecordedCall) -> None:
        """Fire the call action of a call once more, or for the first time, and wait until it is over."""
        for future in self.call_actions.fire([call]):
            future.result()

    def handle(self, download: Download) -> DownloadAnswer:
        """Decide about a request and remember it."""
        channel = download.channel or Channel.MONAURAL
        with self.lock:
            answer = self._decide(download, channel)
            is_answered = answer.outcome in {Outcome.ANSWERED, Outcome.SPOILT}
            record = RequestRecord(
                at_s=self._clock(),
                call_id=download.call_id,
                channel=channel,
                status=answer.status if is_answered else None,
                outcome=answer.outcome,
                cause=answer.cause,
            )
            self._requests.append(record)
            self.lock.wake()
        printable_channel = channel if channel in set(Channel) else "-"
        cause = f" ({answer.cause})" if answer.cause else ""
        call_id = printable_id(download.call_id)
        self._log(f"{record.status or '---'} {record.outcome} {call_id} {printable_channel}{cause}")
        return answer

    def file(self, call: RecordedCall, channel: Channel) -> Content:
        """Return the bytes of a recording, even if it cannot be downloaded."""
        title = f"{call.call_id} {channel}" if self._config.id3_tags else None
        if call.spec.dialogue:
            return mp3_of_dialogue(channel, title=title)
        if call.spec.bytes is not None:
            return mp3_of_bytes(channel, call.spec.bytes, title=title)
        return mp3_of_seconds(channel, call.spec.seconds, title=title)

    def set_token(self, token: str) -> None:
        """Replace the token that the system accepts."""
        self._set_credentials(token=token)

    def usage(self) -> dict[str, object]:
        """Return this month's requests, the violations of the rate limit, and the requests by second."""
        with self.lock:
            now = self.wall_clock()
            return {
                "month": month_of(now),
                "used": self._month.used(now),
                "limit": self._config.requests_per_month,
                "violations": self._burst.violations,
                "most_in_any_second": self._burst.most_in_any_second,
                "per_second": self._burst.per_second(),
            }

    def set_month_used(self, used: int) -> None:
        """Set the number of requests that this month has used."""
        with self.lock:
            self._month.set(self.wall_clock(), used)

    def reset(self) -> None:
        """Reset as every provider, forget calls and counts, and let the wall clock be right again.

        The ids of later calls are new ones: a deployment keeps the recordings of the earlier ones.
        """
        with self.lock:
            super().reset()
            self.wall_clock.reset()
            self._forget()

    def _forget(self) -> None:
        self._calls: list[RecordedCall] = []
        self._by_id: dict[str, RecordedCall] = {}
        self._burst = BurstLimit()
        self._month = MonthCount()

    def _end_call(self, spec: CallSpec) -> RecordedCall:
        with self.lock:
            self._sequence += 1
            delay_s = self._config.file_delay_s
            call = create_call(spec, sequence=self._sequence, now=self.wall_clock(), file_delay_s=delay_s)
            self._calls.append(call)
            self._by_id[call.call_id] = call
            for fault in spec.faults:
                self._faults.add(replace(fault, call_id=call.call_id))
            self.lock.wake()
        return call

    def _decide(self, download: Download, channel: str) -> DownloadAnswer:
        """Decide about a download. The order of the checks is ours: the document gives none."""
        refusal = self._check_access(download.authorization) or self._check_contract(channel)
        if refusal is not None:
            return refusal
        kind = Channel(channel)
        call = self._by_id.get(download.call_id)
        if call is not None:
            call.requests[kind] += 1
        fault = self._faults.take(lambda candidate: candidate.matches(download.call_id, kind))
        if fault is not None and fault.kind in _SCRIPTED_REFUSALS:
            return self._refuse(_SCRIPTED_REFUSALS[fault.kind], cause=f"scripted: {fault.kind}")
        answer = self._find_file(call, kind)
        if fault is None:
            return answer
        # A file that does not exist has no bytes to spoil.
        applies = answer.status == 200 or fault.kind in {FaultKind.HOLD, FaultKind.RESET}
        return apply_fault(answer, fault, hold_open_s=self._config.hold_open_s) if applies else answer

    def _check_access(self, authorization: str) -> DownloadAnswer | None:
        config, now = self._config, self.wall_clock()
        token = _AUTHORIZATION.fullmatch(authorization.strip())
        if token is None:
            return self._refuse(error_bodies.NO_TOKEN, cause="no token")
        if not hmac.compare_digest(token[1].encode(), config.token.encode()):
            return self._refuse(error_bodies.WRONG_TOKEN, cause="wrong token")
        allowed = self._burst.allows(
            self._clock(),
            limit=config.requests_per_second,
            kind=config.window,
            refusals_count=config.refusals_count,
        )
        used_up = self._month.used(now) >= config.requests_per_month
        if not used_up and (allowed or config.refusals_consume):
            self._month.use(now)
        if not allowed:
            return self._refuse(error_bodies.BURST, cause=f"over {config.requests_per_second} a second")
        if used_up:
            refusal = replace(error_bodies.MONTH_USED_UP, status=config.month_used_up_status)
            return self._refuse(refusal, cause="month used up")
        return None

    def _check_contract(self, channel: str) -> DownloadAnswer | None:
        config = self._config
        if not config.api_licence:
            return self._refuse(error_bodies.NO_API_LICENCE, cause="no licence for the API")
        if not config.api_enabled:
            return self._refuse(error_bodies.API_DISABLED, cause="the API is not enabled")
        if channel not in set(Channel):
            refusal = replace(error_bodies.WRONG_CHANNEL, status=config.validate_error_status)
            return self._refuse(refusal, cause="no such content_type", field="content_type")
        if not config.recording_licence:
            return self._refuse(error_bodies.NO_RECORDING_LICENCE, cause="no licence for recordings")
        if channel != Channel.MONAURAL and not config.split_licence:
            return self._refuse(error_bodies.NO_SPLIT_LICENCE, cause="no licence for split recordings")
        if not config.downloads_allowed:
            return self._refuse(error_bodies.NO_RIGHT, cause="downloads are forbidden to the account")
        return None

    def _find_file(self, call: RecordedCall | None, channel: Channel) -> DownloadAnswer:
        config, now = self._config, self.wall_clock()
        if call is None:
            return self._refuse(error_bodies.NOT_FOUND, cause="no such call", field="id")
        if channel not in call.spec.channels:
            return self._refuse(error_bodies.NOT_FOUND, cause="no such file", field="id")
        if now < call.ready_at:
            return self._refuse(error_bodies.NOT_FOUND, cause="not there yet", field="id")
        if channel is not Channel.MONAURAL and now >= call.ended_at + config.split_days * _DAY_S:
            return self._refuse(error_bodies.NOT_FOUND, cause="expired", field="id")
        content = self.file(call, channel)
        return DownloadAnswer(
            status=200,
            content=content,
            content_type=config.audio_type,
            announced=content.length,
            headers=content_disposition(file_name(call, channel), config.disposition),
        )

    def _refuse(self, refusal: Refusal, *, cause: str, field: str | None = None) -> DownloadAnswer:
        exception_id = secrets.token_hex(8) if self._config.error_details else None
        body = refusal.body(field=field, exception_id=exception_id)
        answer = create_answer(refusal.status, body, cause=cause)
        if refusal.status == 429 and self._config.retry_after_s is not None:
            answer = replace(answer, headers={"Retry-After": str(self._config.retry_after_s)})
        return answer
