"""Which hosts serve content besides our own, and in which order a client tries them."""

import math
import random
from collections.abc import Iterable, Sequence
from typing import Annotated
from urllib.parse import urlsplit

import httpx
from pydantic import AfterValidator, BaseModel, Field


def base_url(url: str) -> str:
    """Return an address without its trailing slash; raise ValueError for what is no base of others.

    The paths of the playback answer are appended to it.
    """
    wrong = f"{url!r} is not an address such as https://cdn.example"
    try:
        parts = urlsplit(url)
        host, port = httpx.URL(url).host, parts.port  # who probes it must understand it, too
    except (ValueError, httpx.InvalidURL) as error:
        raise ValueError(wrong) from error
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise ValueError(wrong)
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f"{url!r} holds more than scheme, host, port and path")
    return url.rstrip("/")


class CdnHost(BaseModel):
    """A host, and its share of the clients relative to the others'."""

    url: Annotated[str, AfterValidator(base_url)]
    weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)


def draw(hosts: Iterable[CdnHost], chance: random.Random) -> Sequence[CdnHost]:
    """Return hosts in an order in which each is first as often as its weight says.

    Weighted sampling without replacement (Efraimidis and Spirakis, 2006): the i-th key is
    u ** (1 / weight), with u uniform in (0, 1]; logarithms tell the smallest apart.
    """
    return sorted(hosts, key=lambda host: -math.log(1 - chance.random()) / host.weight)
