"""A bulk file becomes a transcript through a recogniser behind HTTP: links, token, permissions and what is stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from sandbox.simulators.recognizer_http import RecognizerSimulator, SimulatorConfig
from sandbox.simulators.recognizer_http.faults import Fault, FaultKind
from sandbox.simulators.transcribe.results import read_known_words
from switchboard.storage import aws
from tests.deployment import API_TOKEN, Deployment, deployed
from tests.events import load_event

DIALOGUE: Final = Path(__file__).parents[3] / "sandbox/simulators/biztel/dialogue"
BULK_KEY: Final = "bulk/2019-07-18/20190718161058-2006-2002-1563433858.66-SRC_l.mp3"
ID: Final = "1563433858.66"


class Links:
    """The links that the recogniser was given, and what is behind them."""

    def __init__(self) -> None:
        self.urls: list[str] = []

    def download(self, url: str) -> bytes | None:
        self.urls.append(url)
        bucket, _, key = unquote(urlsplit(url).path).lstrip("/").partition("/")
        if bucket.startswith("recordings"):  # the bucket's name is in the host
            bucket, key = urlsplit(url).netloc.partition(".")[0], f"{bucket}/{key}"
        content: bytes = aws.s3().get_object(Bucket=bucket, Key=key)["Body"].read()
        return content


@pytest.fixture
def links() -> Links:
    return Links()


@pytest.fixture
def server(links: Links) -> Iterator[RecognizerSimulator]:
    config = SimulatorConfig(token=API_TOKEN, job_s=0.0)
    known = read_known_words(DIALOGUE / "words.json")
    with RecognizerSimulator(config, download=links.download, known=known) as running:
        yield running


@pytest.fixture
def stack(server: RecognizerSimulator) -> Iterator[Deployment]:
    with deployed(
        TranscriptionRecognizer="http", RecognizerUrl=server.url, TranscriptionMinutesPerMonth="100"
    ) as deployment:
        content = (DIALOGUE / "left.mp3").read_bytes()
        aws.s3().put_object(Bucket=deployment.references["JobsBucket"], Key=BULK_KEY, Body=content)
        deployment.invoke("fetch_recording", load_event("fetch_recording", "bulk_file"))
        yield deployment


def entry() -> dict[str, Any]:
    event: dict[str, Any] = load_event("start_transcription", "one")
    event["Records"][0]["body"] = json.dumps({"recording_id": ID})
    return event


def run(stack: Deployment) -> None:
    for function in ("start_transcription", "store_transcript"):
        assert stack.invoke(function, entry()) == {"batchItemFailures": []}


def test_a_recording_becomes_a_redacted_transcript(
    stack: Deployment, server: RecognizerSimulator, links: Links
) -> None:
    run(stack)

    [document] = stack.objects("transcripts/", bucket="RecordingsBucket")
    text = json.dumps(document, ensure_ascii=False)
    assert "[telephone]" in text
    assert "1042" in text
    assert [job.name.split(f"{ID}.")[1].split(".")[0] for job in server.provider.jobs] == ["left"]
    [url] = links.urls
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == ["3600"]


def test_neither_link_nor_token_nor_words_stand_in_items_or_logs(stack: Deployment, links: Links) -> None:
    run(stack)

    seen = json.dumps(stack.rows(), ensure_ascii=False) + stack.output.getvalue()
    signature = parse_qs(urlsplit(links.urls[0]).query)["X-Amz-Signature"][0]
    for secret in (signature, API_TOKEN, "山田", "もしもし"):
        assert secret not in seen


def test_a_wrong_token_raises_the_configurations_alarm_and_keeps_the_name(
    stack: Deployment, server: RecognizerSimulator
) -> None:
    stack.put_secret("RecognizerSecret", {"token": "another-token"})
    run(stack)

    refused = [dict(dimensions) for name, dimensions in stack.metrics() if name == "ProviderConfigurationRefused"]
    assert {dimensions["provider"] for dimensions in refused} == {"transcribe"}
    assert server.provider.jobs == ()


def test_an_unreadable_result_is_in_quarantine(stack: Deployment, server: RecognizerSimulator) -> None:
    server.provider.add_fault(Fault(kind=FaultKind.UNREADABLE))
    run(stack)

    bucket = stack.references["QuarantineBucket"]
    [kept] = aws.s3().list_objects_v2(Bucket=bucket, Prefix="quarantine/transcripts/")["Contents"]
    assert kept["Key"].endswith(f"{server.provider.jobs[0].name}.json")
    assert aws.s3().get_object(Bucket=bucket, Key=kept["Key"])["Body"].read() == b"{"
