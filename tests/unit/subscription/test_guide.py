"""The receivers in docs/receive-webhooks.md accept genuine posts and refuse all others."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from switchboard.domain.errors import HookAnsweredError
from switchboard.domain.subscription.signatures import format_secret, sign
from switchboard.providers.hook_posts import HookPosts
from tests.translated_template import ROOT

GUIDE = (ROOT / "docs" / "receive-webhooks.md").read_text(encoding="utf-8")
SECRET = b"a-secret-that-signs-nothing-real"
BODY = b'{"type":"sms.changed","timestamp":"2026-11-22T01:33:51.817Z","data":{"smsid":"a","sequence":5}}'
COMMANDS = {"python": sys.executable, "js": "node"}


@pytest.fixture(params=COMMANDS, scope="module")
def receiver(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the guide's receiver in one language, and return its address."""
    interpreter = shutil.which(COMMANDS[request.param])
    if interpreter is None:  # Node is needed by nothing else here, and a machine may lack it
        pytest.skip(f"{request.param}: no interpreter on this machine")
    [program] = re.findall(rf"```{request.param}\n(.*?)```", GUIDE, flags=re.DOTALL)
    path: Path = tmp_path_factory.mktemp("receiver") / f"receiver.{request.param}"
    path.write_text(program, encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {"WEBHOOK_SECRET": format_secret(SECRET), "PORT": str(port), "PATH": "/usr/bin:/usr/local/bin:/bin"}
    process = subprocess.Popen([interpreter, str(path)], env=environment, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the receiver does not listen")


def post(address: str, *secrets: bytes, age_s: int = 0, body: bytes = BODY) -> None:
    timestamp = int(time.time()) - age_s
    headers = {
        "webhook-id": "sms_a_5_1",
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secrets, webhook_id="sms_a_5_1", timestamp=timestamp, body=BODY),
    }
    HookPosts(allow_loopback=True).post(address, body=body, headers=headers)


def test_a_genuine_post_is_accepted(receiver: str) -> None:
    post(receiver, SECRET)
    post(receiver, b"the new secret after a rotation.", SECRET)


@pytest.mark.parametrize(
    ("secret", "age_s", "body"),
    [(b"another secret of the same size.", 0, BODY), (SECRET, 600, BODY), (SECRET, 0, BODY.replace(b"5", b"6"))],
    ids=["another secret", "ten minutes old", "a changed body"],
)
def test_any_other_post_is_refused(receiver: str, secret: bytes, age_s: int, body: bytes) -> None:
    with pytest.raises(HookAnsweredError) as caught:
        post(receiver, secret, age_s=age_s, body=body)
    assert caught.value.status == 400


def test_each_receiver_of_the_guide_has_about_20_lines() -> None:
    for language in COMMANDS:
        [program] = re.findall(rf"```{language}\n(.*?)```", GUIDE, flags=re.DOTALL)
        assert len([line for line in program.splitlines() if line.strip()]) <= 22, language
