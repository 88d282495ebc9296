"""The download path: its CPU time beside a plain copy's, its memory, and its share of the rate limit."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final, cast
from urllib.parse import urlsplit

import urllib3

from benchmarks.rows import Row
from switchboard.domain.recording.facts import Channel
from switchboard.guard.provider.rate_limiter import GuardSettings, ProviderGuards
from switchboard.providers.biztel.client import ApiToken, BiztelClient
from switchboard.storage.recording.files import PART_BYTES, S3RecordingFiles
from tests.fakes import FixedClock, InMemoryProviderLimitStore

MIB: Final = 2**20
_SIZE: Final = 64 * MIB
_SIZES: Final = (16 * MIB, 1024 * MIB)
_ROUNDS: Final = 6
_CHUNK: Final = 64 * 1024
# One frame of MPEG 1 layer III, 128 kbit/s at 44.1 kHz, 417 bytes. The file consists of such frames.
_FRAME: Final = b"\xff\xfb\x90\x00" + bytes(413)
_BLOCK: Final = _FRAME * 512
_PACE_S: Final = 60.0
_LIMIT: Final = 10
# The default of a deployment, and a setting for quick machines.
_JITTERS_MS: Final = (100, 30)


class _Files(BaseHTTPRequestHandler):
    """A handler that serves an MP3 with as many bytes as the path's last part says, and accepts every PUT."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        size = int(urlsplit(self.path).path.rpartition("/")[2])
        self.send_response(200)
        self.send_header("Content-Type", "audio/mpeg")
        self.send_header("Content-Length", str(size))
        self.end_headers()
        while size > 0:
            self.wfile.write(_BLOCK[:size])
            size -= len(_BLOCK)

    def do_PUT(self) -> None:
        left = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(_CHUNK, left)))
        self.send_response(200)
        self.send_header("ETag", '"part"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        del code, size


class _PartsOverHttp:
    """The calls of the store to S3, as plain requests to the server that the plain copy uses too."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = urllib3.PoolManager(retries=False)

    def put_object(self, *, Body: BytesIO, **_: Any) -> dict[str, str]:  # noqa: N803 - boto3's parameter
        return self.upload_part(Body=Body)

    def upload_part(self, *, Body: BytesIO, **_: Any) -> dict[str, str]:  # noqa: N803
        size = Body.getbuffer().nbytes
        self._http.request("PUT", self._url, body=Body, headers={"Content-Length": str(size)})
        return {"ETag": "part"}

    def create_multipart_upload(self, **_: Any) -> dict[str, str]:
        return {"UploadId": "upload"}

    def list_multipart_uploads(self, **_: Any) -> dict[str, str]:
        return {}

    def complete_multipart_upload(self, **_: Any) -> None:
        return None


@dataclass(frozen=True, slots=True)
class _Servers:
    """The addresses of the server to read from and the server to write to."""

    source: str
    target: str


@contextmanager
def _run_servers() -> Iterator[_Servers]:
    """Run two servers in a process of their own, so that this process only copies."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.recordings", "serve"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    ports = process.stdout.readline().split()
    try:
        yield _Servers(*(f"http://127.0.0.1:{port}" for port in ports))
    finally:
        process.terminate()
        process.wait(timeout=10)
        process.stdout.close()


def _serve() -> None:
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), _Files) for _ in range(2)]
    for server in servers:
        Thread(target=server.serve_forever, daemon=True).start()
    print(*(server.server_address[1] for server in servers), flush=True)
    Event().wait()  # until the other process ends this one


def _time_ours(servers: _Servers, size: int) -> float:
    client = BiztelClient(
        base_url=servers.source, token=lambda: ApiToken(value="t"), allow_plain_http=True, deadline_s=600
    )
    sink = _PartsOverHttp(f"{servers.target}/part")
    files = S3RecordingFiles(client=lambda: cast("Any", sink), bucket="any")
    began = time.process_time()
    with client.download(str(size), Channel.LEFT) as download:
        stored = files.store("key", download, quarantine_key="quarantine")
    cpu_s = time.process_time() - began
    assert stored.bytes == size
    return cpu_s


def _time_plain_copy(servers: _Servers, size: int) -> float:
    """Return the CPU time of reading and putting part by part, with a hash and without any check."""
    http = urllib3.PoolManager(retries=False)
    digest = hashlib.sha256()
    began = time.process_time()
    response = http.request("GET", f"{servers.source}/{size}", preload_content=False)
    while part := response.read(PART_BYTES):
        digest.update(part)
        http.request("PUT", f"{servers.target}/part", body=part)
    return time.process_time() - began


def recording_rows() -> Iterator[Row]:
    """Measure throughput, memory and pace of the download path."""
    with _run_servers() as servers:
        plain, ours = zip(
            *((_time_plain_copy(servers, _SIZE), _time_ours(servers, _SIZE)) for _ in range(_ROUNDS)), strict=True
        )
        ratio = min(plain) / min(ours)
        yield Row(
            what=f"throughput of {_SIZE // MIB} MiB by CPU time",
            ours=f"{_SIZE / MIB / min(ours):.0f} MiB/s",
            baseline=f"plain copy {_SIZE / MIB / min(plain):.0f} MiB/s",
            measured=f"{ratio:.2f}",
            goal=">= 0.95",
            met=ratio >= 0.95,
        )
        small, large = (_measure_peak_mib(servers, size) for size in _SIZES)
        yield Row(
            what="memory growth at 1024 MiB, beside 16 MiB",
            ours=f"{large:.0f} MiB",
            baseline=f"{small:.0f} MiB",
            measured=f"{large - small:+.0f} MiB",
            goal="<= 16 MiB",
            met=large <= 16,
        )
    for jitter_ms in _JITTERS_MS:
        rate = _measure_rate(jitter_ms)
        yield Row(
            what=f"requests a second, limit {_LIMIT}, jitter {jitter_ms} ms",
            ours=f"{rate:.2f}",
            baseline=str(_LIMIT),
            measured=f"{rate / _LIMIT:.0%}",
            goal=">= 9.7",
            met=rate >= 9.7,
        )


def _measure_peak_mib(servers: _Servers, size: int) -> float:
    """Return by how many MiB one process's memory grew while it stored one file of this size."""
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.recordings", "peak", servers.source, servers.target, str(size)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(process.stdout)


def _print_peak(source: str, target: str, size: int) -> None:
    servers = _Servers(source, target)
    _time_ours(servers, 1 * MIB)  # loads imports and caches
    before = read_peak_kib()
    _time_ours(servers, size)
    print((read_peak_kib() - before) / 1024)


def read_peak_kib() -> int:
    """Return the peak memory of this process since it started this program."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1])


def _measure_rate(jitter_ms: int) -> float:
    """Return the slots a second that the guard grants one worker in virtual time."""
    clock = FixedClock()
    guard = ProviderGuards(
        store=InMemoryProviderLimitStore(),
        key="biztel#shared",
        new_container_id=lambda: "container",
        settings=GuardSettings(requests_per_s=_LIMIT, jitter=timedelta(milliseconds=jitter_ms)),
        clock=clock,
        version=lambda: "1",
    ).single
    ends, slots = clock.now() + timedelta(seconds=_PACE_S), 0
    while clock.now() < ends:
        clock.sleep_until(guard.acquire(latest=ends + timedelta(seconds=1)))
        slots += 1
    return slots / _PACE_S


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        _serve()
    else:
        _print_peak(sys.argv[2], sys.argv[3], int(sys.argv[4]))
