"""Build messages, requests and callbacks for tests, complete except for the fields that a test sets."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from switchboard.domain.changes import ChangeKind
from switchboard.domain.orders import Claim, Deadlines, Order, Outcome, OutcomeKind
from switchboard.domain.phone_numbers import PhoneNumber
from switchboard.domain.sms.delivery import DeliveryReport
from switchboard.domain.sms.messages import Message, SmsContent, TextMeasure
from switchboard.domain.subscription.subscriptions import Generation, Subscription
from switchboard.domain.verification.callbacks import CodeHash, IvrCallEvent, ParsedDeliveryReport, VerificationMode
from switchboard.domain.verification.one_time_codes import CodeKey, hash_code
from switchboard.domain.verification.requests import ComposedVerification
from switchboard.domain.verification.verifications import Verification, VerificationLines
from switchboard.domain.voice_calls import PreparedCall, VoiceCall, VoiceCallContent, submit_before
from switchboard.ports.listing import UnreadableItem
from switchboard.usecases.sms.send import SendSmsCommand
from switchboard.usecases.verification.start import StartVerificationCommand
from switchboard.usecases.voice_call.place import PlaceCallCommand
from tests.fakes import START

CLIENT = "client1"
RECIPIENT = "+819000000001"
OTHER_RECIPIENT = "+819000000002"
CONTENT = SmsContent(text="text")
DEADLINES = Deadlines()
MINUTE = timedelta(minutes=1)
LINE = "05000000001"
OTHER_LINE = "05000000002"
HOLDING_MINUTES = 10
GRACE = 5 * MINUTE


def a_message(smsid: str = "sms1", *, at: datetime = START, claim_id: str = "first", **facts: Any) -> Message:
    """Build a message that was placed, and claimed for the first time, at `at`."""
    return Message(
        **{
            "id": smsid,
            "client": CLIENT,
            "recipient": RECIPIENT,
            "fingerprint": "fingerprint",
            "created_at": at,
            "submit_before": at + DEADLINES.submission_after_request,
            "content": CONTENT,
            "measure": TextMeasure(characters=4, bytes_sjis=4, parts=1),
            "claims": (Claim(id=claim_id, at=at),),
            **facts,
        }
    )


def a_command(**fields: Any) -> SendSmsCommand:
    """Build a request with an idempotency key."""
    return SendSmsCommand(
        **{"client": CLIENT, "recipient": RECIPIENT, "content": CONTENT, "idempotency_key": "order-1", **fields}
    )


def a_claim(claim_id: str, *, at: datetime = START) -> Claim:
    return Claim(id=claim_id, at=at)


def an_outcome(kind: OutcomeKind, *, at: datetime = START, code: str | None = None) -> Outcome:
    return Outcome(kind=kind, at=at, provider_code=code)


def a_report(status: str, smsid: str = "sms1", *, recipient: str | None = RECIPIENT) -> DeliveryReport:
    return DeliveryReport(smsid=smsid, status=status, recipient=recipient)


def a_callback(status: str, smsid: str = "sms1", *, authcode: str | None = None) -> ParsedDeliveryReport:
    """Build a delivery callback, which carries a code only if there is an `authcode`."""
    return ParsedDeliveryReport(report=a_report(status, smsid), authcode=authcode)


CALLED = "+8613800000001"
CALL_CONTENT = VoiceCallContent(template_id="123", variables={"name": "a", "number": "1"})


def a_call(token: str = "call1", *, at: datetime = START, claim_id: str = "first", **facts: Any) -> VoiceCall:
    """Build a call that was placed, and claimed for the first time, at `at`."""
    return VoiceCall(
        **{
            "id": token,
            "client": CLIENT,
            "recipient": CALLED,
            "fingerprint": "fingerprint",
            "created_at": at,
            "submit_before": submit_before(at),
            "content": PreparedCall("{}"),
            "claims": (Claim(id=claim_id, at=at),),
            "template_id": "123",
            **facts,
        }
    )


def a_call_command(**fields: Any) -> PlaceCallCommand:
    """Build a request with an idempotency key."""
    return PlaceCallCommand(
        **{"client": CLIENT, "recipient": CALLED, "content": CALL_CONTENT, "idempotency_key": "notice-1", **fields}
    )


def a_verification(
    verification_id: str = "v1", *, at: datetime = START, claim_id: str = "first", **facts: Any
) -> Verification:
    """Build a call-in verification that was placed, and claimed for the first time, at `at`."""
    return Verification(
        **{
            "id": verification_id,
            "client": CLIENT,
            "recipient": RECIPIENT,
            "fingerprint": "fingerprint",
            "created_at": at,
            "submit_before": at + 10 * MINUTE,
            "claims": (Claim(id=claim_id, at=at),),
            "mode": VerificationMode.CALL_IN,
            "line": LINE,
            "holding_minutes": HOLDING_MINUTES,
            **facts,
        }
    )


CODE_KEY = CodeKey("1", b"k" * 32)
"""The code key of tests/fakes/verifications.py."""


def a_code_hash(code: str, verification_id: str = "v1", *, recipient: str | None = None) -> CodeHash:
    """Build the hash of a code that was read out for this verification."""
    return hash_code(CODE_KEY, code, verification_id=verification_id, at=START, recipient=recipient)


def a_start(*, key: str | None = None, client: str = CLIENT, **fields: Any) -> StartVerificationCommand:
    """Build a request for a call-in verification on either of two lines."""
    return StartVerificationCommand(
        client=client,
        request=ComposedVerification(
            **{
                "recipient": PhoneNumber(e164=RECIPIENT),
                "mode": VerificationMode.CALL_IN,
                "lines": VerificationLines.MOBILE,
                "line": None,
                "candidates": (LINE, OTHER_LINE),
                "holding_minutes": HOLDING_MINUTES,
                "repeat_calls": None,
                "content": None,
                **fields,
            }
        ),
        idempotency_key=key,
    )


def an_ivr_call(**fields: Any) -> IvrCallEvent:
    """Build the event that the number called the line, without an id."""
    defaults = {"recipient": RECIPIENT, "line": LINE, "mode": VerificationMode.CALL_IN, "smsid": None}
    return IvrCallEvent(**{**defaults, **fields})


a_notice = an_ivr_call
"""The earlier name, which the contract tests use."""


def ids_of(overdue: Iterable[Order[Any] | UnreadableItem]) -> list[str]:
    """Return the ids of overdue orders, and the keys of those that cannot be read."""
    return [entry.key if isinstance(entry, UnreadableItem) else entry.id for entry in overdue]


def a_subscription(**changes: Any) -> Subscription:
    """Build a subscription of CLIENT to messages, with some members replaced."""
    members: dict[str, Any] = {
        "id": "5" * 32,
        "client": CLIENT,
        "key_id": "key-1",
        "url": "https://hooks.example.com/switchboard",
        "events": frozenset({ChangeKind.SMS}),
        "generations": (Generation(1, "1"),),
        "created_at": START,
        "updated_at": START,
    }
    return Subscription(**members | changes)
