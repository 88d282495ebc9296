"""The provider itself, without sockets: decides what becomes of each request and remembers it."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sandbox.simulators.account import Account, Log
from sandbox.simulators.clock_and_locks import MovableClock, StateLock
from sandbox.simulators.mediasms.authentication import is_authorized
from sandbox.simulators.mediasms.config import SimulatorConfig
from sandbox.simulators.mediasms.decisions import Decision, SmsRequest, spoilt
from sandbox.simulators.mediasms.delivery_reports import DeliveryReportSender
from sandbox.simulators.mediasms.document_tables import Code
from sandbox.simulators.mediasms.faults import Fault, FaultKind
from sandbox.simulators.mediasms.limits import SourceAddress, UnauthorizedStreak
from sandbox.simulators.mediasms.numbers import EVERY_OTHER_NUMBER, NUMBERS, Behaviour, NumberScript
from sandbox.simulators.mediasms.parameters import may_be_called_in, refusal_of, sends_sms
from sandbox.simulators.mediasms.phone_text import AU, what_the_phone_shows
from sandbox.simulators.mediasms.records import Message, Report, RequestRecord, masked, printable_smsid
from sandbox.simulators.mediasms.telephone_exchange import TelephoneExchange
from sandbox.simulators.outcomes import Outcome

LONGEST_URL: Final = 8190


class Provider(Account[SimulatorConfig, Fault, RequestRecord]):
    """The whole state of the simulated account."""

    def __init__(self, config: SimulatorConfig, *, clock: MovableClock, lock: StateLock, log: Log) -> None:
        super().__init__(config, lock=lock, log=log)
        self._clock = clock
        self.delivery_reports = DeliveryReportSender(lock=lock, clock=clock, config=lambda: self._config, log=log)
        self.exchange = TelephoneExchange(
            lock=lock, clock=clock, config=lambda: self._config, delivery=self.delivery_reports, log=log
        )
        self._forget()

    @property
    def messages(self) -> tuple[Message, ...]:
        """Return everything accepted, oldest first."""
        with self.lock.changed:
            return tuple(self._messages)

    @property
    def numbers(self) -> dict[str, NumberScript]:
        """Return the numbers that always end a certain way."""
        with self.lock.changed:
            return dict(self._numbers)

    @property
    def now_s(self) -> float:
        """Return what the simulator's clock reads."""
        return self._clock()

    def advance(self, seconds: float) -> None:
        """Put the simulator's clock forward, past holding times and delays."""
        self._clock.advance(seconds)
        self.lock.wake()
        self.exchange.wake()
        self.delivery_reports.wake()

    def handle(self, request: SmsRequest) -> Decision:
        """Decide about a request, remember it, and set an accepted message on its way."""
        number = request.parameters.get("mobilenumber", "")
        smsid = request.parameters.get("smsid", "")
        with self.lock.changed:
            now = self._clock()
            decision = self._decide(request, number, now)
            if decision.code is not None:
                self._sources[request.source].streak.answered(decision.code)
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
            self.lock.changed.notify_all()
        why = f" ({decision.cause})" if decision.cause else ""
        self._log(f"{decision.code or '---'} {decision.outcome} {masked(number)} {printable_smsid(smsid)}{why}")
        return decision

    def set_credentials(self, *, user: str, password: str) -> None:
        """From now on only these credentials are right."""
        self._set_credentials(user=user, password=password)

    def script_number(self, number: str, script: NumberScript) -> None:
        """Let every later message to `number` go as scripted."""
        with self.lock.changed:
            self._numbers[number] = script

    def push_report(self, smsid: str, status: int, parameters: Mapping[str, str]) -> Report:
        """Push one report now, late, repeated or foreign as it may be.

        It repeats the latest message with `smsid`, if there is one, with `parameters` laid over it.
        """
        message = next((m for m in reversed(self.messages) if m.smsid == smsid), None)
        asked = message.parameters if message else {}
        return self.delivery_reports.push_now({**asked, "smsid": smsid, **parameters}, status, message)

    def unblock(self, source: str | None) -> None:
        """Forget the 401 streak, and so the block, of one address or of all."""
        with self.lock.changed:
            for address in [source] if source else list(self._sources):
                self._sources[address].streak = UnauthorizedStreak()

    def blocked_addresses(self) -> list[str]:
        """Return the addresses that get 555."""
        with self.lock.changed:
            return sorted(address for address, counted in self._sources.items() if counted.streak.blocked)

    def reset(self) -> None:
        """As for every provider; blocks, messages and reports to come are forgotten too. The clock stays."""
        with self.lock.changed:
            super().reset()
            self.exchange.clear()
            self.delivery_reports.clear()
            self._forget()

    def _forget(self) -> None:
        self._messages: list[Message] = []
        self._numbers: dict[str, NumberScript] = dict(NUMBERS)
        self._sources: defaultdict[str, SourceAddress] = defaultdict(SourceAddress)

    def _script(self, number: str) -> NumberScript:
        return self._numbers.get(number, EVERY_OTHER_NUMBER)

    def _decide(self, request: SmsRequest, number: str, now: float) -> Decision:
        turned_away = self._turned_away_at_the_door(request)
        if turned_away is not None:
            return turned_away
        fault = self._faults.take(lambda each: each.match_number in {None, number})
        if fault is None:
            return self._treat(request, number, now)
        if fault.kind is FaultKind.RESET_BEFORE:
            return Decision(code=None, outcome=Outcome.RESET, cause="scripted")
        if fault.kind is FaultKind.ANSWER:
            return Decision(code=fault.code, cause="scripted")
        if fault.kind is FaultKind.GARBAGE and not fault.accept:
            return Decision(code=None, outcome=Outcome.GARBAGE, cause="scripted", garbage=fault)
        return spoilt(self._treat(request, number, now), fault, hold_open_s=self._config.hold_open_s)

    def _turned_away_at_the_door(self, request: SmsRequest) -> Decision | None:
        """The refusals that look at nothing but the address of the request and of its sender."""
        allowed = self._config.allowed_addresses
        if request.method == "GET" and request.url_bytes > LONGEST_URL:
            return Decision(code=Code.URL_TOO_LONG, cause=f"address over {LONGEST_URL} bytes")
        if self._sources[request.source].streak.blocked:
            return Decision(code=Code.ADDRESS_BLOCKED, cause="ten 401 in a row")
        if allowed is not None and request.source not in allowed:
            return Decision(code=Code.ADDRESS_PROHIBITED, cause="source address is not registered")
        return None

    def _treat(self, request: SmsRequest, number: str, now: float) -> Decision:
        """Normal treatment, in an order of our own: the document gives none."""
        config, window = self._config, self._sources[request.source].window
        if not is_authorized(request.authorization, user=config.user, password=config.password):
            return Decision(code=Code.AUTHORIZATION_REQUIRED, cause="wrong credentials")
        full = window.is_full(now, limit=config.requests_per_second, kind=config.window)
        if config.refusals_count:
            window.count(now)
        if full:
            return Decision(code=Code.TOO_MANY_REQUESTS, cause=f"over {config.requests_per_second} a second")
        refusal = refusal_of(request.parameters, config)
        if refusal is not None:
            return Decision(code=refusal.code, cause=refusal.cause)
        if config.contracted_messages is not None and len(self._messages) >= config.contracted_messages:
            return Decision(code=Code.PAYMENT_REQUIRED, cause="contracted count used up")
        behaviour = self._script(number).behaviour
        if behaviour is Behaviour.RESET_BEFORE:
            return Decision(code=None, outcome=Outcome.RESET, cause="this number always does")
        if not config.refusals_count:
            window.count(now)
        return self._accepted(request, behaviour, now)

    def _accepted(self, request: SmsRequest, behaviour: Behaviour, now: float) -> Decision:
        config = self._config
        message = Message(
            sequence=len(self._messages) + 1,
            at_s=now,
            source=request.source,
            parameters=request.parameters,
            received_by_phone=self._arriving_text(request.parameters),
        )
        decision = Decision(code=Code.SUCCESS, message=message)
        if behaviour is Behaviour.NEVER_ANSWER:
            return replace(decision, outcome=Outcome.HELD, wait_s=config.hold_open_s)
        if behaviour is Behaviour.SLOW:
            return replace(decision, wait_s=config.slow_answer_s)
        if behaviour is Behaviour.REPORT_FIRST and message.wants_reports and config.report_url:
            return replace(decision, wait_s=config.early_report_wait_s, until_told="report")
        if behaviour is Behaviour.CALL_FIRST and may_be_called_in(request.parameters) and config.ivr_url:
            return replace(decision, wait_s=config.early_report_wait_s, until_told="callback")
        return decision

    def _arriving_text(self, parameters: Mapping[str, str]) -> str | None:
        if not sends_sms(parameters):
            return None
        config, carrier = self._config, parameters.get("mobilecareer")
        text = parameters.get("smstext") or config.templates.get(parameters.get("smstextid", ""), "")
        if config.long_sms and carrier == AU:
            text = parameters.get("smstext2", text)
        return what_the_phone_shows(text, carrier=carrier, long_sms=config.long_sms)
