"""Simulates Baidu VMS without sockets: decides about each request and remembers it."""

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from sandbox.simulators.account import Account, Log
from sandbox.simulators.baidu_vms import errors
from sandbox.simulators.baidu_vms.authentication import check_conditions, check_interface, check_signature
from sandbox.simulators.baidu_vms.call_results import CallResultSender
from sandbox.simulators.baidu_vms.client_tokens import ClientTokens, check_token, find_token
from sandbox.simulators.baidu_vms.config import SimulatorConfig
from sandbox.simulators.baidu_vms.decisions import Decision, Success, apply_fault, decide_by_fault
from sandbox.simulators.baidu_vms.errors import Error
from sandbox.simulators.baidu_vms.faults import FAULTS_WITHOUT_CALL, Fault
from sandbox.simulators.baidu_vms.numbers import EVERY_OTHER_NUMBER, NUMBERS, NumberScript
from sandbox.simulators.baidu_vms.records import Callback, RequestRecord, VoiceCall
from sandbox.simulators.baidu_vms.requests import CallRequest, HttpRequest, RefusedError, find_number, read_call
from sandbox.simulators.baidu_vms.signatures import format_date
from sandbox.simulators.baidu_vms.templates import fill_template
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
        """The calls that were placed, oldest first."""
        with self.lock:
            return tuple(self._calls)

    def now(self) -> float:
        """Return Unix seconds: the simulator's clock and the configured offset."""
        return self._clock() + self._config.clock_offset_s

    def handle(self, request: HttpRequest) -> Decision:
        """Decide about a request, remember it, and place the call that it asks for."""
        number, token = find_number(request.body), find_token(request.query)
        with self.lock:
            now = self.now()
            decision = self._decide(request, number, token, now)
            error = decision.answer if isinstance(decision.answer, Error) else None
            repeated_id = decision.answer.call_id if isinstance(decision.answer, Success) else None
            call_id = decision.call.call_id if decision.call else repeated_id
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
            self.lock.wake()
        cause = f" ({decision.cause})" if decision.cause else ""
        status, code = decision.http_status or "---", error.code if error else "-"
        self._log(f"{status} {code} {decision.outcome} {call_id or '-'}{cause}")
        return decision

    def configure(self, changes: Mapping[str, object]) -> None:
        """Change settings as for every provider; the clock may have moved with them."""
        super().configure(changes)
        self.lock.wake()
        self.call_results.wake()

    def set_credentials(self, *, access_key: str, secret_key: str) -> None:
        """Replace the keys that the account accepts."""
        self._set_credentials(access_key=access_key, secret_key=secret_key)

    def push_callback(self, call_id: str) -> Callback:
        """Send one more callback of a call now.

        Raises:
            ValueError: when there is no such call.
        """
        call = next((call for call in self.calls if call.call_id == call_id), None)
        if call is None:
            raise ValueError("no such call")
        return self.call_results.send(call)

    def reset(self) -> None:
        """Reset as every provider, and forget tokens, calls and callbacks to come."""
        with self.lock:
            super().reset()
            self.call_results.clear()
            self._forget()

    def _forget(self) -> None:
        self._calls: list[VoiceCall] = []
        self._tokens = ClientTokens()

    def _decide(self, request: HttpRequest, number: str, token: str | None, now: float) -> Decision:
        scripted_fault = self._faults.take(lambda fault: fault.match_number in {None, number})
        if scripted_fault is not None and scripted_fault.kind in FAULTS_WITHOUT_CALL:
            return decide_by_fault(scripted_fault, "scripted")
        decision = self._treat(request, token, now)
        fault = scripted_fault or decision.fault
        return decision if fault is None else apply_fault(decision, fault, self._config)

    def _treat(self, request: HttpRequest, token: str | None, now: float) -> Decision:
        """Treat a request normally. The order of the checks is ours: the document gives none."""
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
        except RefusedError as refusal:
            return Decision(answer=refusal.error, cause=refusal.cause)
        try:
            decision = self._place_call(request, now)
        except RefusedError as refusal:
            decision = Decision(answer=refusal.error, cause=refusal.cause)
        keeps_result = decision.call is not None or config.token_keeps_refusals
        if token is not None and decision.answer is not None and keeps_result:
            self._tokens.remember(token, request, decision.answer, now)
        return decision

    def _place_call(self, request: HttpRequest, now: float) -> Decision:
        config, call_request = self._config, read_call(request)
        if call_request.kind != 0:
            raise RefusedError(errors.NOT_IMPLEMENTED, "type is not 0")
        if call_request.play_times < 1 or call_request.volume not in _VOLUMES:
            raise RefusedError(errors.WRONG_PARAMETERS, "playTimes or voiceVolume is out of its range")
        message = fill_template(config.templates, call_request.template_id, call_request.variables)
        if not re.fullmatch(config.number_pattern, call_request.number):
            raise RefusedError(errors.ILLEGAL_NUMBER, "number has not the form of those that can be called")
        script = NUMBERS.get(call_request.number, EVERY_OTHER_NUMBER)
        if script.fault is not None and script.fault.kind in FAULTS_WITHOUT_CALL:
            return decide_by_fault(script.fault, "this number always does")
        under_way = sum(call.ends_at_s > now for call in self._calls)
        if config.concurrency_limit is not None and under_way >= config.concurrency_limit:
            raise RefusedError(errors.QUEUE_FULL, f"{under_way} calls are under way")
        return self._create_call(call_request, message, script, token=find_token(request.query), now=now)

    def _create_call(
        self, call_request: CallRequest, message: str, script: NumberScript, *, token: str | None, now: float
    ) -> Decision:
        config = self._config
        call = VoiceCall(
            sequence=len(self._calls) + 1,
            call_id=uuid.uuid4().hex,
            at_s=now,
            ends_at_s=now + config.ringing_s,
            number=call_request.number,
            show_number=config.show_number if call_request.show_number is None else call_request.show_number,
            template_id=call_request.template_id,
            variables=call_request.variables,
            heard=message,
            play_times=call_request.play_times,
            volume=call_request.volume,
            tag=call_request.tag,
            client_token=token,
            result=script.result,
        )
        self._calls.append(call)
        self.call_results.begin(call, copies=script.callbacks)
        answer = Success(
            call_id=call.call_id,
            tag=call.tag,
            date_create="" if config.empty_date_create else format_date(datetime.fromtimestamp(now, UTC)),
            show_number=call.show_number,
        )
        return Decision(answer=answer, call=call, fault=script.fault)
