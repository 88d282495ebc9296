"""Creates clients of the emulated AWS account, as its root user."""

from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from sandbox.emulator import ACCESS_KEY, REGION

if TYPE_CHECKING:
    from boto3.session import Session


@cache
def create_session() -> "Session":
    """Return a session with the emulator's region and keys; it reads nothing of this user's AWS configuration."""
    return boto3.Session(aws_access_key_id=ACCESS_KEY, aws_secret_access_key=ACCESS_KEY, region_name=REGION)


def create_client(service: str, url: str) -> Any:
    """Return a client of one service of the emulator at `url`."""
    # No proxy of this user's may come between. There are no retries: a refusal of the emulator is a finding.
    config = Config(proxies={}, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    return create_session().client(service, endpoint_url=url, config=config)  # type: ignore[call-overload]
