"""A part of a function's name selects the logs."""

from __future__ import annotations

import pytest

from sandbox.errors import SandboxError
from sandbox.logs import find_names

NAMES = ("SendSms", "SendSmsBatch", "QueryStatus")


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        pytest.param("", ["QueryStatus", "SendSms", "SendSmsBatch"], id="empty"),
        pytest.param("send_sms", ["SendSms", "SendSmsBatch"], id="folder"),
        pytest.param("querystatus", ["QueryStatus"], id="lower case"),
    ],
)
def test_a_part_of_a_name_or_folder_finds_the_functions(part: str, expected: list[str]) -> None:
    assert find_names(part, NAMES) == expected


def test_an_unknown_name_is_refused_with_the_list_of_names() -> None:
    with pytest.raises(SandboxError, match=r"send_letter\. The functions are: QueryStatus, SendSms, SendSmsBatch"):
        find_names("send_letter", NAMES)
