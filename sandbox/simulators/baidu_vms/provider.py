"""The provider itself, without sockets: decides what becomes of each request and remembers it."""

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from sandbox.simulators.account import Account, Log
from sandbox.simulators.baidu_vms import errors
from sandbox.simulators.baidu_vms.authentication import check_conditions, check_interface, check_signature
from sandbox.simulators.baidu_vms.call_results import CallResultSender
from sandbox.simulators.baidu_vms.client_tokens import ClientTokens, check_token, token_in
from sandbox.simulators.baidu_vms.config import SimulatorConfig
from sandbox.simulators.baidu_vms.decisions import Decision, Success, instead, spoilt
from sandbox.simulators.baidu_vms.errors import Error
from sandbox.simulators.baidu_vms.faults import BEFORE, Fault
from sandbox.simulators.baidu_vms.numbers import EVERY_OTHER_NUMBER, NUMBERS, NumberScript
from sandbox.simulators.baidu_vms.records import Callback, RequestRecord, VoiceCall
from sandbox.simulators.baidu_vms.requests import CallRequest, RefusedError, WireRequest, number_in, read_call
from sandbox.simulators.baidu_vms.signatures import date_text
from sandbox.simulators.baidu_vms.templates import heard
from sandbox.simulators.clock_and_locks import Clock, StateLock

_VOLUMES: Final = range(-20, 21)


class Provider(Account[SimulatorConfig, Fault, RequestRecord]):
    """The whole state of the simulated account."""

    def __init__(self, config: SimulatorConfig, *, clock: Clock, lock: StateLock, log: Log) -> None:
        super().__init__(config, lock=lock, log=log)
        self._clock = clock
        self.call_results = CallResultSender(lock=lock, clock=self.now, config=lambda: self._config, log=log)
        self._forget()

    @property
    def calls(self) -> tuple[VoiceCall, ...]:
        """Return every call placed, oldest first."""
        with self.lock.changed:
            return tuple(self._calls)

    def now(self) -> float:
        """Return Unix seconds by the simulator's clock, as far ahead of it as configured."""
        return self._clock() + self._config.clock_offset_s

    def handle(self, request: WireRequest) -> Decision:
        """Decide about a request, remember it, and place the call it asks for."""
        number, token = number_in(request.body), token_in(request.query)
        with self.lock.changed:
            now = self.now()
            decision = self._decide(request, number, token, now)
            error = decision.answer if isinstance(decision.answer, Error) else None
            repeated = decision.answer.call_id if isinstance(decision.answer, Success) else None
            call_id = decision.call.call_id if decision.call else repeated
            self._requests.append(
                RequestRecord(
                    at_s=now,
                    method=request.method,
                    path=request.path,
                    http_status=decision.http_status,
                    code=error.code if error else None,
                    outcome=decision.outcome,
                    cause=decision.cause,
                    number=number,
                    client_token=token,
                    call_id=call_id,
                    placed=decision.call is not None,
                )
            )
            self.lock.changed.notify_all()
        why = f" ({decision.cause})" if decision.cause else ""
        self._log(
            f"{decision.http_status or '---'} {error.code if error else '-'} {decision.outcome} {call_id or '-'}{why}"
        )
        return decision

    def configure(self, changes: Mapping[str, object]) -> None:
        """As for every provider; the clock, too, may have moved."""
        super().configure(changes)
        self.lock.wake()
        self.call_results.wake()

    def set_credentials(self, *, access_key: str, secret_key: str) -> None:
        """From now on only these keys are right."""
        self._set_credentials(access_key=access_key, secret_key=secret_key)

    def push_callback(self, call_id: str) -> Callback:
        """Send one callback more of a call, now. Raises ValueError when there is no such call."""
        call = next((call for call in self.calls if call.call_id == call_id), None)
        if call is None:
            raise ValueError("no such call")
        return self.call_results.send(call)

    def reset(self) -> None:
        """As for every provider; tokens, calls and callbacks to come are forgotten too."""
        with self.lock.changed:
            super().reset()
            self.call_results.clear()
            self._forget()

    def _forget(self) -> None:
        self._calls: list[VoiceCall] = []
        self._tokens = ClientTokens()

    def _decide(self, request: WireRequest, number: str, token: str | None, now: float) -> Decision:
        scripted = self._faults.take(lambda each: each.match_number in {None, number})
        if scripted is not None and scripted.kind in BEFORE:
            return instead(scripted, "scripted")
        decision = self._treat(request, token, now)
        fault = scripted or decision.fault
        return decision if fault is None else spoilt(decision, fault, self._config)

    def _treat(self, request: WireRequest, token: str | None, now: float) -> Decision:
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
                    return Decision(answer=answer, cause="repeated: the token is known")
        except RefusedError as refused:
            return Decision(answer=refused.error, cause=refused.cause)
        try:
            decision = self._called(request, now)
        except RefusedError as refused:
            decision = Decision(answer=refused.error, cause=refused.cause)
        keeps = decision.call is not None or config.token_keeps_refusals
        if token is not None and decision.answer is not None and keeps:
            self._tokens.remember(token, request, decision.answer, now)
        return decision

    def _called(self, request: WireRequest, now: float) -> Decision:
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
    ) -> Decision:
        config = self._config
        call = VoiceCall(
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
        self.call_results.begin(call, copies=script.callbacks)
        answer = Success(
            call_id=call.call_id,
            tag=call.tag,
            date_create="" if config.empty_date_create else date_text(datetime.fromtimestamp(now, UTC)),
            show_number=call.show_number,
        )
        return Decision(answer=answer, call=call, fault=script.fault)
