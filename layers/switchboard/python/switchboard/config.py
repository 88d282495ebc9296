"""Reads each function's settings from its environment: one class a function, and one error for all missing names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Literal, Self, dataclass_transform, get_args, get_origin, get_type_hints

from switchboard.domain.errors import ConfigurationError


def _read_boolean(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError
    return text == "true"


def _read(kind: Any, text: str) -> Any:
    if kind is bool:
        return _read_boolean(text)
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            raise ValueError
        return text
    if get_origin(kind) is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return kind(text)


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Settings(SimpleNamespace):
    """Settings from environment variables: a member `state_table: str` is the variable `STATE_TABLE`.

    All variables are required and none has a default here: the template alone says what a deployment is made of. A
    `tuple` is a list with commas.
    """

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the settings from `environ`, by default the environment of the process.

        Raises:
            ConfigurationError: variables are missing or unreadable; the message names all of them.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        unreadable = []
        for name, kind in get_type_hints(cls).items():
            try:
                values[name] = _read(kind, environ[name.upper()])
            except (KeyError, ValueError):
                unreadable.append(name.upper())
        if unreadable:
            raise ConfigurationError(f"{cls.__name__}: missing or unreadable: {', '.join(unreadable)}")
        return cls(**values)

    @classmethod
    def variables(cls) -> frozenset[str]:
        """Return the environment variables that a function with these settings needs."""
        return frozenset(name.upper() for name in get_type_hints(cls))


class StateSettings(Settings):
    """The settings of functions that read or write the state table: the table, and the deadlines of orders."""

    state_table: str
    store_timeout_s: float
    retention_days: int
    delivery_window_hours: float
    queue_validity_hours: float
    requeue_minutes: float
    lease_grace_minutes: float
    mediasms_results_url: str
    mediasms_not_found_decides: bool

    @property
    def retention(self) -> timedelta:
        """The time for which an order is kept."""
        return timedelta(days=self.retention_days)


class OutboxSettings(Settings):
    """The settings of functions that put messages into the queues."""

    outbox_queue_url: str
    bulk_queue_url: str


class MediaSmsSettings(StateSettings):
    """The settings of functions that submit to MediaSMS."""

    limits_table: str
    egress_address: str
    claim_lifetime_s: float
    slot_wait_budget_s: float
    provider_timeout_s: float
    mediasms_base_url: str
    mediasms_secret_name: str
    mediasms_requests_per_s: int
    mediasms_jitter_milliseconds: int
    in_flight_limit: int
    bulk_in_flight_limit: int
    mediasms_lockout_policy: Literal["lockout_safe", "full_rate"]
    mediasms_method: Literal["POST", "GET"]
    mediasms_wire_variant: Literal["jis", "ms932", "as_is"]
    allow_plain_http: bool
    long_sms: bool


class SenderSettings(MediaSmsSettings, OutboxSettings):
    """The settings of functions that submit messages."""


class ApiKeySettings(Settings):
    """The settings of functions that a client's API key opens."""

    limits_table: str
    store_timeout_s: float
    default_scopes: tuple[str, ...]
    client_limit_per_hour: int
    client_limit_per_day: int


class UsageLimitSettings(ApiKeySettings):
    """The settings of functions that submit for a caller."""

    exempt_numbers: tuple[str, ...]
    recipient_limit_per_minute: int
    recipient_limit_per_hour: int
    recipient_limit_per_day: int
    daily_limit: int


class SendSmsSettings(SenderSettings, UsageLimitSettings):
    """The settings of `functions/send_sms`."""

    overseas_prefixes: tuple[str, ...]
    quiet_hours: str


class SendSmsBatchSettings(SendSmsSettings):
    """The settings of `functions/send_sms_batch`."""


class VerificationMethodSettings(Settings):
    """The settings of functions that request telephone calls of MediaSMS. `verification_methods` are `mode=method`."""

    verification_methods: tuple[str, ...]
    allow_undocumented_methods: bool


class SendQueuedSmsSettings(SenderSettings, VerificationMethodSettings):
    """The settings of `functions/send_queued_sms`."""

    requeue_delay_s: int
    queue_threads: int
    quarantine_bucket: str
    code_secret_name: str
    mediasms_no_such_id_codes: tuple[str, ...]


class CancelSmsSettings(StateSettings, ApiKeySettings):
    """The settings of `functions/cancel_sms`."""


class SuppressionsSettings(StateSettings, ApiKeySettings):
    """The settings of `functions/suppressions`."""


class WebhookSettings(Settings):
    """The settings of every webhook: the secret with its tokens, and the addresses of its provider, empty for all."""

    webhook_tokens_secret_name: str
    webhook_source_ranges: tuple[str, ...]


class MediaSmsDeliveryWebhookSettings(StateSettings, WebhookSettings):
    """The settings of `functions/mediasms_delivery_webhook`."""

    quarantine_bucket: str
    code_secret_name: str
    outbox_queue_url: str


class QuerySettings(StateSettings, ApiKeySettings):
    """The settings of `functions/query`."""


class StatusSettings(StateSettings, OutboxSettings):
    """The settings of functions that read the status of the whole system."""

    limits_table: str
    outbox_dead_letter_queue_url: str
    egress_address: str
    mediasms_requests_per_s: int
    mediasms_jitter_milliseconds: int
    mediasms_lockout_policy: Literal["lockout_safe", "full_rate"]
    in_flight_limit: int
    baidu_vms_requests_per_s: int
    baidu_vms_concurrency: int
    biztel_requests_per_month: int
    biztel_month_reserve: int
    biztel_requests_per_s: int
    biztel_in_flight_limit: int
    recording_queue_url: str
    recording_backlog_queue_url: str
    recording_dead_letter_queue_url: str
    transcription_queue_url: str
    transcription_events_queue_url: str
    transcription_dead_letter_queue_url: str
    transcription_minutes_per_month: int


class QueryStatusSettings(StatusSettings, ApiKeySettings):
    """The settings of `functions/query_status`."""


class WatchLimitsSettings(StatusSettings):
    """The settings of `functions/watch_limits`."""


class ChangesSettings(Settings):
    """The settings of functions that publish changes."""

    changes_bus_name: str
    changes_repair_queue_url: str


class RecordingTimeSettings(StateSettings):
    """The settings of functions that know until when a recording is fetched and kept."""

    recording_retention_days: int
    biztel_split_days: float
    biztel_margin_hours: float
    biztel_not_found_minutes: float

    @property
    def recording_retention(self) -> timedelta:
        """The time for which a recording is kept."""
        return timedelta(days=self.recording_retention_days)


class RecordingQueueSettings(StateSettings):
    """The settings of functions that put recordings into their queues, within the limits on new ones and on 404s."""

    limits_table: str
    recording_queue_url: str
    recording_backlog_queue_url: str
    biztel_announcements_per_hour: int
    biztel_not_found_retries_per_day: int


class TranscriptionQueueSettings(StateSettings):
    """The settings of functions that put recordings into the queues of transcripts. 0 minutes make no transcripts."""

    transcription_minutes_per_month: int
    transcription_queue_url: str
    transcription_events_queue_url: str


class SweepOverdueSettings(RecordingTimeSettings, RecordingQueueSettings, TranscriptionQueueSettings, OutboxSettings):
    """The settings of `functions/sweep_overdue`."""

    quarantine_bucket: str
    hook_queue_url: str


class RecordingSettings(RecordingTimeSettings):
    """The settings of functions that read or write recordings: where, which channels, and until when."""

    recordings_bucket: str
    biztel_channels: tuple[str, ...]
    biztel_monaural_instead: bool


class DescribingSettings(RecordingSettings):
    """The settings of functions that describe resources as change events show them."""

    transcription_minutes_per_month: int


class PublishChangesSettings(DescribingSettings, ChangesSettings):
    """The settings of `functions/publish_changes`."""

    hook_queue_url: str


class BiztelCallActionWebhookSettings(StateSettings, WebhookSettings):
    """The settings of `functions/biztel_call_action_webhook`."""

    jobs_bucket: str
    quarantine_bucket: str


class FetchRecordingSettings(RecordingSettings, RecordingQueueSettings, TranscriptionQueueSettings):
    """The settings of `functions/fetch_recording`."""

    jobs_bucket: str
    quarantine_bucket: str
    egress_address: str
    biztel_base_url: str
    biztel_secret_name: str
    biztel_requests_per_s: int
    biztel_jitter_milliseconds: int
    biztel_in_flight_limit: int
    biztel_requests_per_month: int
    biztel_month_reserve: int
    biztel_download_s: float
    biztel_read_timeout_s: float
    biztel_require_length: bool
    biztel_max_bytes: int
    allow_plain_http: bool


class QueryRecordingsSettings(RecordingSettings, ApiKeySettings):
    """The settings of `functions/query_recordings`."""

    jobs_bucket: str
    recording_url_minutes: float
    transcription_minutes_per_month: int


class CorrectRecordingRolesSettings(QueryRecordingsSettings):
    """The settings of `functions/correct_recording_roles`."""


class TranscriptionSettings(TranscriptionQueueSettings):
    """The settings of functions that ask the recogniser."""

    limits_table: str
    recordings_bucket: str
    recognition_bucket: str
    stack_name: str
    transcription_language: str
    transcription_vocabulary: str
    transcription_in_flight: int
    transcription_recognizer: Literal["transcribe", "http"]
    recognizer_url: str
    recognizer_secret_name: str
    allow_plain_http: bool


class StartTranscriptionSettings(TranscriptionSettings):
    """The settings of `functions/start_transcription`."""


class StoreTranscriptSettings(TranscriptionSettings):
    """The settings of `functions/store_transcript`."""

    quarantine_bucket: str
    transcription_redaction: bool


class CallbackNameSettings(Settings):
    """The settings of functions that depend on the parameter names of Baidu VMS's callbacks.

    Without names no callback is expected.
    """

    baidu_vms_call_id_names: tuple[str, ...]
    baidu_vms_result_names: tuple[str, ...]


class PlaceCallSettings(StateSettings, UsageLimitSettings, CallbackNameSettings):
    """The settings of `functions/place_call`."""

    egress_address: str
    claim_lifetime_s: float
    slot_wait_budget_s: float
    allow_plain_http: bool
    baidu_vms_base_url: str
    baidu_vms_secret_name: str
    baidu_vms_requests_per_s: int
    baidu_vms_concurrency: int
    baidu_vms_timeout_s: float
    baidu_vms_retry_budget_s: float
    baidu_vms_token_relied_on: bool
    baidu_vms_prefixes: tuple[str, ...]
    outbox_queue_url: str
    baidu_vms_max_play_times: int


class BaiduVmsWebhookSettings(StateSettings, WebhookSettings, CallbackNameSettings):
    """The settings of `functions/baidu_vms_webhook`."""

    quarantine_bucket: str
    baidu_vms_callback_answer: str


class StartVerificationSettings(SenderSettings, UsageLimitSettings, VerificationMethodSettings):
    """The settings of `functions/start_verification`."""

    verification_lines: tuple[str, ...]
    verification_minutes: int
    max_holding_minutes: int
    max_repeat_calls: int
    code_secret_name: str
    code_text_ja: str
    code_text_zh: str
    code_text_en: str


class CheckVerificationSettings(StateSettings, ApiKeySettings):
    """The settings of `functions/check_verification`."""

    wrong_codes_per_hour: int
    code_secret_name: str


class CancelVerificationSettings(StateSettings, ApiKeySettings):
    """The settings of `functions/cancel_verification`."""


class MediaSmsIvrWebhookSettings(StateSettings, WebhookSettings):
    """The settings of `functions/mediasms_ivr_webhook`."""

    quarantine_bucket: str


class SubscriptionSettings(StateSettings, ApiKeySettings):
    """The settings of functions that post to callers' addresses: the queue, the master secret, and who we are."""

    hook_queue_url: str
    signing_secret_name: str
    allow_loopback_webhooks: bool


class ManageSubscriptionsSettings(SubscriptionSettings):
    """The settings of `functions/manage_subscriptions`."""


class DeliverChangesSettings(SubscriptionSettings, DescribingSettings):
    """The settings of `functions/deliver_changes`, which reads every kind of resource."""

    own_hosts: tuple[str, ...]
    changes_bus_name: str
