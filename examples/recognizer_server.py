"""Serves docs/providers/recognizer_http.md over faster-whisper: `pip install faster-whisper`, then
`WHISPER_MODEL=/path/to/model RECOGNIZER_TOKEN=secret python examples/recognizer_server.py`. `PORT` is 8090 by default.

Jobs are kept in memory: after a restart they count as lost, and are asked for again.
"""

import hmac
import io
import json
import os
import re
import threading
import urllib.request
from concurrent.futures import Future, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from faster_whisper import WhisperModel, decode_audio

TOKEN = os.environ["RECOGNIZER_TOKEN"]
MODEL = WhisperModel(os.environ["WHISPER_MODEL"], device="cpu", compute_type="int8")
WORKER = ThreadPoolExecutor(max_workers=1)
PATH = re.compile(r"/jobs/([0-9A-Za-z._-]{1,200})(/result)?")
jobs: dict[str, Future] = {}
lock = threading.Lock()


def recognize(request: dict, audio: bytes | None) -> tuple[str | None, list]:
    """Return the reason for a failure, or None, and the words of each channel."""
    if audio is None:
        return "not_accessible", []
    try:
        is_joined = len(request["channels"]) == 2
        decoded = decode_audio(io.BytesIO(audio), split_stereo=is_joined)
    except Exception:  # the decoder raises errors of several libraries over a file that it cannot read
        return "media", []
    return None, [words_of(channel, request["language"]) for channel in (decoded if is_joined else [decoded])]


def words_of(samples, language: str) -> list[dict]:
    """Recognise one channel. The filter leaves out silence, for which the model invents text."""
    segments, _ = MODEL.transcribe(
        samples, language=language[:2], word_timestamps=True, vad_filter=True, condition_on_previous_text=False
    )
    return [
        {"start_ms": round(word.start * 1000), "end_ms": max(round(word.end * 1000), round(word.start * 1000)),
         "text": word.word.strip(), "confidence": round(word.probability, 3)}
        for segment in segments for word in segment.words if word.word.strip()
    ]  # fmt: skip


def download(url: str) -> bytes | None:
    """Read the audio while its link is valid."""
    try:
        with urllib.request.urlopen(url, timeout=20) as response:
            return response.read()
    except OSError:
        return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        job, is_result = self.find_job()
        if job is None or is_result:
            return
        request = json.loads(body)
        with lock:
            is_new = job not in jobs
            if is_new:
                jobs[job] = WORKER.submit(lambda: recognize(request, download(request["audio_url"])))
        self.answer(201 if is_new else 200, {})

    def do_GET(self):
        job, is_result = self.find_job()
        if job is None:
            return
        future = jobs.get(job)
        failure, channels = future.result() if future and future.done() and not future.exception() else (None, None)
        if future is None or (is_result and channels is None):
            self.answer(404, {})
        elif is_result:
            self.answer(200, {"channels": channels})
        elif not future.done():
            self.answer(200, {"state": "running"})
        elif failure or future.exception():
            self.answer(200, {"state": "failed", "reason": failure or "internal"})
        else:
            self.answer(200, {"state": "completed"})

    def find_job(self) -> tuple[str | None, bool]:
        match = PATH.fullmatch(self.path)
        expected, given = f"Bearer {TOKEN}", self.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), expected.encode()) or not match:
            self.answer(404 if match is None else 401, {})
            return None, False
        return match[1], match[2] is not None

    def answer(self, status: int, content: dict):
        body = json.dumps(content, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Print nothing: a job's result is what was said."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8090"))), Handler).serve_forever()
