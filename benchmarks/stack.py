"""The deployed tables and secrets, and a provider that accepts everything, in a process that is not measured."""

from __future__ import annotations

import logging
import multiprocessing
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Final

import boto3

from benchmarks.front import PROVIDER_PATH, Front
from switchboard.domain.orders import Deadlines, OutcomeKind
from switchboard.providers.mediasms.response_codes import DELIVERY_STATUSES
from switchboard.storage.sms.messages import DynamoDbMessageStore
from tests.builders import a_message, an_outcome
from tests.deployment import deployed
from tests.translated_template import REGION, environment_of, function_folders, resolve_references

REPORTED_ID: Final = "order1001"
REPORTED_RECIPIENT: Final = "+819000000001"
_TABLES: Final = ("StateTable", "LimitsTable")


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack, as the measuring process sees it."""

    environments: Mapping[str, Mapping[str, str]]
    """The environment variables of each function, by the name of its folder."""
    _connection: Connection

    def take_counts(self) -> Counter[str]:
        """Return the operations since the last call, such as `dynamodb UpdateItem StateTable`, and begin anew."""
        self._connection.send("take_counts")
        counts: Counter[str] = self._connection.recv()
        return counts


@contextmanager
def running_stack() -> Iterator[Stack]:
    """Yield a stack with the template's resources behind one port, until the block ends."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=_serve, args=(theirs,), daemon=True)
    server.start()
    theirs.close()
    try:
        yield Stack(environments=ours.recv(), _connection=ours)
    finally:
        ours.close()
        server.join(timeout=10)


def _serve(connection: Connection) -> None:
    logging.getLogger("samtranslator").setLevel(logging.ERROR)  # it warns of a service that it was not given
    with Front() as front, deployed(MediaSmsBaseUrl=f"{front.url}{PROVIDER_PATH}") as deployment:
        threading.Thread(target=front.serve_forever, daemon=True).start()
        _put_message(deployment.references["StateTable"])
        names = {deployment.references[name]: name for name in _TABLES}
        connection.send(_build_environments(deployment.references, url=front.url))
        while True:
            try:
                connection.recv()
            except EOFError:
                break
            counts, front.counts = front.counts, Counter()
            connection.send(Counter({_name_tables_by_logical_id(key, names): count for key, count in counts.items()}))
        front.shutdown()


def _put_message(table: str) -> None:
    """Put an accepted message into the table: the one that the reports are about."""
    messages = DynamoDbMessageStore(
        client=boto3.client("dynamodb", region_name=REGION),
        table=table,
        deadlines=Deadlines(),
        statuses=DELIVERY_STATUSES,
        retention=timedelta(days=90),
    )
    message = a_message(REPORTED_ID, recipient=REPORTED_RECIPIENT)
    messages.create(message)
    messages.record_outcome(message, message.claims[0], an_outcome(OutcomeKind.ACCEPTED))


def _name_tables_by_logical_id(key: str, names: Mapping[str, str]) -> str:
    return " ".join(names.get(word, word) for word in key.split())


def _build_environments(references: Mapping[str, str], *, url: str) -> dict[str, dict[str, str]]:
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
