"""The provider itself, without sockets: decides what becomes of each request and remembers it."""

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from sandbox.simulators.account import Account, Log
from sandbox.simulators.baidu_vms import errors
from sandbox.simulators.baidu_vms.callbacks import Callbacks
from sandbox.simulators.baidu_vms.config import SimulatorConfig
from sandbox.simulators.baidu_vms.door import check_conditions, check_interface, check_signature
from sandbox.simulators.baidu_vms.errors import Error
from sandbox.simulators.baidu_vms.faults import BEFORE, Fault
from sandbox.simulators.baidu_vms.numbers import EVERY_OTHER_NUMBER, NUMBERS, NumberScript
from sandbox.simulators.baidu_vms.records import Call, Callback, RequestSeen
from sandbox.simulators.baidu_vms.requests import CallRequest, RefusedError, WireRequest, number_in, read_call
from sandbox.simulators.baidu_vms.signing import date_text
from sandbox.simulators.baidu_vms.templates import heard
from sandbox.simulators.baidu_vms.tokens import ClientTokens, check_token, token_in
from sandbox.simulators.baidu_vms.verdicts import Success, Verdict, instead, spoilt
from sandbox.simulators.waiting import Clock, Waiting

_VOLUMES: Final = range(-20, 21)


class Provider(Account[SimulatorConfig, Fault, RequestSeen]):
    """The whole state of the simulated account."""

    def __init__(self, config: SimulatorConfig, *, clock: Clock, waiting: Waiting, log: Log) -> None:
        super().__init__(config, waiting=waiting, log=log)
        self._clock = clock
        self.callbacks = Callbacks(waiting=waiting, clock=self.now, config=lambda: self._config, log=log)
        self._forget()

    @property
    def calls(self) -> tuple[Call, ...]:
        """Return every call placed, oldest first."""
        with self.waiting.changed:
            return tuple(self._calls)

    def now(self) -> float:
        """Return Unix seconds by the simulator's clock, as far ahead of it as configured."""
        return self._clock() + self._config.clock_offset_s

    def handle(self, request: WireRequest) -> Verdict:
        """Decide about a request, remember it, and place the call it asks for."""
        number, token = number_in(request.body), token_in(request.query)
        with self.waiting.changed:
            now = self.now()
            verdict = self._decide(request, number, token, now)
            error = verdict.answer if isinstance(verdict.answer, Error) else None
            repeated = verdict.answer.call_id if isinstance(verdict.answer, Success) else None
            call_id = verdict.call.call_id if verdict.call else repeated
            self._requests.append(
                RequestSeen(
                    at_s=now,
                    method=request.method,
                    path=request.path,
                    http_status=verdict.http_status,
                    code=error.code if error else None,
                    outcome=verdict.outcome,
                    cause=verdict.cause,
                    number=number,
                    client_token=token,
                    call_id=call_id,
                    placed=verdict.call is not None,
                )
            )
            self.waiting.changed.notify_all()
        why = f" ({verdict.cause})" if verdict.cause else ""
        self._log(
            f"{verdict.http_status or '---'} {error.code if error else '-'} {verdict.outcome} {call_id or '-'}{why}"
        )
        return verdict

    def configure(self, changes: Mapping[str, object]) -> None:
        """As for every provider; the clock, too, may have moved."""
        super().configure(changes)
        self.waiting.wake()
        self.callbacks.wake()

    def set_credentials(self, *, access_key: str, secret_key: str) -> None:
        """From now on only these keys are right."""
        self._set_credentials(access_key=access_key, secret_key=secret_key)

    def push_callback(self, call_id: str) -> Callback:
        """Send one callback more of a call, now. Raises ValueError when there is no such call."""
        call = next((call for call in self.calls if call.call_id == call_id), None)
        if call is None:
            raise ValueError("no such call")
        return self.callbacks.send(call)

    def reset(self) -> None:
        """As for every provider; tokens, calls and callbacks to come are forgotten too."""
        with self.waiting.changed:
            super().reset()
            self.callbacks.clear()
            self._forget()

    def _forget(self) -> None:
        self._calls: list[Call] = []
        self._tokens = ClientTokens()

    def _decide(self, request: WireRequest, number: str, token: str | None, now: float) -> Verdict:
        scripted = self._faults.take(lambda each: each.match_number in {None, number})
        if scripted is not None and scripted.kind in BEFORE:
            return instead(scripted, "scripted")
        verdict = self._treat(request, token, now)
        fault = scripted or verdict.fault
        return verdict if fault is None else spoilt(verdict, fault, self._config)

    def _treat(self, request: WireRequest, token: str | None, now: float) -> Verdict:
        """Normal treatment, in an order of our own: the document gives none."""
        config = self._config
        token = token if config.tokens == "honoured" else None
        try:
            check_interface(request)
            check_signature(request, access_key=config.access_key, secret_key=config.secret_key, now=now)
            check_conditions(request)
            if token is not None:
                check_token(token)
                answer = self._tokens.receive(token, request, now)
                if answer is not None:
                    return Verdict(answer=answer, cause="repeated: the token is known")
        except RefusedError as refused:
            return Verdict(answer=refused.error, cause=refused.cause)
        try:
            verdict = self._called(request, now)
        except RefusedError as refused:
            verdict = Verdict(answer=refused.error, cause=refused.cause)
        keeps = verdict.call is not None or config.token_keeps_refusals
        if token is not None and verdict.answer is not None and keeps:
            self._tokens.remember(token, request, verdict.answer, now)
        return verdict

    def _called(self, request: WireRequest, now: float) -> Verdict:
        config, asked = self._config, read_call(request)
        if asked.kind != 0:
            raise RefusedError(errors.NOT_IMPLEMENTED, "type is not 0")
        if asked.play_times < 1 or asked.volume not in _VOLUMES:
            raise RefusedError(errors.WRONG_PARAMETERS, "playTimes or voiceVolume is out of its range")
        message = heard(config.templates, asked.template_id, asked.variables)
        if not re.fullmatch(config.number_pattern, asked.number):
            raise RefusedError(errors.ILLEGAL_NUMBER, "number has not the form of those that can be called")
        script = NUMBERS.get(asked.number, EVERY_OTHER_NUMBER)
        if script.fault is not None and script.fault.kind in BEFORE:
            return instead(script.fault, "this number always does")
        under_way = sum(call.ends_at_s > now for call in self._calls)
        if config.concurrency_limit is not None and under_way >= config.concurrency_limit:
            raise RefusedError(errors.QUEUE_FULL, f"{under_way} calls are under way")
        return self._placed(asked, message, script, token=token_in(request.query), now=now)

    def _placed(
        self, asked: CallRequest, message: str, script: NumberScript, *, token: str | None, now: float
    ) -> Verdict:
        config = self._config
        call = Call(
            sequence=len(self._calls) + 1,
            call_id=uuid.uuid4().hex,
            at_s=now,
            ends_at_s=now + config.ringing_s,
            number=asked.number,
            show_number=config.show_number if asked.show_number is None else asked.show_number,
            template_id=asked.template_id,
            variables=asked.variables,
            heard=message,
            play_times=asked.play_times,
            volume=asked.volume,
            tag=asked.tag,
            client_token=token,
            result=script.result,
        )
        self._calls.append(call)
        self.callbacks.begin(call, copies=script.callbacks)
        answer = Success(
            call_id=call.call_id,
            tag=call.tag,
            date_create="" if config.empty_date_create else date_text(datetime.fromtimestamp(now, UTC)),
            show_number=call.show_number,
        )
        return Verdict(answer=answer, call=call, fault=script.fault)
