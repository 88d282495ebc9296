"""The table of all metrics in the namespace `Switchboard`: name, what it counts, and if an alarm watches it.

No other module spells a metric's name. tests/template/test_alarms.py compares the table with the template's alarms.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from aws_lambda_powertools.metrics import MetricUnit

_ALARMED: Final = "alarmed"
_GAUGE: Final = "gauge"


class Metric(StrEnum):
    """A metric by its name in CloudWatch. `counts` says what one unit of it is."""

    counts: str
    alarmed: bool
    unit: MetricUnit

    def __new__(cls, name: str, counts: str, *traits: str) -> Metric:
        """Make one row of the table."""
        metric = str.__new__(cls, name)
        metric._value_ = name
        metric.counts = counts
        metric.alarmed = _ALARMED in traits
        metric.unit = MetricUnit.NoUnit if _GAUGE in traits else MetricUnit.Count
        return metric

    # Requests of every route
    REQUESTS_REFUSED = "RequestsRefused", "Requests answered with a problem that the code knows."
    REQUESTS_FAILED = "RequestsFailed", "Requests answered with 500 or 503."
    CALLBACKS_REFUSED = (
        "CallbacksRefused",
        "Requests to a webhook without a live token, or from an address that is not the provider's.",
        _ALARMED,
    )
    PROVIDER_CONFIGURATION_REFUSED = (
        "ProviderConfigurationRefused",
        "Submissions or downloads for which a provider refused our credentials, our address or our contract.",
        _ALARMED,
    )
    RECIPIENT_LIMIT_REACHED = "RecipientLimitReached", "Submissions refused because of the number's usage limit."
    RECIPIENT_SUPPRESSED = "RecipientSuppressed", "Submissions refused because their number is suppressed."
    WRONG_CODE_LIMIT_REACHED = (
        "WrongCodeLimitReached",
        "Checks refused because of the number's limit of wrong codes.",
        _ALARMED,
    )
    CLIENT_LIMIT_REACHED = "ClientLimitReached", "Submissions refused because of a usage limit of the client."
    DAILY_LIMIT_REACHED = "DailyLimitReached", "Submissions refused because of the deployment's daily limit.", _ALARMED
    SUPPRESSIONS_CHANGED = "SuppressionsChanged", "Numbers suppressed, or suppressed no longer."
    SUPPRESSIONS_QUERIED = "SuppressionsQueried", "Reads of suppressions, single or listed."
    STATUS_QUERIED = "StatusQueried", "Reads of the system's status."
    KEYS_QUERIED = "KeysQueried", "Reads of a caller's own API key."

    # Queues and the sweep
    ENTRIES_FAILED = "EntriesFailed", "Queue entries that failed and will be delivered again."
    SWEEPS_STARTED = "SweepsStarted", "Runs of the sweep."
    OVERDUE_RECONCILED = "OverdueReconciled", "Overdue orders, recordings and spooled events that the sweep handled."
    SPOOLED_EVENTS_QUARANTINED = (
        "SpooledEventsQuarantined",
        "Spooled events that the sweep cannot read or store and moved to the quarantine.",
        _ALARMED,
    )
    POISON_ENTRIES = (
        "PoisonEntries",
        "Spooled events, orders and recordings that cannot be read or written, and that the sweep or a list skipped.",
        _ALARMED,
    )

    # Change events
    ITEMS_WRITTEN = "ItemsWritten", "Items that batches of the state table's stream reported as written."
    CHANGES_PUBLISHED = "ChangesPublished", "Changes of resources put on the event bus."
    CHANGES_DEFERRED = (
        "ChangesDeferred",
        "Changes that could not be published at once and went into the repair queue.",
        _ALARMED,
    )
    CHANGES_REPUBLISHED = "ChangesRepublished", "Resources that an operator let be published once more."

    # Callbacks of every provider
    CALLBACKS_OVERFLOWED = (
        "CallbacksOverflowed",
        "Authentic callbacks kept in quarantine because the item that they name has no room for them.",
        _ALARMED,
    )
    CALLBACKS_UNSTORABLE = (
        "CallbacksUnstorable",
        "Authentic callbacks kept in quarantine because the state table refuses them for good.",
        _ALARMED,
    )

    # Limits of the providers, measured every minute
    CIRCUIT_OPEN = "CircuitOpen", "1 while the provider's circuit is open, otherwise 0.", _ALARMED, _GAUGE
    CONSECUTIVE_401S = "Consecutive401s", "401s in a row from the provider.", _GAUGE
    SLOTS_AHEAD_SECONDS = "SlotsAheadSeconds", "Seconds from now to the provider's next free slot.", _ALARMED, _GAUGE
    REQUESTS_IN_FLIGHT = "RequestsInFlight", "Requests to the provider that have a permit.", _GAUGE
    MONTHLY_QUOTA_USED_PERCENT = (
        "MonthlyQuotaUsedPercent",
        "Per cent of the provider's monthly quota that is used.",
        _ALARMED,
        _GAUGE,
    )

    # SMS
    SMS_QUEUED = "SmsQueued", "SMS put into the outbox or the bulk queue."
    SMS_SCHEDULED = "SmsScheduled", "SMS accepted for a later time."
    SMS_CANCELED = "SmsCanceled", "Cancellations of SMS, repeated ones too."
    SMS_ACCEPTED = "SmsAccepted", "SMS that MediaSMS accepted.", _ALARMED
    SMS_REJECTED = "SmsRejected", "Queued SMS that MediaSMS rejected."
    SMS_UNKNOWN = "SmsUnknown", "SMS sent without a readable answer from MediaSMS.", _ALARMED
    SMS_EXPIRED = "SmsExpired", "SMS whose `not_after` passed before they were submitted."
    SMS_REQUEUED = "SmsRequeued", "Queued SMS that could not be submitted now and went back into the queue.", _ALARMED
    SMS_ALREADY_DECIDED = "SmsAlreadyDecided", "Queue entries for SMS that had nothing left to submit."
    SMS_REPLAYED = "SmsReplayed", "Repeated requests to send an SMS, answered from the stored message."
    SMS_PREFLIGHTED = "SmsPreflighted", "Requests with `dry_run`."
    SMS_QUERIED = "SmsQueried", "Reads of SMS, single or listed."

    # Delivery reports
    DELIVERY_REPORTS_RECORDED = (
        "DeliveryReportsRecorded",
        "Delivery reports stored with one of our SMS.",
        _ALARMED,
    )
    DELIVERY_REPORTS_ORPHANED = (
        "DeliveryReportsOrphaned",
        "Delivery reports stored for an `smsid` that is not ours, or for another number.",
    )
    DELIVERY_REPORTS_SPOOLED = (
        "DeliveryReportsSpooled",
        "Delivery reports kept in the archive because the state table gave no answer.",
        _ALARMED,
    )
    DELIVERY_REPORTS_QUARANTINED = "DeliveryReportsQuarantined", "Delivery reports that cannot be read.", _ALARMED
    AUTHCODES_REFUSED = (
        "AuthcodesRefused",
        "Delivery reports of our own SMS and verifications whose `authcode` is not for that number.",
        _ALARMED,
    )
    AUTHCODES_UNREADABLE = "AuthcodesUnreadable", "Delivery reports whose `authcode` is not 1 to 16 digits.", _ALARMED

    # Verifications
    VERIFICATION_STARTED = "VerificationStarted", "Verifications that MediaSMS accepted, also by mode.", _ALARMED
    VERIFICATION_UNKNOWN = "VerificationUnknown", "Verifications without a readable answer from MediaSMS.", _ALARMED
    VERIFICATION_REPLAYED = (
        "VerificationReplayed",
        "Repeated requests to verify, answered from the stored verification.",
    )
    VERIFICATIONS_CHECKED = "VerificationsChecked", "Codes that matched, also by the mode of their channel.", _ALARMED
    VERIFICATIONS_EXPIRED = "VerificationsExpired", "Verifications that expired, by mode only."
    SECONDS_TO_VERIFY = "SecondsToVerify", "Seconds from a start to the code that matched, by mode only.", _GAUGE
    VERIFICATION_CHECKS_REPLAYED = (
        "VerificationChecksReplayed",
        "Repeated checks with the idempotency key of the one that matched.",
    )
    VERIFICATIONS_RESENT = "VerificationsResent", "SMS with a new code that MediaSMS accepted, or may have accepted."
    FALLBACK_CALLS_PLACED = "FallbackCallsPlaced", "Calls to numbers whose SMS did not arrive, that MediaSMS accepted."
    FALLBACK_CALLS_FAILED = (
        "FallbackCallsFailed",
        "Calls to numbers whose SMS did not arrive, that MediaSMS rejected or did not answer for.",
    )
    VERIFICATIONS_CANCELED = "VerificationsCanceled", "Cancellations of verifications, repeated ones too."
    VERIFICATIONS_QUERIED = "VerificationsQueried", "Reads of verifications, single or listed."
    IVR_CALLS_MATCHED = "IvrCallsMatched", "IVR calls that belong to an open verification.", _ALARMED
    IVR_CALLS_REPEATED = "IvrCallsRepeated", "IVR calls that MediaSMS reported before."
    IVR_CALLS_LATE = "IvrCallsLate", "IVR calls that came after their verification had ended."
    IVR_CALLS_UNMATCHED = "IvrCallsUnmatched", "IVR calls that belong to no verification.", _ALARMED
    IVR_CALLS_SPOOLED = (
        "IvrCallsSpooled",
        "IVR calls kept in the archive because the state table gave no answer.",
        _ALARMED,
    )
    IVR_CALLS_QUARANTINED = "IvrCallsQuarantined", "IVR callbacks that cannot be read.", _ALARMED

    # Voice calls
    VOICE_CALL_ACCEPTED = "VoiceCallAccepted", "Voice calls that Baidu VMS accepted."
    VOICE_CALL_UNKNOWN = "VoiceCallUnknown", "Voice calls without a readable answer from Baidu VMS.", _ALARMED
    VOICE_CALL_REPLAYED = "VoiceCallReplayed", "Repeated requests to place a call, answered from the stored call."
    VOICE_CALLS_QUERIED = "VoiceCallsQueried", "Reads of voice calls, single or listed."
    CALL_RESULTS_RECORDED = "CallResultsRecorded", "Call results stored with one of our calls."
    CALL_RESULTS_UNMATCHED = "CallResultsUnmatched", "Call results for a call that is not ours or not known yet."
    CALL_RESULTS_SPOOLED = (
        "CallResultsSpooled",
        "Call results kept in the archive because the state table gave no answer.",
        _ALARMED,
    )
    CALL_RESULTS_QUARANTINED = "CallResultsQuarantined", "Call results that cannot be read."

    # Recordings
    RECORDINGS_ANNOUNCED = "RecordingsAnnounced", "Call actions with a new recording."
    CALL_ACTIONS_REPEATED = "CallActionsRepeated", "Call actions with a recording that was announced before."
    CALL_ACTIONS_REFUSED = "CallActionsRefused", "Call actions without a usable id.", _ALARMED
    CHANNELS_STORED = "ChannelsStored", "Attempts at a channel that stored its file."
    CALL_ACTIONS_DIFFERENT = (
        "CallActionsDifferent",
        "Call actions with an announced recording and another number or time than before.",
    )
    CALL_ACTIONS_IGNORED = (
        "CallActionsIgnored",
        "Call actions not stored because their recording has as many different ones as are kept.",
        _ALARMED,
    )
    JOBS_QUARANTINED = "JobsQuarantined", "Objects under `jobs/` or `backlog/` that hold no job.", _ALARMED
    RECORDINGS_PARKED = (
        "RecordingsParked",
        "Recordings that wait because too many are announced, or too many answered 404.",
        _ALARMED,
    )
    CHANNELS_NOT_FOUND = "ChannelsNotFound", "Attempts at a channel that BIZTEL answered with 404.", _ALARMED
    CHANNELS_FORBIDDEN = "ChannelsForbidden", "Attempts at a channel that BIZTEL forbids to this account.", _ALARMED
    CHANNELS_REFUSED = "ChannelsRefused", "Attempts at a channel that end it for another reason, such as its size."
    CHANNELS_FAILED = "ChannelsFailed", "Attempts at a channel that ended in an error and may be repeated."
    CHANNELS_QUOTA_EXHAUSTED = (
        "ChannelsQuotaExhausted",
        "Attempts at a channel not made because the monthly quota is used.",
    )
    CHANNELS_LOST = (
        "ChannelsLost",
        "Channels that can no longer be fetched, counted when their recording closes.",
        _ALARMED,
    )
    CHANNELS_QUARANTINED = (
        "ChannelsQuarantined",
        "Channels of which only bytes that are no recording came, counted when their recording closes.",
        _ALARMED,
    )
    RECORDINGS_REQUEUED = "RecordingsRequeued", "Recordings put back into the queue before all channels were tried."
    RECORDINGS_CLOSED = "RecordingsClosed", "Recordings of which nothing more is awaited."
    RECORDINGS_QUERIED = "RecordingsQueried", "Reads of recordings, single or listed."
    RECORDING_ROLES_CORRECTED = "RecordingRolesCorrected", "Corrections of the roles on a recording's channels."
    BULK_FILES_STORED = "BulkFilesStored", "Files under `bulk/` that became a recording's channel."
    BULK_FILES_REPEATED = "BulkFilesRepeated", "Files under `bulk/` whose channel was stored before."
    BULK_FILES_QUARANTINED = "BulkFilesQuarantined", "Files under `bulk/` that cannot become a recording.", _ALARMED
    BULK_FILES_GONE = "BulkFilesGone", "Files under `bulk/` that no longer exist."

    # Transcripts
    TRANSCRIPTIONS_STARTED = "TranscriptionsStarted", "Jobs that the recogniser took."
    TRANSCRIPTION_SECONDS = "TranscriptionSeconds", "Seconds of audio counted in the month before a job was asked for."
    TRANSCRIPTIONS_EMPTY = "TranscriptionsEmpty", "Recordings' parts not given to the recogniser: nothing is said."
    TRANSCRIPTIONS_POSTPONED = (
        "TranscriptionsPostponed",
        "Recordings whose jobs could not be asked for now and wait for the month, a permit or the recogniser.",
    )
    TRANSCRIPTIONS_FAILED = (
        "TranscriptionsFailed",
        "Jobs that failed, were refused, or were not asked for because of the audio's length or format.",
        _ALARMED,
    )
    TRANSCRIPTS_STORED = "TranscriptsStored", "Jobs whose transcript is stored."


DELIVERY_REPORT_OUTCOMES: Final[Mapping[str, Metric]] = {
    "recorded": Metric.DELIVERY_REPORTS_RECORDED,
    "not_arriving": Metric.DELIVERY_REPORTS_RECORDED,
    "recorded_without_code": Metric.AUTHCODES_REFUSED,
    "orphan": Metric.DELIVERY_REPORTS_ORPHANED,
    "overflowed": Metric.CALLBACKS_OVERFLOWED,
    "refused": Metric.CALLBACKS_UNSTORABLE,
    "spooled": Metric.DELIVERY_REPORTS_SPOOLED,
    "quarantined": Metric.DELIVERY_REPORTS_QUARANTINED,
}
IVR_CALL_OUTCOMES: Final[Mapping[str, Metric]] = {
    "matched": Metric.IVR_CALLS_MATCHED,
    "duplicate": Metric.IVR_CALLS_REPEATED,
    "late": Metric.IVR_CALLS_LATE,
    "foreign": Metric.IVR_CALLS_UNMATCHED,
    "no_candidate": Metric.IVR_CALLS_UNMATCHED,
    "refused": Metric.CALLBACKS_UNSTORABLE,
    "spooled": Metric.IVR_CALLS_SPOOLED,
    "quarantined": Metric.IVR_CALLS_QUARANTINED,
}
CALL_RESULT_OUTCOMES: Final[Mapping[str, Metric]] = {
    "recorded": Metric.CALL_RESULTS_RECORDED,
    "unmatched": Metric.CALL_RESULTS_UNMATCHED,
    "overflowed": Metric.CALLBACKS_OVERFLOWED,
    "refused": Metric.CALLBACKS_UNSTORABLE,
    "spooled": Metric.CALL_RESULTS_SPOOLED,
    "quarantined": Metric.CALL_RESULTS_QUARANTINED,
}
CALL_ACTION_OUTCOMES: Final[Mapping[str, Metric]] = {
    "announced": Metric.RECORDINGS_ANNOUNCED,
    "repeated": Metric.CALL_ACTIONS_REPEATED,
    "different": Metric.CALL_ACTIONS_DIFFERENT,
    "too_many": Metric.CALL_ACTIONS_IGNORED,
    "refused": Metric.CALLBACKS_UNSTORABLE,
    "quarantined": Metric.CALL_ACTIONS_REFUSED,
}
