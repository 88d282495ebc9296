"""Where everything of a running sandbox answers, written for people, tests and other programs."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """The content of `.sandbox/endpoints.json`."""

    api_url: str
    """What stands before `/v1/…`, without a slash at its end."""
    api_key: str = field(repr=False)
    webhook_token: str = field(repr=False)
    mediasms_url: str
    """The whole endpoint; the other two providers' are origins. Empty where there is none."""
    biztel_url: str
    baidu_vms_url: str
    aws_endpoint_url: str
    region: str

    def write(self, path: Path) -> None:
        """Write them where only this user can read them."""
        unfinished = path.with_suffix(".unfinished")
        unfinished.touch(mode=0o600)
        unfinished.write_text(json.dumps(asdict(self), indent=2) + "\n")
        unfinished.rename(path)

    @classmethod
    def read(cls, path: Path) -> "Endpoints":
        """Read what a running sandbox wrote."""
        return cls(**json.loads(path.read_text()))
