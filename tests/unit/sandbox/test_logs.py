"""Whose logs are shown is told by a part of a function's name."""

from __future__ import annotations

import pytest

from sandbox.errors import SandboxError
from sandbox.logs import find_names

NAMES = ("SendSms", "SendSmsBatch", "QueryStatus")


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("", ["QueryStatus", "SendSms", "SendSmsBatch"]),
        ("send_sms", ["SendSms", "SendSmsBatch"]),
        ("querystatus", ["QueryStatus"]),
    ],
)
def test_a_folders_name_or_a_part_of_it_finds_the_functions(part: str, found: list[str]) -> None:
    assert find_names(part, NAMES) == found


def test_a_name_that_nothing_has_is_answered_with_the_names_there_are() -> None:
    with pytest.raises(SandboxError, match=r"send_letter\. The functions are: QueryStatus, SendSms, SendSmsBatch"):
        find_names("send_letter", NAMES)
