"""Holds the document's three tables of errors (实名认证, 公共错误码, VMS错误码), row by row."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Error:
    """One row: the body's `code` and `message`, and the HTTP status."""

    code: str
    message: str
    http_status: int


QUALIFY_NOT_PASS: Final = Error("QualifyNotPass", "The User has not pass qualify.", 403)

ACCESS_DENIED: Final = Error("AccessDenied", "Access denied.", 403)
INAPPROPRIATE_JSON: Final = Error(
    "InappropriateJSON",
    "The JSON you provided was well-formed and valid, but not appropriate for this operation.",
    400,
)
INTERNAL_ERROR: Final = Error("InternalError", "We encountered an internal error. Please try again.", 500)
INVALID_ACCESS_KEY: Final = Error(
    "InvalidAccessKeyId", "The Access Key ID you provided does not exist in our records.", 403
)
INVALID_AUTH_HEADER: Final = Error(
    "InvalidHTTPAuthHeader",
    "The HTTP authorization header is invalid. Consult the service documentation for details.",
    400,
)
INVALID_REQUEST: Final = Error("InvalidHTTPRequest", "There was an error in the body of your HTTP request.", 400)
INVALID_URI: Final = Error("InvalidURI", "Could not parse the specified URI.", 400)
MALFORMED_JSON: Final = Error("MalformedJSON", "The JSON you provided was not well-formed.", 400)
INVALID_VERSION: Final = Error("InvalidVersion", "The API version specified was invalid.", 404)
OPT_IN_REQUIRED: Final = Error("OptInRequired", "A subscription for the service is required.", 403)
PRECONDITION_FAILED: Final = Error(
    "PreconditionFailed", "The specified If-Match header doesn't match the ETag header.", 412
)
REQUEST_EXPIRED: Final = Error("RequestExpired", "Request has expired. Timestamp date is XXX.", 400)
"""XXX stands for the request's date."""
TOKEN_MISMATCH: Final = Error(
    "IdempotentParameterMismatch",
    "The request uses the same client token as a previous, but non-identical request.",
    403,
)
SIGNATURE_MISMATCH: Final = Error(
    "SignatureDoesNotMatch",
    "The request signature we calculated does not match the signature you provided. "
    "Check your Secret Access Key and signing method. Consult the service documentation for details.",
    400,
)

NOT_IMPLEMENTED: Final = Error("NotImplemented", "This function has not been implemented.", 501)
COMPANY_NOT_VERIFIED: Final = Error("VerifyFailed", "Company verify failed. Please check your user type.", 403)
NOT_WHITELISTED: Final = Error("VerifyFailed", "Whitelist verify failed.", 403)
TEMPLATE_NOT_VERIFIED: Final = Error("VerifyFailed", "Template has not been verified.", 403)
CONTENT_ILLEGAL: Final = Error("VerifyFailed", "Content is illegal.", 403)
SQL_INJECTION: Final = Error("RequestFailed", "Sql injection was detected.", 400)
NO_SUCH_TEMPLATE: Final = Error("RequestFailed", "Request failed. Template does not exist or invalid.", 400)
WRONG_PARAMETERS: Final = Error("RequestFailed", "Request failed. Please check your request parameters.", 400)
WRONG_VARIABLES: Final = Error("RequestFailed", "Request failed. Please check input template parameters.", 400)
WRONG_CALLBACK_URL: Final = Error("RequestFailed", "Request failed. Please check your callback url.", 400)
EXCEED_LIMIT: Final = Error("ExceedLimit", "Template number exceeded limitation.", 403)
QUEUE_FULL: Final = Error("QueueFull", "Request queue is full.", 429)
ILLEGAL_NUMBER: Final = Error("IllegalNumber", "Called number is illegal or forbidden.", 400)

COMMON_ERRORS: Final = (
    ACCESS_DENIED,
    INAPPROPRIATE_JSON,
    INTERNAL_ERROR,
    INVALID_ACCESS_KEY,
    INVALID_AUTH_HEADER,
    INVALID_REQUEST,
    INVALID_URI,
    MALFORMED_JSON,
    INVALID_VERSION,
    OPT_IN_REQUIRED,
    PRECONDITION_FAILED,
    REQUEST_EXPIRED,
    TOKEN_MISMATCH,
    SIGNATURE_MISMATCH,
)
"""公共错误码, in the document's order."""

VMS_ERRORS: Final = (
    NOT_IMPLEMENTED,
    COMPANY_NOT_VERIFIED,
    NOT_WHITELISTED,
    TEMPLATE_NOT_VERIFIED,
    CONTENT_ILLEGAL,
    SQL_INJECTION,
    NO_SUCH_TEMPLATE,
    WRONG_PARAMETERS,
    WRONG_VARIABLES,
    WRONG_CALLBACK_URL,
    EXCEED_LIMIT,
    QUEUE_FULL,
    ILLEGAL_NUMBER,
)
"""VMS错误码, in the document's order."""

ALL_ERRORS: Final = (QUALIFY_NOT_PASS, *COMMON_ERRORS, *VMS_ERRORS)
