"""The errors that Reelay's middleware and HTTP handler understand.

A handler says what happened by raising a subclass named for the fact; whether a message is tried
again and what a client is told follows from the type alone.
"""

from http import HTTPStatus


class ReelayError(Exception):
    """Something went wrong."""

    status: int = HTTPStatus.INTERNAL_SERVER_ERROR
    """HTTP status of the problem document (RFC 9457) that a client receives."""
    problem: str = "about:blank"
    """Problem type: a stable name that programs may test (RFC 9457, section 3.1.1)."""

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or (self.__doc__ or "").strip().splitlines()[0]
        super().__init__(self.detail)


class PermanentError(ReelayError):
    """This can never succeed, however often it is tried."""

    status: int = HTTPStatus.UNPROCESSABLE_ENTITY


class TransientError(ReelayError):
    """This may succeed when it is tried again."""

    status: int = HTTPStatus.SERVICE_UNAVAILABLE


class OutageError(TransientError):
    """A server that this service needs does not answer."""


class SetupError(ReelayError):
    """This service cannot work before a setting is changed."""


class NotFoundError(PermanentError):
    """There is nothing under this name."""

    status = HTTPStatus.NOT_FOUND
    problem = "not-found"


class ForbiddenError(PermanentError):
    """This token does not allow that."""

    status = HTTPStatus.FORBIDDEN
    problem = "forbidden"


class UnauthorizedError(PermanentError):
    """A valid bearer token is needed; the administrator's is in the file admin-token."""

    status = HTTPStatus.UNAUTHORIZED
    problem = "unauthorized"


class InvalidRequestError(PermanentError):
    """The request is not understood."""

    status = HTTPStatus.BAD_REQUEST
    problem = "invalid-request"


class UnprocessableError(PermanentError):
    """The request is understood but cannot be followed."""

    problem = "unprocessable"


class ConflictError(PermanentError):
    """The request does not fit the present state."""

    status = HTTPStatus.CONFLICT
    problem = "conflict"
