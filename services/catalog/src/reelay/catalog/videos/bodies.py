"""Reads JSON bodies after the caller is known, and no more of them than they may have."""

from http import HTTPStatus
from typing import TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from reelay.common.errors import PermanentError

MAX_BODY_BYTES = 64 * 1024

Body = TypeVar("Body", bound=BaseModel)


class BodyTooLargeError(PermanentError):
    """The body of the request is larger than any that makes sense here."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


async def read_body(request: Request, model: type[Body]) -> Body:
    """Return the body of a request as a `model`.

    FastAPI would read it before asking for the token. Raises BodyTooLargeError and
    RequestValidationError.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLargeError
    try:
        return model.model_validate_json(bytes(body))
    except ValidationError as error:
        details = [{**detail, "loc": ("body", *detail["loc"])} for detail in error.errors()]
        raise RequestValidationError(details) from error
