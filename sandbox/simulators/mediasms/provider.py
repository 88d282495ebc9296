"""Simulates MediaSMS without sockets: decides about each request and remembers it."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sandbox.simulators.account import Account, Log
from sandbox.simulators.clock_and_locks import MovableClock, StateLock
from sandbox.simulators.mediasms.authentication import is_authorized
from sandbox.simulators.mediasms.config import SimulatorConfig
from sandbox.simulators.mediasms.decisions import Decision, SmsRequest, apply_fault
from sandbox.simulators.mediasms.delivery_reports import DeliveryReportSender
from sandbox.simulators.mediasms.document_tables import Code
from sandbox.simulators.mediasms.faults import Fault, FaultKind
from sandbox.simulators.mediasms.limits import ConsecutiveRefusals, SourceAddress
from sandbox.simulators.mediasms.numbers import EVERY_OTHER_NUMBER, NUMBERS, Behaviour, NumberScript
from sandbox.simulators.mediasms.parameters import find_refusal, may_be_called_in, sends_sms
from sandbox.simulators.mediasms.phone_text import AU, text_on_phone
from sandbox.simulators.mediasms.records import Message, Report, RequestRecord, mask_number, printable_smsid
from sandbox.simulators.mediasms.telephone_exchange import TelephoneExchange
from sandbox.simulators.outcomes import Outcome

MAX_URL_BYTES: Final = 8190


class Provider(Account[SimulatorConfig, Fault, RequestRecord]):
    """The whole state of the simulated account."""

    def __init__(self, config: SimulatorConfig, *, clock: MovableClock, lock: StateLock, log: Log) -> None:
        super().__init__(config, lock=lock, log=log)
        self._clock = clock
        self.delivery_reports = DeliveryReportSender(lock=lock, clock=clock, config=lambda: self._config, log=log)
        self.exchange = TelephoneExchange(
            lock=lock, clock=clock, config=lambda: self._config, delivery_reports=self.delivery_reports, log=log
        )
        self._forget()

    @property
    def messages(self) -> tuple[Message, ...]:
        """The accepted messages, oldest first."""
        with self.lock:
            return tuple(self._messages)

    @property
    def numbers(self) -> dict[str, NumberScript]:
        """The scripted numbers."""
        with self.lock:
            return dict(self._numbers)

    @property
    def now_s(self) -> float:
        """The time of the simulator's clock."""
        return self._clock()

    def advance(self, seconds: float) -> None:
        """Put the simulator's clock forward, past holding times and delays."""
        self._clock.advance(seconds)
        self.lock.wake()
        self.exchange.wake()
        self.delivery_reports.wake()

    def handle(self, request: SmsRequest) -> Decision:
        """Decide about a request, remember it, and begin the delivery of an accepted message."""
        number = request.parameters.get("mobilenumber", "")
        smsid = request.parameters.get("smsid", "")
        with self.lock:
            now = self._clock()
            decision = self._decide(request, number, now)
            if decision.code is not None:
                self._sources[request.source].refusals.record(decision.code)
            self._requests.append(
                RequestRecord(
                    at_s=now,
                    source=request.source,
                    method=request.method,
                    code=decision.code,
                    outcome=decision.outcome,
                    cause=decision.cause,
                    number=number,
                    smsid=smsid,
                )
            )
            if decision.message is not None:
                self._messages.append(decision.message)
                if sends_sms(request.parameters):
                    self.delivery_reports.begin(decision.message, self._script(number))
                self.exchange.begin(decision.message, self._script(number))
            self.lock.wake()
        cause = f" ({decision.cause})" if decision.cause else ""
        self._log(f"{decision.code or '---'} {decision.outcome} {mask_number(number)} {printable_smsid(smsid)}{cause}")
        return decision

    def handle_inquiry(self, *, source: str, authorization: str, smsid: str) -> int | Message:
        """Decide about a request to the result API: the message with `smsid`, or the code of the refusal.

        It counts in the limits of its address like a request to the send API.
        """
        with self.lock:
            now, config, address = self._clock(), self._config, self._sources[source]
            code = self._refuse_inquiry(source, authorization, now)
            message = next((message for message in reversed(self._messages) if message.smsid == smsid), None)
            if code is None and message is None:
                code = config.unknown_id_code
            address.refusals.record(code or Code.SUCCESS)
            if code is None or config.refusals_count:
                address.window.count(now)
            self._inquiries.append({"at_s": now, "smsid": printable_smsid(smsid), "code": code or int(Code.SUCCESS)})
            self.lock.wake()
        self._log(f"{code or Code.SUCCESS} inquiry {printable_smsid(smsid)}")
        return message if code is None and message is not None else code or config.unknown_id_code

    @property
    def inquiries(self) -> list[dict[str, object]]:
        """The requests to the result API, oldest first, with their codes."""
        with self.lock:
            return list(self._inquiries)

    def _refuse_inquiry(self, source: str, authorization: str, now: float) -> int | None:
        config, address = self._config, self._sources[source]
        if address.refusals.blocked:
            return Code.ADDRESS_BLOCKED
        if not is_authorized(authorization, user=config.user, password=config.password):
            return Code.AUTHORIZATION_REQUIRED
        if address.window.is_full(now, limit=config.requests_per_second, kind=config.window):
            return Code.TOO_MANY_REQUESTS
        return None

    def set_credentials(self, *, user: str, password: str) -> None:
        """Replace the credentials that the account accepts."""
        self._set_credentials(user=user, password=password)

    def script_number(self, number: str, script: NumberScript) -> None:
        """Apply `script` to every later message to `number`."""
        with self.lock:
            self._numbers[number] = script

    def push_report(self, smsid: str, status: int, parameters: Mapping[str, str]) -> Report:
        """Send one report now, even if it is late, repeated or foreign.

        It repeats the latest message with `smsid`, if there is one; `parameters` replace or add to its fields.
        """
        message = next((message for message in reversed(self.messages) if message.smsid == smsid), None)
        original = message.parameters if message else {}
        return self.delivery_reports.push_report({**original, "smsid": smsid, **parameters}, status, message)

    def unblock(self, source: str | None) -> None:
        """Forget the consecutive 401s of one address, or of all, and so lift the block."""
        with self.lock:
            for address in [source] if source else list(self._sources):
                self._sources[address].refusals = ConsecutiveRefusals()

    def blocked_addresses(self) -> list[str]:
        """Return the addresses that get 555."""
        with self.lock:
            return sorted(address for address, counts in self._sources.items() if counts.refusals.blocked)

    def reset(self) -> None:
        """Reset as every provider, and forget blocks, messages and reports to come. The clock stays."""
        with self.lock:
            super().reset()
            self.exchange.clear()
            self.delivery_reports.clear()
            self._forget()

    def _forget(self) -> None:
        self._messages: list[Message] = []
        self._inquiries: list[dict[str, object]] = []
        self._numbers: dict[str, NumberScript] = dict(NUMBERS)
        self._sources: defaultdict[str, SourceAddress] = defaultdict(SourceAddress)

    def _script(self, number: str) -> NumberScript:
        return self._numbers.get(number, EVERY_OTHER_NUMBER)

    def _decide(self, request: SmsRequest, number: str, now: float) -> Decision:
        refusal = self._refuse_by_address(request)
        if refusal is not None:
            return refusal
        fault = self._faults.take(lambda candidate: candidate.match_number in {None, number})
        if fault is None:
            return self._treat(request, number, now)
        if fault.kind is FaultKind.RESET_BEFORE:
            return Decision(code=None, outcome=Outcome.RESET, cause="scripted")
        if fault.kind is FaultKind.ANSWER:
            return Decision(code=fault.code, cause="scripted")
        if fault.kind is FaultKind.WRAP and fault.code is not None:
            return Decision(code=fault.code, cause="scripted", wrapping=fault)
        if fault.kind is FaultKind.GARBAGE and not fault.accept:
            return Decision(code=None, outcome=Outcome.GARBAGE, cause="scripted", garbage=fault)
        return apply_fault(self._treat(request, number, now), fault, hold_open_s=self._config.hold_open_s)

    def _refuse_by_address(self, request: SmsRequest) -> Decision | None:
        """Return the refusal that follows from the addresses of the request and its sender alone."""
        allowed = self._config.allowed_addresses
        if request.method == "GET" and request.url_bytes > MAX_URL_BYTES:
            return Decision(code=Code.URL_TOO_LONG, cause=f"address over {MAX_URL_BYTES} bytes")
        if self._sources[request.source].refusals.blocked:
            return Decision(code=Code.ADDRESS_BLOCKED, cause="ten 401 in a row")
        if allowed is not None and request.source not in allowed:
            return Decision(code=Code.ADDRESS_PROHIBITED, cause="source address is not registered")
        return None

    def _treat(self, request: SmsRequest, number: str, now: float) -> Decision:
        """Treat a request normally. The order of the checks is ours: the document gives none."""
        config, window = self._config, self._sources[request.source].window
        if not is_authorized(request.authorization, user=config.user, password=config.password):
            return Decision(code=Code.AUTHORIZATION_REQUIRED, cause="wrong credentials")
        is_full = window.is_full(now, limit=config.requests_per_second, kind=config.window)
        if config.refusals_count:
            window.count(now)
        if is_full:
            return Decision(code=Code.TOO_MANY_REQUESTS, cause=f"over {config.requests_per_second} a second")
        refusal = find_refusal(request.parameters, config)
        if refusal is not None:
            return Decision(code=refusal.code, cause=refusal.cause)
        if config.contracted_messages is not None and len(self._messages) >= config.contracted_messages:
            return Decision(code=Code.PAYMENT_REQUIRED, cause="contracted count used up")
        behaviour = self._script(number).behaviour
        if behaviour is Behaviour.RESET_BEFORE:
            return Decision(code=None, outcome=Outcome.RESET, cause="this number always does")
        if not config.refusals_count:
            window.count(now)
        return self._accept(request, behaviour, now)

    def _accept(self, request: SmsRequest, behaviour: Behaviour, now: float) -> Decision:
        config = self._config
        message = Message(
            sequence=len(self._messages) + 1,
            at_s=now,
            source=request.source,
            parameters=request.parameters,
            received_by_phone=self._text_on_phone(request.parameters),
        )
        decision = Decision(code=Code.SUCCESS, message=message)
        if behaviour is Behaviour.NEVER_ANSWER:
            return replace(decision, outcome=Outcome.KEPT_OPEN, wait_s=config.hold_open_s)
        if behaviour is Behaviour.SLOW:
            return replace(decision, wait_s=config.slow_answer_s)
        if behaviour is Behaviour.REPORT_FIRST and message.wants_reports and config.report_url:
            return replace(decision, wait_s=config.early_report_wait_s, wait_ends_with="report")
        if behaviour is Behaviour.CALL_FIRST and may_be_called_in(request.parameters) and config.ivr_url:
            return replace(decision, wait_s=config.early_report_wait_s, wait_ends_with="callback")
        return decision

    def _text_on_phone(self, parameters: Mapping[str, str]) -> str | None:
        if not sends_sms(parameters):
            return None
        config, carrier = self._config, parameters.get("mobilecareer")
        text = parameters.get("smstext") or config.templates.get(parameters.get("smstextid", ""), "")
        if config.long_sms and carrier == AU:
            text = parameters.get("smstext2", text)
        return text_on_phone(text, carrier=carrier, long_sms=config.long_sms)
