"""Builds the application of `functions/place_call`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from typing import Final

from switchboard.bootstrap.components.guards import api_keys, baidu_guard_settings, provider_guards, usage_limits
from switchboard.bootstrap.components.shared import CLOCK, build_magic_numbers, new_id
from switchboard.bootstrap.components.voice_calls import voice_call_status, voice_call_store
from switchboard.config import PlaceCallSettings
from switchboard.domain.errors import ConfigurationError
from switchboard.domain.voice_calls import submission_of
from switchboard.ports.provider_limits import ProviderGuard
from switchboard.providers.baidu_vms.client import BaiduVmsClient
from switchboard.providers.baidu_vms.parameters import CallRules
from switchboard.providers.baidu_vms.signer import Credentials
from switchboard.providers.transport import Connection, parse_endpoint
from switchboard.storage.aws import CachedSecret
from switchboard.storage.retrying import GUARD, SUBMISSION, retrying
from switchboard.usecases.submission.attempt import Submission
from switchboard.usecases.submission.submit_once import SubmitOnce
from switchboard.usecases.voice_call.place import PlaceCall

_CONNECT_TIMEOUT_S: Final = 2.0

__all__ = ["api_keys", "application"]


@dataclass(frozen=True, slots=True)
class PlaceCallApplication:
    """The use cases and rules that the handler needs."""

    place: PlaceCall


@cache
def application() -> PlaceCallApplication:
    """Build the application once a container.

    Raises:
        ConfigurationError: a variable of the environment is missing or unreadable.
    """
    settings = PlaceCallSettings.load()
    account = CachedSecret(name=settings.baidu_vms_secret_name)
    calls = retrying(voice_call_store(settings), *SUBMISSION)
    client = _build_client(settings, account)
    submit_once = SubmitOnce(
        orders=calls,
        submission=Submission(
            orders=calls,
            provider=client,
            submission_of=submission_of,
            guard=retrying(_build_guard(settings, account), *GUARD),
            clock=CLOCK,
            wait_budget=timedelta(seconds=settings.slot_wait_budget_s),
            claim_lifetime=timedelta(seconds=settings.claim_lifetime_s),
            magic_numbers=partial(build_magic_numbers, settings.outbox_queue_url),
            queues=False,
        ),
        limits=usage_limits(settings),
        clock=CLOCK,
        new_id=new_id,
        status_of=voice_call_status(settings),
    )
    return PlaceCallApplication(
        place=PlaceCall(
            submit_once=submit_once,
            compose=client.compose,
            clock=CLOCK,
            new_id=new_id,
            callback_expected=bool(settings.baidu_vms_call_id_names and settings.baidu_vms_result_names),
        ),
    )


def _build_guard(settings: PlaceCallSettings, account: CachedSecret) -> ProviderGuard:
    """Build the guard that every container behind this address shares."""
    return provider_guards(
        provider="baidu_vms",
        egress_address=settings.egress_address,
        limits_table=settings.limits_table,
        settings=baidu_guard_settings(
            in_flight=settings.baidu_vms_concurrency, requests_per_s=settings.baidu_vms_requests_per_s
        ),
        account=account,
        store_timeout_s=settings.store_timeout_s,
    ).single


def _build_client(settings: PlaceCallSettings, account: CachedSecret) -> BaiduVmsClient:
    return BaiduVmsClient(
        base_url=settings.baidu_vms_base_url,
        credentials=_read_credentials(settings, account),
        clock=CLOCK,
        connection=Connection(
            origin=parse_endpoint(settings.baidu_vms_base_url, allow_plain_http=settings.allow_plain_http).origin,
            provider="baidu_vms",
            allow_plain_http=settings.allow_plain_http,
            connect_timeout_s=_CONNECT_TIMEOUT_S,
            read_timeout_s=settings.baidu_vms_timeout_s,
            deadline_s=settings.baidu_vms_timeout_s,
        ),
        rules=CallRules(prefixes=settings.baidu_vms_prefixes, max_play_times=settings.baidu_vms_max_play_times),
        rely_on_client_token=settings.baidu_vms_token_relied_on,
        retry_budget=timedelta(seconds=settings.baidu_vms_retry_budget_s),
        allow_plain_http=settings.allow_plain_http,
    )


def _read_credentials(settings: PlaceCallSettings, account: CachedSecret) -> Callable[[], Credentials]:
    def credentials() -> Credentials:
        values = account().values
        access_key, secret_key, session_token = (values.get(name) for name in ("ak", "sk", "session_token"))
        if (
            not isinstance(access_key, str)
            or not isinstance(secret_key, str)
            or not isinstance(session_token, str | None)
        ):
            raise ConfigurationError(f"the secret {settings.baidu_vms_secret_name} needs the texts ak and sk")
        return Credentials(access_key_id=access_key, secret_access_key=secret_key, session_token=session_token)

    return credentials
