"""What can be wrong with an upload, as a client is told."""

from http import HTTPStatus

from reelay.common.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    PermanentError,
    TransientError,
    UnprocessableError,
)


class UploadMissingError(NotFoundError):
    """There is no such upload."""


class UploadGoneError(PermanentError):
    """This upload was withdrawn or has expired; begin a new one."""

    status = HTTPStatus.GONE
    problem = "upload-gone"


class OffsetMismatchError(ConflictError):
    """Upload-Offset is not where this upload stands; ask with HEAD and go on from there."""

    problem = "offset-mismatch"


class OvertakenError(OffsetMismatchError):
    """Another request moved this upload on; ask with HEAD where it stands."""


class UploadLockedError(PermanentError):
    """Another request is sending bytes to this upload; try again when it has ended."""

    status = HTTPStatus.LOCKED
    problem = "upload-locked"


class UploadCompleteError(ConflictError):
    """This upload is complete; delete its video instead."""

    problem = "upload-complete"


class TooLargeError(PermanentError):
    """The file is larger than Reelay accepts."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    problem = "too-large"


class ExcessError(TooLargeError):
    """More bytes were sent than Upload-Length announced; HEAD tells what was kept."""

    problem = "beyond-upload-length"


class QuotaExceededError(PermanentError):
    """This user's uploads may not take more room."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    problem = "quota-exceeded"


class TooManyUploadsError(PermanentError):
    """This user has too many unfinished uploads."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    problem = "too-many-uploads"


class ChecksumMismatchError(PermanentError):
    """The bytes that came are not those of Upload-Checksum; none was kept, send them again."""

    status = 460  # tus 1.0, section Checksum
    problem = "checksum-mismatch"


class FinalUploadError(ForbiddenError):
    """The bytes of this upload come another way; none can be sent to it."""

    problem = "final-upload"


class NotJoinableError(ConflictError):
    """These uploads cannot be joined."""

    problem = "not-joinable"


class NoSuchPartError(UnprocessableError):
    """The file has no part of this number."""

    problem = "no-such-part"


class OtherDigestError(ConflictError):
    """A part was announced with another digest before; another file needs a new upload."""

    problem = "other-digest"


class PartsMissingError(ConflictError):
    """Parts of this file are not stored yet."""

    problem = "parts-missing"


class PresignedUnsupportedError(PermanentError):
    """The object store does not check what it is sent; send the file over tus instead."""

    status = HTTPStatus.NOT_IMPLEMENTED
    problem = "presigned-unsupported"


class EmptyUploadError(UnprocessableError):
    """The file is empty: it has no bytes."""

    problem = "empty-file"


class NotMediaError(PermanentError):
    """This is not a video or audio file."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    problem = "not-media"


class DraftNotHeardOfError(TransientError):
    """The news of this video has not arrived here yet; try again."""

    problem = "draft-not-heard-of"


class UnknownVideoError(UnprocessableError):
    """There is no draft with this video_id; make one with POST /api/v1/videos first."""

    problem = "unknown-video"


class WrongContentTypeError(PermanentError):
    """Bytes of an upload are sent as application/offset+octet-stream."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    problem = "wrong-content-type"


class UnsupportedVersionError(PermanentError):
    """Tus-Resumable must be 1.0.0."""

    status = HTTPStatus.PRECONDITION_FAILED
    problem = "tus-version"


class SlowClientError(PermanentError):
    """No byte came for a while; what was received is kept, go on from there."""

    status = HTTPStatus.REQUEST_TIMEOUT
    problem = "stalled"


class InterruptedUploadError(TransientError):
    """The server had to end this request; what was received is kept, go on from there."""

    problem = "interrupted"
