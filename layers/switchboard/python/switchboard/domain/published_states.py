"""Hold the states in which events and posts show each kind of resource."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from switchboard.domain.changes import ChangeKind, CircuitState
from switchboard.domain.recording.status import RecordingState
from switchboard.domain.sms.messages import SmsState
from switchboard.domain.verification.verifications import VerificationState
from switchboard.domain.voice_calls import VoiceCallState

PUBLISHED_STATES: Final[Mapping[ChangeKind, frozenset[str]]] = {
    ChangeKind.SMS: frozenset(SmsState) - {SmsState.SUBMITTING},
    ChangeKind.VERIFICATION: frozenset(VerificationState),
    ChangeKind.VOICE_CALL: frozenset(VoiceCallState) - {VoiceCallState.SUBMITTING},
    ChangeKind.RECORDING: frozenset(RecordingState),
    ChangeKind.CIRCUIT: frozenset(CircuitState),
}
"""The states by kind. A resource that is under way to its provider is not published."""
