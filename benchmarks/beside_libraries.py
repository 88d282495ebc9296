"""A warm webhook, a signature and the counting of a text, each over the same work in a library of the field."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from baidubce.auth import bce_v1_signer
from baidubce.auth.bce_credentials import BceCredentials

from benchmarks.contenders import Contender, Contenders
from benchmarks.lambda_path import LIBRARIES
from benchmarks.rows import Row, ratio_row
from switchboard.domain.sms.texts import count_parts
from switchboard.providers.baidu_vms.signer import Credentials, sign

_ROUNDS: Final = 3
_CALLS: Final = 100
_WARM_UP_CALLS: Final = 10
_GOALS: Final = {"anymail_postmark": 1.0, "powertools_resolver": 0.7}
_LOOPS: Final = 40
_AT_ONCE: Final = 250
_PATH: Final = "/cloud/api/v1/messages"
_SECRET: Final = "canary"  # noqa: S105
_AT: Final = datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC)
_TEXTS: Final = ("Your code is 123456.", "ご予約を承りました。11月22日 12時", "あ" * 200, "a" * 400)


def library_rows(contenders: Contenders) -> Iterator[Row]:
    """Measure two rows of a warm webhook, one of signatures, and one of texts."""
    ours: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in _GOALS}
    for _ in range(_ROUNDS):
        ours += _measure_calls(contenders.ours["mediasms_delivery_webhook"])
        for name in _GOALS:
            theirs[name] += _measure_calls(contenders.libraries[name])
    for name, goal in _GOALS.items():
        yield ratio_row(f"webhook, over {name}", ours=ours, baseline=theirs[name], goal=goal)
    yield _signature_row()
    yield _counting_row()


def _measure_calls(contender: Contender) -> tuple[float, ...]:
    return contender.run(calls=_CALLS).calls_cpu_s[_WARM_UP_CALLS:]


def _signature_row() -> Row:
    ours = Credentials(access_key_id="AKEXAMPLE", secret_access_key=_SECRET)
    theirs = BceCredentials("AKEXAMPLE", _SECRET)
    headers = {"host": "vms.baidubce.com", "x-bce-date": "2026-11-22T03:04:05Z", "content-type": "application/json"}
    their_headers = {name.encode(): value.encode() for name, value in headers.items()}

    def sign_ours() -> None:
        sign(credentials=ours, method="POST", path=_PATH, parameters={}, headers=headers, at=_AT, lifetime_s=1800)

    def sign_by_sdk() -> None:
        bce_v1_signer.sign(theirs, b"POST", _PATH.encode(), their_headers, {}, timestamp=int(_AT.timestamp()))

    return ratio_row(f"bce signature, {_AT_ONCE} over the SDK's", **_take_turns(sign_ours, sign_by_sdk), goal=0.6)


def _counting_row() -> Row:
    sys.path.append(str(LIBRARIES))  # at the end: it holds other versions of packages that this process uses
    import smsutil  # noqa: PLC0415

    def count() -> None:
        for text in _TEXTS:
            count_parts(text)

    def count_by_library() -> None:
        for text in _TEXTS:
            len(smsutil.split(text).parts)

    return ratio_row(f"SMS counting, {_AT_ONCE} times over smsutil", **_take_turns(count, count_by_library), goal=0.4)


def _take_turns(ours: Callable[[], None], baseline: Callable[[], None]) -> dict[str, list[float]]:
    series: dict[str, list[float]] = {"ours": [], "baseline": []}
    for _ in range(_LOOPS):
        for name, work in (("ours", ours), ("baseline", baseline)):
            began = time.process_time()
            for _ in range(_AT_ONCE):
                work()
            series[name].append(time.process_time() - began)
    return series
