"""Signs S3 requests in their URL, headers included, which minio's presigning leaves out.

AWS Signature Version 4 by query parameters (Amazon S3 API Reference, "Authenticating Requests:
Using Query Parameters").
"""

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"
LONGEST_S = 7 * 86400
"""S3 allows no longer life."""
AT_ONCE_S = 900
"""Life of a request that is sent at once, for clocks that differ."""


@dataclass(frozen=True)
class _Form:
    """All of a signed request but its method and path."""

    query: str
    headers: str
    to_sign: str
    key: bytes

    def target(self, method: str, path: str) -> str:
        request = f"{method}\n{path}\n{self.query}\n{self.headers}\nUNSIGNED-PAYLOAD"
        text = self.to_sign + hashlib.sha256(request.encode()).hexdigest()
        signature = hmac.digest(self.key, text.encode(), "sha256").hex()
        return f"{path}?{self.query}&X-Amz-Signature={signature}"


@dataclass(frozen=True, eq=False)
class Signer:
    """The credentials of one server."""

    endpoint: str
    """`host` or `host:port`."""
    access_key: str
    secret_key: str
    region: str
    tls: bool

    def url(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        expires_s: float,
        now: datetime | None = None,
    ) -> str:
        """Return the URL of a request whose `headers` must be sent as they are."""
        form = self._form(now or datetime.now(UTC), query, headers, expires_s)
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{self.endpoint}{form.target(method, path)}"

    def target(self, method: str, path: str, now_s: float | None = None) -> str:
        """Return what follows the server's name in the URL of a request that is sent at once.

        It is signed as of the minute's beginning: all but the path is made once a minute. `now_s`
        is POSIX time.
        """
        minute = int(time.time() if now_s is None else now_s) // 60
        return _form_of(self, minute).target(method, path)

    def _form(
        self,
        now: datetime,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        expires_s: float,
    ) -> _Form:
        moment = f"{now:%Y%m%dT%H%M%SZ}"
        day = moment[:8]
        scope = f"{day}/{self.region}/s3/aws4_request"
        signed = {"host": self.endpoint, **{name.lower(): text for name, text in headers.items()}}
        names = ";".join(sorted(signed))
        parameters = {
            **query,
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": f"{self.access_key}/{scope}",
            "X-Amz-Date": moment,
            "X-Amz-Expires": str(max(1, min(LONGEST_S, round(expires_s)))),
            "X-Amz-SignedHeaders": names,
        }
        lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
        return _Form(
            query="&".join(f"{_encode(k)}={_encode(v)}" for k, v in sorted(parameters.items())),
            headers=f"{lines}\n{names}",
            to_sign=f"{ALGORITHM}\n{moment}\n{scope}\n",
            key=_signing_key(self.secret_key, day, self.region),
        )


@lru_cache(maxsize=16)
def _form_of(signer: Signer, minute: int) -> _Form:
    return signer._form(datetime.fromtimestamp(60 * minute, UTC), {}, {}, AT_ONCE_S)


@lru_cache(maxsize=16)
def _signing_key(secret_key: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for word in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, word.encode(), "sha256")
    return key


@lru_cache(maxsize=256)
def _encode(text: str) -> str:
    return quote(text, safe="-_.~")
