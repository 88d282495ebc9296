"""BIZTEL itself, without sockets: decides what becomes of each download and remembers it."""

import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from sandbox.simulators.account import Account, Log
from sandbox.simulators.biztel import error_bodies
from sandbox.simulators.biztel.audio import Content, mp3_of_bytes, mp3_of_seconds
from sandbox.simulators.biztel.call_actions import CallActions
from sandbox.simulators.biztel.config import SimulatorConfig
from sandbox.simulators.biztel.download_answers import DownloadAnswer, disposition, plain, spoilt
from sandbox.simulators.biztel.error_bodies import Channel, Refusal
from sandbox.simulators.biztel.faults import Fault, FaultKind
from sandbox.simulators.biztel.limits import BurstLimit, MonthCount, month_of
from sandbox.simulators.biztel.recorded_calls import CallSpec, RecordedCall, file_name, new_call, printable_id
from sandbox.simulators.biztel.wall_clock import SettableClock
from sandbox.simulators.clock_and_locks import Clock, StateLock
from sandbox.simulators.outcomes import Outcome

_DAY_S: Final = 86_400
_AUTHORIZATION: Final = re.compile(r"Token +(\S+)")
_REFUSING: Final[Mapping[FaultKind, Refusal]] = {
    FaultKind.SERVER_ERROR: error_bodies.BROKEN,
    FaultKind.FORBIDDEN: error_bodies.NO_RIGHT,
    FaultKind.NOT_FOUND: error_bodies.NOT_FOUND,
    FaultKind.BURST: error_bodies.BURST,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A request for a recording as it came off the wire."""

    call_id: str
    channel: str | None
    """The value of `content_type`; None when it was left out."""
    authorization: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One request and what became of it; `status` is None when it got no answer."""

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
        self._forget()

    @property
    def calls(self) -> tuple[RecordedCall, ...]:
        """Return the calls that have ended, oldest first."""
        with self.lock.changed:
            return tuple(self._calls)

    def find(self, call_id: str) -> RecordedCall | None:
        """Return the latest call with this id."""
        with self.lock.changed:
            return self._by_id.get(call_id)

    def finish_many(self, count: int, spec: CallSpec, *, wait: bool) -> tuple[RecordedCall, ...]:
        """End `count` calls at once; their call actions go out side by side, as many as `actions.AT_ONCE`.

        With `wait`, return after the call actions are over, retries included.
        """
        calls = tuple(self._finish(spec) for _ in range(count))
        if spec.announce:
            told = self.call_actions.fire(calls)
            for each in told if wait else []:
                each.result()
        return calls

    def repeat_call_action(self, call: RecordedCall) -> None:
        """Fire the call action of a call once more, or for the first time, and wait until it is over."""
        for each in self.call_actions.fire([call]):
            each.result()

    def _finish(self, spec: CallSpec) -> RecordedCall:
        with self.lock.changed:
            self._sequence += 1
            delay_s = self._config.file_delay_s
            call = new_call(spec, sequence=self._sequence, now=self.wall_clock(), file_delay_s=delay_s)
            self._calls.append(call)
            self._by_id[call.call_id] = call
            for fault in spec.faults:
                self._faults.add(replace(fault, call_id=call.call_id))
            self.lock.changed.notify_all()
        return call

    def handle(self, download: Download) -> DownloadAnswer:
        """Decide about a request and remember it."""
        channel = download.channel or Channel.MONAURAL
        with self.lock.changed:
            answer = self._decide(download, channel)
            answered = answer.outcome in {Outcome.ANSWERED, Outcome.SPOILT}
            seen = RequestRecord(
                at_s=self._clock(),
                call_id=download.call_id,
                channel=channel,
                status=answer.status if answered else None,
                outcome=answer.outcome,
                cause=answer.cause,
            )
            self._requests.append(seen)
            self.lock.changed.notify_all()
        shown = channel if channel in set(Channel) else "-"
        why = f" ({answer.cause})" if answer.cause else ""
        self._log(f"{seen.status or '---'} {seen.outcome} {printable_id(download.call_id)} {shown}{why}")
        return answer

    def file(self, call: RecordedCall, channel: Channel) -> Content:
        """Return a recording's bytes, whether or not it could be downloaded."""
        title = f"{call.call_id} {channel}" if self._config.id3_tags else None
        if call.spec.bytes is not None:
            return mp3_of_bytes(channel, call.spec.bytes, title=title)
        return mp3_of_seconds(channel, call.spec.seconds, title=title)

    def set_token(self, token: str) -> None:
        """From now on only this token is right."""
        self._set_credentials(token=token)

    def usage(self) -> dict[str, object]:
        """Return what was counted: this month's requests, violations of the burst limit, requests by second."""
        with self.lock.changed:
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
        """Say how many requests this month has used up."""
        with self.lock.changed:
            self._month.set(self.wall_clock(), used)

    def reset(self) -> None:
        """As for every provider; calls and counts are forgotten too, and the clock is right again."""
        with self.lock.changed:
            super().reset()
            self.wall_clock.reset()
            self._forget()

    def _forget(self) -> None:
        self._calls: list[RecordedCall] = []
        self._by_id: dict[str, RecordedCall] = {}
        self._sequence = 0
        self._burst = BurstLimit()
        self._month = MonthCount()

    def _decide(self, download: Download, channel: str) -> DownloadAnswer:
        """Normal treatment, in an order of our own: the document gives none."""
        refused = self._turned_away(download.authorization) or self._not_contracted(channel)
        if refused is not None:
            return refused
        kind = Channel(channel)
        call = self._by_id.get(download.call_id)
        if call is not None:
            call.requests[kind] += 1
        fault = self._faults.take(lambda each: each.matches(download.call_id, kind))
        if fault is not None and fault.kind in _REFUSING:
            return self._refused(_REFUSING[fault.kind], cause=f"scripted: {fault.kind}")
        answer = self._file_or_refusal(call, kind)
        # A file that is not there has no bytes to spoil.
        wanted = fault is not None and (answer.status == 200 or fault.kind in {FaultKind.HOLD, FaultKind.RESET})
        return spoilt(answer, fault, hold_open_s=self._config.hold_open_s) if fault and wanted else answer

    def _turned_away(self, authorization: str) -> DownloadAnswer | None:
        config, now = self._config, self.wall_clock()
        given = _AUTHORIZATION.fullmatch(authorization.strip())
        if given is None:
            return self._refused(error_bodies.NO_TOKEN, cause="no token")
        if not hmac.compare_digest(given[1].encode(), config.token.encode()):
            return self._refused(error_bodies.WRONG_TOKEN, cause="wrong token")
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
            return self._refused(error_bodies.BURST, cause=f"over {config.requests_per_second} a second")
        if used_up:
            refusal = replace(error_bodies.MONTH_USED_UP, status=config.month_used_up_status)
            return self._refused(refusal, cause="month used up")
        return None

    def _not_contracted(self, channel: str) -> DownloadAnswer | None:
        config = self._config
        if not config.api_licence:
            return self._refused(error_bodies.NO_API_LICENCE, cause="no licence for the API")
        if not config.api_enabled:
            return self._refused(error_bodies.API_DISABLED, cause="the API is not enabled")
        if channel not in set(Channel):
            refusal = replace(error_bodies.WRONG_CHANNEL, status=config.validate_error_status)
            return self._refused(refusal, cause="no such content_type", field="content_type")
        if not config.recording_licence:
            return self._refused(error_bodies.NO_RECORDING_LICENCE, cause="no licence for recordings")
        if channel != Channel.MONAURAL and not config.split_licence:
            return self._refused(error_bodies.NO_SPLIT_LICENCE, cause="no licence for split recordings")
        if not config.downloads_allowed:
            return self._refused(error_bodies.NO_RIGHT, cause="downloads are forbidden to the account")
        return None

    def _file_or_refusal(self, call: RecordedCall | None, channel: Channel) -> DownloadAnswer:
        config, now = self._config, self.wall_clock()
        if call is None:
            return self._refused(error_bodies.NOT_FOUND, cause="no such call", field="id")
        if channel not in call.spec.channels:
            return self._refused(error_bodies.NOT_FOUND, cause="no such file", field="id")
        if now < call.ready_at:
            return self._refused(error_bodies.NOT_FOUND, cause="not there yet", field="id")
        if channel is not Channel.MONAURAL and now >= call.ended_at + config.split_days * _DAY_S:
            return self._refused(error_bodies.NOT_FOUND, cause="expired", field="id")
        content = self.file(call, channel)
        return DownloadAnswer(
            status=200,
            content=content,
            content_type=config.audio_type,
            announced=content.length,
            headers=disposition(file_name(call, channel), config.disposition),
        )

    def _refused(self, refusal: Refusal, *, cause: str, field: str | None = None) -> DownloadAnswer:
        exception_id = secrets.token_hex(8) if self._config.error_details else None
        answer = plain(refusal.status, refusal.body(field=field, exception_id=exception_id), cause=cause)
        if refusal.status == 429 and self._config.retry_after_s is not None:
            answer = replace(answer, headers={"Retry-After": str(self._config.retry_after_s)})
        return answer
