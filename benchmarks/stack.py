"""The deployed tables and secrets, and a provider that says yes, in another process: its work counts as nobody's."""

from __future__ import annotations

import logging
import multiprocessing
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

from benchmarks.front import PROVIDER_PATH, Front
from tests.deployment import deployed
from tests.translated_template import REGION, environment_of, function_folders, resolve_references

_TABLES = ("StateTable", "LimitsTable")


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack, seen from the process that measures."""

    environments: Mapping[str, Mapping[str, str]]
    """Each function's environment variables, by the name of its folder."""
    _line: Connection

    def counted(self) -> Counter[str]:
        """What was asked for since this was called last, such as `dynamodb UpdateItem StateTable`."""
        self._line.send("counted")
        counts: Counter[str] = self._line.recv()
        return counts


@contextmanager
def running_stack() -> Iterator[Stack]:
    """The template's resources behind one port, until the block ends."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=_serve, args=(theirs,), daemon=True)
    server.start()
    theirs.close()
    try:
        yield Stack(environments=ours.recv(), _line=ours)
    finally:
        ours.close()
        server.join(timeout=10)


def _serve(line: Connection) -> None:
    logging.getLogger("samtranslator").setLevel(logging.ERROR)  # it warns of a service it was not given
    with Front() as front, deployed(MediaSmsBaseUrl=f"{front.url}{PROVIDER_PATH}") as deployment:
        threading.Thread(target=front.serve_forever, daemon=True).start()
        names = {deployment.references[name]: name for name in _TABLES}
        line.send(_environments(deployment.references, url=front.url))
        while True:
            try:
                line.recv()
            except EOFError:
                break
            counts, front.counts = front.counts, Counter()
            line.send(Counter({_with_logical_ids(key, names): count for key, count in counts.items()}))
        front.shutdown()


def _with_logical_ids(key: str, names: Mapping[str, str]) -> str:
    return " ".join(names.get(word, word) for word in key.split())


def _environments(references: Mapping[str, str], *, url: str) -> dict[str, dict[str, str]]:
    aws = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_LAMBDA_FUNCTION_NAME": "benchmark",
    }
    return {
        folder: {**aws, **resolve_references(environment_of(logical_id), references=references)}
        for logical_id, folder in function_folders().items()
    }
