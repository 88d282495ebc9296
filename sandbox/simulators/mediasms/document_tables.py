"""Holds the document's tables: response codes (レスポンス一覧), delivery statuses (送達結果一覧), echoed parameters."""

from enum import IntEnum
from typing import Final


class Code(IntEnum):
    """A response code of the send API. The body of the answer is this number and nothing else."""

    SUCCESS = 200
    AUTHORIZATION_REQUIRED = 401
    PAYMENT_REQUIRED = 402
    URL_TOO_LONG = 414
    TOO_MANY_REQUESTS = 503
    FAILURE = 550
    ADDRESS_BLOCKED = 555
    NO_AUDIO_FILE = 556
    ADDRESS_PROHIBITED = 557
    MOBILECAREER_INVALID = 560
    METHOD_INVALID = 561
    HOLDINGTIME_INVALID = 567
    REPEATCALL_INVALID = 568
    AU_TITLE_INVALID = 615
    SOFTBANK_TITLE_INVALID = 616
    TITLE_DISABLED = 617


REASONS: Final[dict[int, str]] = {
    200: "Success",
    401: "Authorization Required",
    402: "Payment Required",
    414: "URL is longer than 8190bytes",
    503: "User reached max limit of requests/sec from the single IP address",
    550: "Failure",
    555: "Your IP address has been blocked",
    556: "No audio file",
    557: "Prohibited IP address",
    560: "Mobile career is invalid",
    561: "Method is invalid",
    567: "Holding time is invalid",
    568: "Repeat call is invalid",
    615: "AU SMS title is invalid",
    616: "Softbank SMS title is invalid",
    617: "SMS title function is disabled",
}

DELIVERED: Final = 1
FAILED: Final = 0
SENDING: Final = 2
NOT_PROCESSED: Final = 6
BEFORE_SENDING: Final = 30
INVALID: Final = 33
PROCESSING: Final = 14
DOCOMO_OUT_OF_RANGE: Final = 18

STATUS_NAMES: Final[dict[int, str]] = {
    DELIVERED: "送信済",
    FAILED: "失敗",
    SENDING: "送信中",
    NOT_PROCESSED: "未処理",
    BEFORE_SENDING: "送信前",
    INVALID: "無効",
    PROCESSING: "処理中",
    DOCOMO_OUT_OF_RANGE: "ドコモ圏外・OFF",
    19: "ドコモ自NW障害",
    20: "ドコモ他NW障害",
    10: "au圏外・OFF",
    11: "au自NW障害",
}

NEVER_PUSHED: Final = frozenset({SENDING, NOT_PROCESSED, BEFORE_SENDING, INVALID})
"""The rows marked "-": a message may have this status, and MediaSMS sends no report of it."""

REPORT_PARAMETERS: Final = (
    "mobilecareer",
    "mobilenumber",
    "smstitle",
    "smstextid",
    "smstext",
    "smstext2",
    "status",
    "smsid",
    "method",
    "ipphone",
    "holdingtime",
    "repeatcall",
)
"""Every parameter of a delivery report, in the document's order. All but `status` repeat the request."""

IVR_CALLBACK_PARAMETERS: Final = tuple(name for name in REPORT_PARAMETERS if name not in {"status", "smsid"})
"""Every parameter of an IVR callback (IVRAPI, パラメータ群), in the document's order. All repeat the request."""
