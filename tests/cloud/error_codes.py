"""The codes of errors: those that botocore's models declare for an operation, and the others, each with its source."""

from __future__ import annotations

import functools
from typing import Any

from botocore.retries import standard

_COMMON = "Common Errors, a page in the API reference of each service"
_DENIED = "IAM User Guide, Troubleshoot access denied error messages"
_EC2 = "EC2 API Reference, Error codes for the Amazon EC2 API"
_DYNAMODB = "DynamoDB Developer Guide, Error handling with DynamoDB"
_S3 = "S3 API Reference, Error responses"
_RETRIES = "botocore/retries/standard.py, which retries it for every service"

_RETRIED = (
    *standard.ThrottledRetryableChecker._THROTTLED_ERROR_CODES,
    *standard.TransientRetryableChecker._TRANSIENT_ERROR_CODES,
)

EVERYWHERE: dict[str, str] = dict.fromkeys(_RETRIED, _RETRIES) | {
    "AccessDeniedException": _COMMON,
    "InternalFailure": _COMMON,
    "ServiceUnavailable": _COMMON,
    "ThrottlingException": _COMMON,
    "ValidationError": _COMMON,
}
"""Codes of any service, with their sources."""

SERVICES: dict[str, dict[str, str]] = {
    "batch": {
        "ConflictException": "aws/containers-roadmap #2463: `Object already exists`, status 409",
    },
    "cloudformation": {"AccessDenied": _DENIED},
    "dynamodb": {"ValidationException": _DYNAMODB},
    "ec2": {
        "IdempotentParameterMismatch": _EC2,
        "InternalError": _EC2,
        "InvalidAMIID.NotFound": _EC2,
        "InvalidKeyPair.NotFound": _EC2,
        "InvalidLaunchTemplateId.NotFound": _EC2,
        "InvalidLaunchTemplateName.AlreadyExistsException": _EC2,
        "InvalidLaunchTemplateName.MalformedException": _EC2,
        "InvalidLaunchTemplateName.NotFoundException": _EC2,
        "InvalidParameterValue": _EC2,
        "MissingParameter": _EC2,
        "UnauthorizedOperation": _EC2,
        "Unavailable": _EC2,
    },
    "iam": {"AccessDenied": _DENIED},
    "s3": {"AccessDenied": _S3, "InternalError": _S3},
    "sts": {"AccessDenied": _DENIED},
}
"""Codes of one service, with their sources."""


@functools.cache
def declared(operation: Any) -> dict[str, Any]:
    """The errors that a model declares for an operation, by code."""
    return {shape.metadata.get("error", {}).get("code", shape.name): shape for shape in operation.error_shapes}


def source(service: str, code: str | None) -> str | None:
    """The source of a code that no model declares for the operation, None where there is none."""
    return SERVICES.get(service, {}).get(code or "") or EVERYWHERE.get(code or "")
