"""The BIZTEL simulator does what its document says: tokens, error bodies, limits, files, faults, call actions."""

import datetime
import hashlib
import http.client
import io
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import tracemalloc
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import miniaudio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tinytag import TinyTag

from sandbox.simulators.biztel import BiztelSimulator, CallSpec, Channel, SimulatorConfig
from sandbox.simulators.biztel.audio import FRAME_BYTES, mp3_of_bytes, samples_of
from sandbox.simulators.biztel.call_actions import MAX_UNDER_WAY
from sandbox.simulators.biztel.faults import Fault, FaultKind, read_fault
from sandbox.simulators.clock_and_locks import Condition, never
from tests.customer import Answered, ManualClock, Receiver, answer_of, connection_to, json_or_nothing

TOKEN = "right-token"
DIALOGUE = Path(__file__).parents[2] / "sandbox/simulators/biztel/dialogue"
TEL = "09000000042"
DAY_S = 86_400
# 2026-04-01 00:00:00 in Japan.
APRIL = 1_774_969_200.0


class InstantSimulator(BiztelSimulator):
    """A simulator that records the waits of its HTTP answers and does not wait."""

    waits: list[float]

    def wait(self, seconds: float, condition: Condition = never) -> None:
        self.waits.append(seconds)


class Customer:
    """A plain HTTP client of one simulator that shares no code with the product's client."""

    def __init__(self, simulator: BiztelSimulator, tls: ssl.SSLContext | None = None) -> None:
        self._simulator = simulator
        self._tls = tls

    def connect(self) -> http.client.HTTPConnection:
        return connection_to(self._simulator.url, tls=self._tls)

    def exchange(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answered:
        return answer_of(self.connect(), method, path, body, headers)

    def download(self, call_id: str, channel: str | None = None, authorization: str = f"Token {TOKEN}") -> Answered:
        query = "" if channel is None else f"?content_type={channel}"
        path = f"/public/api/v1/monitor/{quote(call_id, safe='')}{query}"
        if not authorization:
            return self.exchange("GET", path)
        return self.exchange("GET", path, Authorization=authorization)

    def control(self, path: str, body: object = None) -> Any:
        answer = self.raw_control(path, body)
        assert answer.status == 200, answer.body
        return answer.json

    def raw_control(self, path: str, body: object = None) -> Answered:
        return self.exchange("GET" if body is None else "POST", f"/control/{path}", json_or_nothing(body))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver("/monitor_file_event") as server:
        yield server


@dataclass
class Running:
    """A running simulator with clocks that the test sets."""

    simulator: InstantSimulator
    customer: Customer
    clock: ManualClock
    wall_clock: ManualClock
    lines: list[str]

    def call(self, *faults: Fault, **spec: Any) -> str:
        """End a call without a call action and return its id."""
        return self.simulator.finish(CallSpec(announce=False, faults=faults, **spec)).call_id

    def set(self, **changes: object) -> None:
        self.simulator.provider.configure(changes)


@pytest.fixture
def biztel() -> Iterator[Running]:
    clock, wall_clock, lines = ManualClock(100.0), ManualClock(APRIL), list[str]()
    config = SimulatorConfig(token=TOKEN, requests_per_second=1000)
    simulator = InstantSimulator(config, clock=clock, wall_clock=wall_clock, log=lines.append)
    simulator.waits = []
    with simulator:
        yield Running(simulator, Customer(simulator), clock, wall_clock, lines)


def frames_of(recording: bytes) -> list[bytes]:
    """Return the MPEG frames behind an ID3 tag, and check the sync word of each."""
    start = 0
    if recording.startswith(b"ID3"):
        start = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(recording[6:10], (21, 14, 7, 0), strict=True))
    assert (len(recording) - start) % FRAME_BYTES == 0
    frames = [recording[at : at + FRAME_BYTES] for at in range(start, len(recording), FRAME_BYTES)]
    assert all(frame.startswith(b"\xff\xe3") for frame in frames)
    return frames


# ---- Recordings ----


@pytest.mark.parametrize("seconds", [1, 6, 61])
def test_a_recording_is_an_mp3_as_long_as_the_call(biztel: Running, seconds: int) -> None:
    answer = biztel.customer.download(biztel.call(seconds=seconds), "left")

    tag = TinyTag.get(filename="a.mp3", file_obj=io.BytesIO(answer.body))
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "audio/mpeg"
    assert tag.duration == pytest.approx(seconds, abs=0.08)
    assert frames_of(answer.body)


def test_the_three_channels_differ(biztel: Running) -> None:
    call_id = biztel.call()
    sounds = {b"".join(frames_of(biztel.customer.download(call_id, channel).body)) for channel in Channel}

    assert len(sounds) == 3


def test_one_party_speaks_at_a_time_and_monaural_has_both() -> None:
    left, right = samples_of(Channel.LEFT), samples_of(Channel.RIGHT)

    assert any(left)
    assert any(right)
    assert not any(one and other for one, other in zip(left, right, strict=True))
    assert list(samples_of(Channel.MONAURAL)) == [one + other for one, other in zip(left, right, strict=True)]


def test_a_download_without_content_type_is_monaural(biztel: Running) -> None:
    call_id = biztel.call()

    assert biztel.customer.download(call_id).body == biztel.customer.download(call_id, "monaural").body


def test_files_of_two_calls_differ_unless_tags_are_off(biztel: Running) -> None:
    first, second = biztel.call(), biztel.call()
    assert biztel.customer.download(first).body != biztel.customer.download(second).body

    biztel.set(id3_tags=False)

    assert biztel.customer.download(first).body == biztel.customer.download(second).body
    assert biztel.customer.download(first).body.startswith(b"\xff\xe3")


def test_a_dialogue_is_the_committed_files_behind_a_tag_of_the_call(biztel: Running) -> None:
    calls = [biztel.call(dialogue=True), biztel.call(dialogue=True)]

    for channel in Channel:
        bodies = [biztel.customer.download(call_id, channel).body for call_id in calls]
        assert bodies[0] != bodies[1]
        committed = DIALOGUE.joinpath(f"{channel}.mp3").read_bytes()
        assert {b"".join(frames_of(body)) for body in bodies} == {committed}


def test_the_words_of_the_dialogue_lie_where_its_files_are_loud() -> None:
    contents = json.loads(DIALOGUE.joinpath("words.json").read_text(encoding="utf-8"))

    assert {content["channel"] for content in contents.values()} == set(Channel)
    for digest, content in contents.items():
        data = DIALOGUE.joinpath(f"{content['channel']}.mp3").read_bytes()
        assert hashlib.sha256(data).hexdigest() == digest
        samples = miniaudio.decode(data, nchannels=1, sample_rate=8000).samples
        loudness = [max(map(abs, samples[at : at + 80]), default=0) for at in range(0, len(samples), 80)]
        spoken = {at for start, end, _ in content["words"] for at in range(start // 10 - 5, end // 10 + 6)}
        assert max(loudness[at] for at in range(len(loudness)) if at not in spoken) < 1000
        for start, end, text in content["words"]:
            assert max(loudness[start // 10 : end // 10 + 1]) > 150, text


def test_a_large_file_has_the_requested_size(biztel: Running) -> None:
    answer = biztel.customer.download(biztel.call(bytes=16 * 1024 * 1024), "right")

    assert answer.headers["Content-Length"] == str(16 * 1024 * 1024)
    assert len(answer.body) == 16 * 1024 * 1024


def test_a_gibibyte_is_never_whole_in_memory() -> None:
    content = mp3_of_bytes(Channel.LEFT, 1 << 30, title="large")
    tracemalloc.start()
    try:
        total = sum(map(len, content.chunks()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert total == content.length == 1 << 30
    assert peak < 1 << 20


# ---- The document's errors (3.4, 3.6, 3.7) ----

UNAUTHORIZED = "This action is unauthorized."


def error(name: str, kind: str, message: str) -> dict[str, object]:
    return {
        "name": name,
        "type": kind,
        "exception_id": None,
        "message": message,
        "messages": None,
        "reason": message,
    }


NO_TOKEN = error(
    "AuthenticationException", "UNAUTHENTICATED", "Unauthenticated: method=personal_token, cause=invalid request"
)
WRONG_TOKEN = error(
    "AuthenticationException", "UNAUTHENTICATED", "Unauthenticated: method=personal_token, cause=invalid token."
)
NOT_FOUND = error("EntityNotFoundException", "NOT_FOUND", "対象が存在しません")
BURST = error("AuthenticationException", "REQUEST_BURST_LIMIT_EXCEEDED", "exceptions.AccessLimitException.")


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param("", id="empty"),
        pytest.param("Token", id="scheme only"),
        pytest.param("Token ", id="empty token"),
        pytest.param(f"Bearer {TOKEN}", id="other scheme"),
        pytest.param(TOKEN, id="no scheme"),
    ],
)
def test_a_request_without_a_token_is_invalid(biztel: Running, authorization: str) -> None:
    answer = biztel.customer.download(biztel.call(), authorization=authorization)

    assert (answer.status, answer.json) == (401, NO_TOKEN)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("wrong", id="other"),
        pytest.param(TOKEN[:-1], id="too short"),
        pytest.param(TOKEN + "x", id="too long"),
        pytest.param(TOKEN.upper(), id="upper case"),
    ],
)
def test_a_wrong_token_is_invalid(biztel: Running, token: str) -> None:
    answer = biztel.customer.download(biztel.call(), authorization=f"Token {token}")

    assert (answer.status, answer.json) == (401, WRONG_TOKEN)


def test_an_unknown_id_is_not_found(biztel: Running) -> None:
    answer = biztel.customer.download("26040100000099000050")

    assert (answer.status, answer.json) == (404, NOT_FOUND)


@pytest.mark.parametrize("channel", ["stereo", "LEFT", "monaural,left"])
@pytest.mark.parametrize("status", [400, 422])
def test_another_content_type_is_a_validate_error(biztel: Running, channel: str, status: int) -> None:
    biztel.set(validate_error_status=status)

    answer = biztel.customer.exchange(
        "GET", f"/public/api/v1/monitor/{biztel.call()}?content_type={channel}", Authorization=f"Token {TOKEN}"
    )

    expected = error("ValidateException", "VALIDATE_ERROR", "選択されたmonitor log monitor typeは正しくありません")
    assert (answer.status, answer.json) == (status, expected)


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("api_licence", "AuthenticationException"),
        ("recording_licence", "AuthenticationException"),
        ("api_enabled", "AuthorizationException"),
        ("downloads_allowed", "AuthorizationException"),
    ],
)
def test_a_missing_licence_or_right_forbids_every_channel(biztel: Running, setting: str, name: str) -> None:
    call_id = biztel.call()
    biztel.set(**{setting: False})

    for channel in Channel:
        answer = biztel.customer.download(call_id, channel)
        assert (answer.status, answer.json) == (403, error(name, "FORBIDDEN", UNAUTHORIZED))


def test_only_monaural_is_allowed_without_the_split_licence(biztel: Running) -> None:
    call_id = biztel.call()
    biztel.set(split_licence=False)

    answers = {channel: biztel.customer.download(call_id, channel) for channel in Channel}

    assert answers[Channel.MONAURAL].status == 200
    for channel in (Channel.LEFT, Channel.RIGHT):
        expected = error("AuthorizationException", "FORBIDDEN", UNAUTHORIZED)
        assert (answers[channel].status, answers[channel].json) == (403, expected)


def test_error_details_can_be_filled(biztel: Running) -> None:
    biztel.set(error_details=True)

    answer = biztel.customer.download("unknown").json

    assert answer["exception_id"]
    assert answer["messages"] == {"id": ["対象が存在しません"]}


def test_the_old_token_is_refused_after_a_new_one(biztel: Running) -> None:
    call_id = biztel.call()
    biztel.customer.control("token", {"token": "newer"})

    assert biztel.customer.download(call_id).json == WRONG_TOKEN
    assert biztel.customer.download(call_id, authorization="Token newer").status == 200


def test_another_method_or_path_is_no_download(biztel: Running) -> None:
    call_id = biztel.call()

    assert biztel.customer.exchange("POST", f"/public/api/v1/monitor/{call_id}").status == 405
    assert biztel.customer.exchange("GET", f"/public/api/v1/monitor/{call_id}/more").status == 404
    assert biztel.customer.exchange("GET", "/").status == 404
    assert not biztel.simulator.requests


# ---- The burst limit and the month (3.8, 3.9) ----


def statuses_at(biztel: Running, call_id: str, *times: float) -> list[int]:
    statuses = []
    for now in times:
        biztel.clock.now = now
        statuses.append(biztel.customer.download(call_id).status)
    return statuses


def test_the_default_rate_limit_is_ten_a_second() -> None:
    assert SimulatorConfig(token=TOKEN).requests_per_second == 10


@pytest.mark.parametrize("limit", [pytest.param(10, id="from 3.6.0"), pytest.param(1, id="before 3.6.0")])
def test_a_request_over_the_rate_limit_is_a_burst(biztel: Running, limit: int) -> None:
    call_id = biztel.call()
    biztel.set(requests_per_second=limit)

    assert statuses_at(biztel, call_id, *[100.0] * limit) == [200] * limit
    answer = biztel.customer.download(call_id)
    assert (answer.status, answer.json) == (429, BURST)
    assert "Retry-After" not in answer.headers
    assert statuses_at(biztel, call_id, 100.999, 101.0) == [429, 200]


def test_a_fixed_second_allows_twice_the_limit_at_its_edge(biztel: Running) -> None:
    call_id = biztel.call()
    biztel.set(requests_per_second=2, window="fixed")

    assert statuses_at(biztel, call_id, 100.9, 100.9, 100.9, 101.0, 101.0, 101.0) == [200, 200, 429, 200, 200, 429]


def test_refusals_keep_the_second_full_if_configured(biztel: Running) -> None:
    call_id = biztel.call()
    biztel.set(requests_per_second=1, refusals_count=True)

    assert statuses_at(biztel, call_id, 100.0, 100.9, 101.5, 102.6) == [200, 429, 429, 200]


def test_a_burst_has_a_retry_after_if_configured(biztel: Running) -> None:
    call_id = biztel.call()
    biztel.set(requests_per_second=0, retry_after_s=3)

    assert biztel.customer.download(call_id).headers["Retry-After"] == "3"


def test_usage_counts_requests_by_second_and_violations(biztel: Running) -> None:
    call_id = biztel.call()
    biztel.set(requests_per_second=2)
    statuses_at(biztel, call_id, 100.5, 100.9, 101.2, 101.4, 105.0)

    usage = biztel.customer.control("usage")

    assert usage["violations"] == 2
    assert usage["most_in_any_second"] == 4
    assert usage["per_second"] == [
        {"second": 100, "requests": 2},
        {"second": 101, "requests": 2},
        {"second": 105, "requests": 1},
    ]


def test_each_request_with_the_right_token_counts_in_the_month(biztel: Running) -> None:
    call_id = biztel.call()
    biztel.customer.download(call_id)
    biztel.customer.download("unknown")
    biztel.customer.download(call_id, authorization="Token wrong")

    usage = biztel.customer.control("usage")

    assert (usage["month"], usage["used"], usage["limit"]) == ("2026-04", 2, 100_000)


@pytest.mark.parametrize(
    ("consumed", "used"), [pytest.param(True, 2, id="consumed"), pytest.param(False, 1, id="not consumed")]
)
def test_a_burst_counts_in_the_month_if_configured(biztel: Running, consumed: bool, used: int) -> None:
    call_id = biztel.call()
    biztel.set(requests_per_second=1, refusals_consume=consumed)
    statuses_at(biztel, call_id, 100.0, 100.1)

    assert biztel.customer.control("usage")["used"] == used


def test_a_used_up_month_ends_at_midnight_in_japan(biztel: Running) -> None:
    biztel.customer.control("clock", {"now": "2026-04-30 23:59:59"})
    call_id = biztel.call()
    biztel.customer.control("usage", {"used": 99_999})

    assert [biztel.customer.download(call_id).status for _ in range(2)] == [200, 429]
    biztel.wall_clock.now += 1
    assert biztel.customer.download(call_id).status == 200
    assert biztel.customer.control("usage")["used"] == 1


# ---- What files there are, and when ----


def test_files_appear_after_their_delay(biztel: Running) -> None:
    biztel.set(file_delay_s=5)
    call_id = biztel.call()

    biztel.wall_clock.now = APRIL + 4.5
    assert biztel.customer.download(call_id).json == NOT_FOUND
    biztel.wall_clock.now = APRIL + 5
    assert biztel.customer.download(call_id).status == 200


def test_left_and_right_expire_after_seven_days_and_monaural_stays(biztel: Running) -> None:
    call_id = biztel.call()
    biztel.customer.control("clock", {"advance_s": 7 * DAY_S - 1})
    assert {biztel.customer.download(call_id, channel).status for channel in Channel} == {200}

    biztel.wall_clock.now += 1

    statuses = {channel.value: biztel.customer.download(call_id, channel).status for channel in Channel}
    assert statuses == {"monaural": 200, "left": 404, "right": 404}


def test_a_call_of_an_earlier_day_expires_by_its_own_date(biztel: Running) -> None:
    call_id = biztel.customer.control("calls", {"date": "2026-03-24 23:59:59", "announce": False})["id"]

    assert call_id.startswith("260324")
    assert biztel.customer.download(call_id, "left").status == 404


def test_a_channel_that_was_not_recorded_is_not_found(biztel: Running) -> None:
    call_id = biztel.call(channels=(Channel.MONAURAL,))

    assert biztel.customer.download(call_id, "left").json == NOT_FOUND
    assert biztel.customer.download(call_id).status == 200


def test_ids_have_the_documents_two_forms(biztel: Running) -> None:
    request_id = biztel.customer.control("calls", {"announce": False})["id"]
    unique_id = biztel.customer.control("calls", {"announce": False, "id_form": "unique", "seconds": 0})["id"]

    assert len(request_id) == 20
    assert request_id.startswith("260331")  # the call began six seconds before April
    assert unique_id.split(".")[0] == str(int(APRIL))


def test_an_id_in_any_form_is_found_by_its_encoded_form(biztel: Running) -> None:
    unusual_id = "a/b c%2F..?é"

    assert biztel.customer.download(biztel.call(call_id=unusual_id)).status == 200


@pytest.mark.parametrize(
    ("form", "header"),
    [
        pytest.param("unquoted", "attachment; filename={name}", id="unquoted"),
        pytest.param("quoted", 'attachment; filename="{name}"', id="quoted"),
        pytest.param("extended", "attachment; filename=\"recording.mp3\"; filename*=UTF-8''{name}", id="extended"),
        pytest.param("none", None, id="none"),
    ],
)
def test_the_file_name_has_the_configured_form(biztel: Running, form: str, header: str | None) -> None:
    biztel.set(disposition=form)
    call_id = biztel.call(tel="0700000XXXX", direction="out", extension="3800", seconds=10)

    answer = biztel.customer.download(call_id, "left")

    name = f"20260331235950-3800-0700000XXXX-{call_id}-DST_l.mp3"
    assert answer.headers.get("Content-Disposition") == (header and header.format(name=name))


def test_the_bulk_download_has_every_file_at_any_age(biztel: Running) -> None:
    call_id = biztel.call(tel=TEL, id_form="unique", seconds=2)
    bodies = {channel: biztel.customer.download(call_id, channel).body for channel in ("monaural", "left", "right")}
    biztel.wall_clock.now += 30 * DAY_S

    files = biztel.customer.control(f"bulk?id={call_id}")["files"]

    assert {file["channel"]: file["name"] for file in files} == {
        "monaural": f"20260331235958-{TEL}-2001-{call_id}-SRC.mp3",
        "left": f"20260331235958-{TEL}-2001-{call_id}-SRC_l.mp3",
        "right": f"20260331235958-{TEL}-2001-{call_id}-SRC_r.mp3",
    }
    for file in files:
        parts = urlsplit(file["url"])
        body = biztel.customer.exchange("GET", f"{parts.path}?{parts.query}").body
        assert body == bodies[file["channel"]]
        assert len(body) == file["bytes"]


# ---- Faults ----


@pytest.mark.parametrize(
    ("kind", "status", "type_"),
    [
        pytest.param(FaultKind.SERVER_ERROR, 500, "INTERNAL_SERVER_ERROR", id="server error"),
        pytest.param(FaultKind.FORBIDDEN, 403, "FORBIDDEN", id="forbidden"),
        pytest.param(FaultKind.NOT_FOUND, 404, "NOT_FOUND", id="not found"),
        pytest.param(FaultKind.BURST, 429, "REQUEST_BURST_LIMIT_EXCEEDED", id="burst"),
    ],
)
def test_a_scripted_refusal_meets_the_first_downloads_of_its_channel(
    biztel: Running, kind: FaultKind, status: int, type_: str
) -> None:
    call_id = biztel.call(Fault(kind=kind, channel=Channel.LEFT, times=2))
    other = biztel.call()

    assert biztel.customer.download(other, "left").status == 200
    assert biztel.customer.download(call_id, "right").status == 200
    assert biztel.customer.download(call_id, "left").json["type"] == type_
    assert [biztel.customer.download(call_id, "left").status for _ in range(2)] == [status, 200]


def test_a_fault_without_times_stays(biztel: Running) -> None:
    call_id = biztel.call(Fault(kind=FaultKind.SERVER_ERROR, times=None))

    assert [biztel.customer.download(call_id).status for _ in range(4)] == [500] * 4


@pytest.mark.parametrize("sent", [0, 1, 5000])
def test_a_transfer_is_cut_after_the_scripted_bytes(biztel: Running, sent: int) -> None:
    call_id = biztel.call(Fault(kind=FaultKind.CUT, bytes=sent))

    with pytest.raises(http.client.IncompleteRead) as cut:
        biztel.customer.download(call_id)

    whole = biztel.customer.download(call_id).body
    assert cut.value.partial == whole[:sent]
    assert cut.value.expected == len(whole) - sent


def test_a_too_long_length_leaves_the_download_incomplete(biztel: Running) -> None:
    call_id = biztel.call(Fault(kind=FaultKind.LONG_LENGTH, bytes=7))

    with pytest.raises(http.client.IncompleteRead) as cut:
        biztel.customer.download(call_id)

    assert cut.value.expected == 7
    assert cut.value.partial == biztel.customer.download(call_id).body


def test_a_too_short_length_hides_the_end(biztel: Running) -> None:
    call_id = biztel.call(Fault(kind=FaultKind.SHORT_LENGTH, bytes=7))

    short, whole = (biztel.customer.download(call_id).body for _ in range(2))

    assert short == whole[:-7]


def test_a_file_without_length_ends_with_the_connection(biztel: Running) -> None:
    call_id = biztel.call(Fault(kind=FaultKind.NO_LENGTH))

    open_ended, usual = (biztel.customer.download(call_id) for _ in range(2))

    assert "Content-Length" not in open_ended.headers
    assert open_ended.body == usual.body


def test_a_slow_transfer_waits_after_each_piece(biztel: Running) -> None:
    call_id = biztel.call(Fault(kind=FaultKind.DRIP, bytes=1000, seconds=0.5), bytes=10_500)

    answer = biztel.customer.download(call_id)

    assert len(answer.body) == 10_500
    assert biztel.simulator.waits[:10] == [0.5] * 10


@pytest.mark.parametrize(
    ("seconds", "expected_s"), [pytest.param(None, 30.0, id="default"), pytest.param(4.0, 4.0, id="scripted")]
)
def test_a_request_kept_open_gets_no_answer(biztel: Running, seconds: float | None, expected_s: float) -> None:
    call_id = biztel.call(Fault(kind=FaultKind.HOLD, seconds=seconds))

    with pytest.raises(http.client.RemoteDisconnected):
        biztel.customer.download(call_id)

    assert biztel.simulator.waits == [expected_s]


def test_a_scripted_reset_resets_the_connection(biztel: Running) -> None:
    call_id = biztel.call(Fault(kind=FaultKind.RESET))

    with pytest.raises(ConnectionResetError):
        biztel.customer.download(call_id)


def test_a_scripted_fault_changes_what_surrounds_the_recording(biztel: Running) -> None:
    call_id = biztel.call(
        Fault(kind=FaultKind.MISLABELLED),
        Fault(kind=FaultKind.ZEROS_FIRST),
        Fault(kind=FaultKind.LARGE_TAGS),
    )

    mislabelled, zeros, tags, recording = (biztel.customer.download(call_id) for _ in range(4))

    assert mislabelled.headers["Content-Type"].startswith("text/html")
    assert mislabelled.body == recording.body
    assert zeros.body == bytes(136) + recording.body
    assert tags.body.endswith(recording.body)
    assert len(tags.body) == len(recording.body) + 2 * 80_010


def test_a_scripted_fault_sends_another_kind_of_audio(biztel: Running) -> None:
    call_id = biztel.call(Fault(kind=FaultKind.WAV), Fault(kind=FaultKind.LAYER_II))

    with wave.open(io.BytesIO(biztel.customer.download(call_id).body)) as file:
        assert (file.getframerate(), file.getnframes(), file.getnchannels()) == (8000, 8000, 1)
    assert TinyTag.get(
        filename="a.mp3", file_obj=io.BytesIO(biztel.customer.download(call_id).body)
    ).duration == pytest.approx(1.008, abs=0.03)


def test_an_endless_recording_comes_in_chunks_up_to_the_scripted_size(biztel: Running) -> None:
    call_id = biztel.call(Fault(kind=FaultKind.ENDLESS, bytes=300_000))

    answer = biztel.customer.download(call_id)

    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert 300_000 <= len(answer.body) < 301_000


def test_a_scripted_body_replaces_the_recording(biztel: Running) -> None:
    kinds = (FaultKind.JSON, FaultKind.HTML, FaultKind.EMPTY, FaultKind.NOT_MP3)
    call_id = biztel.call(*(Fault(kind=kind) for kind in kinds))

    error_body, page, nothing, noise, recording = (biztel.customer.download(call_id) for _ in range(5))

    assert {answer.status for answer in (error_body, page, nothing, noise)} == {200}
    assert error_body.headers["Content-Type"] == "application/json"
    assert error_body.json == WRONG_TOKEN
    assert page.headers["Content-Type"].startswith("text/html")
    assert (nothing.body, nothing.headers["Content-Type"]) == (b"", "audio/mpeg")
    assert len(noise.body) == len(recording.body)
    assert not noise.body.startswith((b"ID3", b"\xff"))


def test_every_fault_can_be_scripted_and_read_back(biztel: Running) -> None:
    scripts = [{"kind": kind.value, "channel": "left", "times": 3} for kind in FaultKind]

    faults = biztel.customer.control("faults", scripts)["faults"]

    assert [read_fault(fault) for fault in faults] == [
        Fault(kind=kind, channel=Channel.LEFT, times=3) for kind in FaultKind
    ]


def test_downloads_are_counted_by_channel(biztel: Running) -> None:
    call_id = biztel.call(Fault(kind=FaultKind.SERVER_ERROR))
    for channel in ("left", "left", "right"):
        biztel.customer.download(call_id, channel)

    [call] = biztel.customer.control(f"calls?id={call_id}")["items"]
    requests = biztel.customer.control(f"requests?id={call_id}")

    assert call["requests"] == {"monaural": 0, "left": 2, "right": 1}
    assert (requests["channels"], requests["statuses"]) == ({"left": 2, "right": 1}, {"500": 1, "200": 2})


# ---- The call action (section 2) ----


def test_the_call_action_expands_the_documents_address(biztel: Running, receiver: Receiver) -> None:
    biztel.set(action_url=receiver.url + "?ID={ID}&TEL={TEL}&DATE={DATE}")

    call = biztel.customer.control("calls", {"tel": TEL, "date": "2026-04-02 20:03:33"})

    [request] = receiver.received
    assert (request.method, request.path, request.body) == ("GET", "/monitor_file_event", b"")
    assert request.query == f"ID={call['id']}&TEL={TEL}&DATE=2026-04-02%2020%3A03%3A33"
    assert [action["answer"] for action in call["actions"]] == [200]


@pytest.mark.parametrize(
    ("place", "content_type", "expected"),
    [
        pytest.param("query", None, "ID=c1&TEL=%2B81%26%2F&DATE=2026-04-01%2000%3A00%3A00", id="query"),
        pytest.param(
            "form",
            "application/x-www-form-urlencoded",
            "ID=c1&TEL=%2B81%26%2F&DATE=2026-04-01%2000%3A00%3A00",
            id="form",
        ),
        pytest.param(
            "json", "application/json", '{"ID": "c1", "TEL": "+81&/", "DATE": "2026-04-01 00:00:00"}', id="JSON"
        ),
    ],
)
def test_the_variables_go_to_the_configured_place(
    biztel: Running, receiver: Receiver, place: str, content_type: str | None, expected: str
) -> None:
    biztel.set(
        action_url=receiver.url, action_method="POST", action_place=place, action_headers={"X-Customer": "shared"}
    )

    biztel.simulator.finish(CallSpec(call_id="c1", tel="+81&/"))

    [request] = receiver.received
    assert request.method == "POST"
    assert (request.query or request.body.decode()) == expected
    assert request.headers.get("Content-Type") == content_type
    assert request.headers["X-Customer"] == "shared"


def test_values_in_a_json_body_are_encoded_if_configured(biztel: Running, receiver: Receiver) -> None:
    biztel.set(action_url=receiver.url, action_method="POST", action_place="json", action_json_values="encoded")

    biztel.simulator.finish(CallSpec(tel="anonymous"))

    assert json.loads(receiver.received[0].body)["DATE"] == "2026-04-01%2000%3A00%3A00"


def test_an_error_is_retried_only_if_configured(biztel: Running, receiver: Receiver) -> None:
    biztel.set(action_url=receiver.url)
    receiver.answers = [(500, b"")]

    [action] = biztel.simulator.finish(CallSpec()).actions

    assert (action.answer, action.is_error, len(receiver.received)) == (500, True, 1)


def test_retries_follow_their_interval_until_one_succeeds(biztel: Running, receiver: Receiver) -> None:
    biztel.set(action_url=receiver.url, action_retries=5, action_retry_after_s=60)
    receiver.answers = [(503, b""), (200, b"")]

    call = biztel.simulator.finish(CallSpec(), wait=False)
    assert biztel.simulator.wait_until(lambda: len(call.actions) == 1)
    biztel.wall_clock.now += 60
    biztel.clock.now += 60
    biztel.simulator.wake()

    assert biztel.simulator.wait_until(lambda: len(call.actions) == 2)
    assert [(attempt.attempt, attempt.answer, attempt.at[:16]) for attempt in call.actions] == [
        (1, 503, "2026-04-01T00:00"),
        (2, 200, "2026-04-01T00:01"),
    ]


@pytest.mark.parametrize(
    ("pattern", "answer", "is_error"),
    [
        pytest.param('/"result":"error"/', b'{"result":"error"}', True, id="match"),
        pytest.param('/"result":"error"/', b'{"result":"ERROR"}', False, id="other case"),
        pytest.param('#"RESULT":"error"#i', b'{"result":"error"}', True, id="flag i"),
        pytest.param("{^no$}m", b"first\nno", True, id="flag m"),
        pytest.param("", b'{"result":"error"}', False, id="no pattern"),
    ],
)
def test_the_error_pattern_decides_by_the_answers_text(
    biztel: Running, receiver: Receiver, pattern: str, answer: bytes, is_error: bool
) -> None:
    biztel.set(
        action_url=receiver.url,
        action_error_pattern=pattern,
        action_retries=1,
        action_retry_after_s=0,
    )
    receiver.answers = [(200, answer)]

    actions = biztel.simulator.finish(CallSpec()).actions

    assert [action.is_error for action in actions] == ([True, False] if is_error else [False])


def test_a_status_is_no_error_if_configured(biztel: Running, receiver: Receiver) -> None:
    biztel.set(action_url=receiver.url, action_status_is_error=False, action_retries=3)
    receiver.answers = [(500, b"")]

    assert [action.is_error for action in biztel.simulator.finish(CallSpec()).actions] == [False]


def test_a_redirect_is_an_answer_and_is_not_followed(biztel: Running, receiver: Receiver) -> None:
    biztel.set(action_url=receiver.url)
    receiver.answers = [(302, b"")]

    assert [action.answer for action in biztel.simulator.finish(CallSpec()).actions] == [302]
    assert len(receiver.received) == 1


def test_an_answer_that_is_too_late_is_a_timeout(biztel: Running, receiver: Receiver) -> None:
    biztel.set(action_url=receiver.url, action_timeout_s=0.05)
    receiver.may_answer.clear()

    [action] = biztel.simulator.finish(CallSpec()).actions

    assert (action.answer, action.problem) == (None, "TimeoutError")


def test_the_default_call_action_is_the_documents() -> None:
    config = SimulatorConfig(token=TOKEN)

    assert (config.action_method, config.action_timeout_s) == ("GET", 10)
    assert (config.action_retries, config.action_retry_after_s) == (0, 1)
    assert config.action_error_pattern == ""


def test_a_call_action_can_be_copied_and_repeated(biztel: Running, receiver: Receiver) -> None:
    biztel.set(action_url=receiver.url, action_copies=2)
    call_id = biztel.customer.control("calls", {})["id"]
    biztel.set(action_copies=1)

    biztel.customer.control("calls/repeat", {"id": call_id})

    assert len(receiver.received) == 3
    assert len({request.query for request in receiver.received}) == 1


def test_an_unannounced_call_can_be_announced_later(biztel: Running, receiver: Receiver) -> None:
    biztel.set(action_url=receiver.url)
    call_id = biztel.customer.control("calls", {"announce": False})["id"]
    assert not receiver.received

    assert len(biztel.customer.control("calls/repeat", {"id": call_id})["actions"]) == 1


def test_a_thousand_calls_end_with_sixteen_call_actions_at_a_time(biztel: Running, receiver: Receiver) -> None:
    biztel.set(action_url=receiver.url)
    receiver.may_answer.clear()
    receiver.on_arrival = lambda: receiver.may_answer.set() if receiver.under_way == MAX_UNDER_WAY else None

    answer = biztel.customer.control("calls/many", {"n": 1000, "wait": True, "seconds": 3})

    assert answer["answers"] == {"200": 1000}
    assert len(set(answer["ids"])) == 1000
    assert {request.query.partition("&")[0] for request in receiver.received} == {
        f"ID={call_id}" for call_id in answer["ids"]
    }
    assert receiver.most_under_way == MAX_UNDER_WAY


# ---- Control, logs, life ----


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("calls", {"tell": TEL}, id="unknown member of a call"),
        pytest.param("calls", {"date": "yesterday"}, id="date no time"),
        pytest.param("calls", {"channels": ["centre"]}, id="unknown channel"),
        pytest.param("calls", {"faults": [{"kind": "flood"}]}, id="unknown kind of fault"),
        pytest.param("calls", [], id="call no object"),
        pytest.param("calls/many", {"n": 0}, id="no calls"),
        pytest.param("calls/many", {"n": 10_001}, id="too many calls"),
        pytest.param("calls/many", {"n": 2, "call_id": "same"}, id="two calls with one id"),
        pytest.param("calls/repeat", {"id": "unknown"}, id="unknown call"),
        pytest.param("faults", {"kind": "cut", "byte": 1}, id="unknown member of a fault"),
        pytest.param("config", {"colour": "red"}, id="unknown setting"),
        pytest.param("config", {"action_url": "ftp://127.0.0.1"}, id="no web address"),
        pytest.param("config", {"action_error_pattern": "error"}, id="pattern without delimiters"),
        pytest.param("config", {"action_error_pattern": "/error/q"}, id="unknown flag"),
        pytest.param("config", {"action_error_pattern": "/(/"}, id="no regular expression"),
        pytest.param("config", {"validate_error_status": 200}, id="status no choice"),
        pytest.param("clock", {}, id="clock without time"),
        pytest.param("clock", {"now": "2026-04-01 00:00:00", "advance_s": 1}, id="clock with two times"),
        pytest.param("usage", {"used": -1}, id="negative usage"),
        pytest.param("token", {}, id="no token"),
    ],
)
def test_a_wrong_control_request_is_refused_and_changes_nothing(biztel: Running, path: str, body: object) -> None:
    before = biztel.customer.control("config"), biztel.customer.control("clock")

    answer = biztel.customer.raw_control(path, body)

    assert answer.status == 400
    assert answer.json["error"]
    assert (biztel.customer.control("config"), biztel.customer.control("clock")) == before
    assert not biztel.simulator.calls


def test_an_unknown_control_request_gets_the_list_of_routes(biztel: Running) -> None:
    answer = biztel.customer.raw_control("nothing")

    assert answer.status == 404
    assert "POST /control/calls" in answer.json["routes"]


def test_a_reset_keeps_only_the_customers_address(biztel: Running) -> None:
    call_id = biztel.call(Fault(kind=FaultKind.CUT))
    biztel.set(action_url="http://127.0.0.1:9/hook", requests_per_second=1)
    biztel.customer.download(call_id, "right", authorization="Token other")
    biztel.customer.control("token", {"token": "other"})
    biztel.customer.control("clock", {"advance_s": DAY_S})
    biztel.customer.control("usage", {"used": 7})

    biztel.customer.control("reset", {})

    assert biztel.customer.control("config")["action_url"] == "http://127.0.0.1:9/hook"
    assert biztel.customer.control("config")["requests_per_second"] == 1000
    assert biztel.customer.control("clock")["now"] == "2026-04-01T00:00:00+09:00"
    assert biztel.customer.control("usage")["used"] == 0
    assert biztel.customer.control("faults")["faults"] == []
    assert biztel.customer.control("requests")["count"] == biztel.customer.control("calls")["count"] == 0
    assert biztel.customer.download(call_id).json == NOT_FOUND  # the first token is right again


def test_a_request_cut_inside_its_headers_is_ignored(biztel: Running) -> None:
    parts = urlsplit(biztel.simulator.url)
    request = f"GET /public/api/v1/monitor/{biztel.call()} HTTP/1.1\r\nAuthorization: Token {TOKEN}".encode()
    for part in (request[:20], request):
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as connection:
            connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1024) == b""

    assert biztel.simulator.requests == ()


def test_the_log_has_neither_numbers_nor_the_token(biztel: Running, receiver: Receiver) -> None:
    biztel.set(action_url=receiver.url)
    call_id = biztel.simulator.finish(CallSpec(tel=TEL)).call_id
    biztel.customer.download(call_id, "left")
    biztel.customer.download(TEL, TEL, authorization=f"Token {TOKEN}x")
    biztel.simulator.finish(CallSpec(call_id=TEL))

    log = "\n".join(biztel.lines)

    assert len(biztel.lines) == 4
    assert call_id in log
    assert TEL not in log
    assert TOKEN not in log
    assert TEL not in repr(biztel.simulator.calls[0])
    assert TOKEN not in repr(biztel.simulator.provider.config)


def test_stopping_ends_requests_and_call_actions_under_way(receiver: Receiver) -> None:
    receiver.may_answer.clear()
    simulator = BiztelSimulator(SimulatorConfig(token=TOKEN, action_url=receiver.url, action_retries=9))
    simulator.start()
    call_id = simulator.finish(CallSpec(faults=(Fault(kind=FaultKind.HOLD),)), wait=False).call_id
    simulator.finish_many(40, CallSpec())
    connection = Customer(simulator).connect()
    connection.request("GET", f"/public/api/v1/monitor/{call_id}", headers={"Authorization": f"Token {TOKEN}"})
    assert simulator.wait_until(lambda: len(simulator.requests) == 1)

    simulator.stop()

    connection.close()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith(("biztel-", "simulator-"))]


@dataclass(frozen=True)
class Certificate:
    """A certificate for 127.0.0.1, which no client trusts by default."""

    certificate: Path
    key: Path

    @property
    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))


@pytest.fixture
def certified(tmp_path: Path) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "biztel.invalid")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = Certificate(tmp_path / "certificate.pem", tmp_path / "key.pem")
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def test_a_simulator_with_a_certificate_speaks_https_only(certified: Certificate) -> None:
    config = SimulatorConfig(token=TOKEN)
    with BiztelSimulator(config, certificate=certified.certificate, key=certified.key) as simulator:
        customer = Customer(simulator, certified.client_context)
        assert simulator.url.startswith("https://127.0.0.1:")
        call_id = simulator.finish(CallSpec(bytes=200_000, announce=False)).call_id
        simulator.provider.add_fault(Fault(kind=FaultKind.CUT, bytes=100))

        with pytest.raises((http.client.IncompleteRead, ssl.SSLError)):
            customer.download(call_id)
        assert len(customer.download(call_id).body) == 200_000

        plain = http.client.HTTPConnection("127.0.0.1", urlsplit(simulator.url).port, timeout=10)
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            plain.request("GET", "/")
            plain.getresponse()
        plain.close()


def test_a_connection_without_handshake_delays_no_other(certified: Certificate) -> None:
    config = SimulatorConfig(token=TOKEN)
    with BiztelSimulator(config, certificate=certified.certificate, key=certified.key) as simulator:
        call_id = simulator.finish(CallSpec(announce=False)).call_id
        parts = urlsplit(simulator.url)
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10):
            assert Customer(simulator, certified.client_context).download(call_id).status == 200


@pytest.fixture
def command_line() -> Callable[..., subprocess.Popen[str]]:
    def start(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "sandbox.simulators.biztel", *arguments],
            cwd=Path(__file__).resolve().parents[2],
            env={**os.environ, "BIZTEL_TOKEN": TOKEN},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def test_the_command_line_runs_until_sigterm_and_prints_no_number(
    command_line: Callable[..., subprocess.Popen[str]], certified: Certificate, receiver: Receiver
) -> None:
    with command_line(
        "--certificate",
        str(certified.certificate),
        "--key",
        str(certified.key),
        "--action-url",
        receiver.url,
    ) as process:
        assert process.stdout is not None
        parts = urlsplit(process.stdout.readline().split()[-1])
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=10, context=certified.client_context
        )
        connection.request("POST", "/control/calls", json.dumps({"tel": TEL}))
        call_id = json.loads(connection.getresponse().read())["id"]
        path = f"/public/api/v1/monitor/{call_id}?content_type=left"
        connection.request("GET", path, headers={"Authorization": f"Token {TOKEN}"})
        assert connection.getresponse().read().startswith(b"ID3")
        connection.close()
        process.terminate()
        output = process.stdout.read()
        assert process.wait(timeout=10) == 0

    assert f"TEL={TEL}" in receiver.received[0].query
    assert call_id in output
    assert TEL not in output


def test_the_command_line_refuses_a_wrong_action_address(command_line: Callable[..., subprocess.Popen[str]]) -> None:
    with command_line("--action-url", "nowhere") as process:
        assert process.stderr is not None
        error_output = process.stderr.read()

    assert process.returncode == 2
    assert "must be an http or https address" in error_output
