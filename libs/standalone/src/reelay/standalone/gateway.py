"""Configuration of Caddy, the one public port."""

import json
from collections.abc import Sequence

Route = tuple[tuple[str, ...], int]
"""Paths as Caddy matches them, and the loopback port that serves them."""

RETRY_S = 5
"""How long a request waits for a service that refuses connections because it restarts."""


def problem(status: int, title: str, detail: str, kind: str = "about:blank") -> str:
    """Return a problem document (RFC 9457)."""
    return json.dumps({"type": kind, "title": title, "status": status, "detail": detail})


def configuration(
    listener: int, routes: Sequence[Route], trusted_proxies: Sequence[str] = ()
) -> str:
    """Return a Caddyfile that serves the listening socket `listener` (a file descriptor).

    Services learn one address of each client (`X-Forwarded-For`): that of the connection, or, when
    it lies in a CIDR range of `trusted_proxies`, what the proxy says, read from the right up to
    the first address that is not trusted. What a client invents stands left of that.

    The first route that matches wins. `flush_interval` stays unset: Caddy flushes event streams
    and bodies of unknown length by itself, and -1 would keep requests alive whose client left.
    `enable_full_duplex`: else Go's server stops reading a body when the answer begins, and an
    upload that is refused while its client sends gets half an answer.
    """
    lines = [
        _options(trusted_proxies),
        "http:// {",
        f"\tbind fd/{listener}",
        "\theader -Server",
        "\troute {",
    ]
    for paths, port in routes:
        lines += [f"\t\t@{port} path {' '.join(paths)}", f"\t\thandle @{port} {{"]
        lines += [_PROXY.format(port=port, retry_s=RETRY_S), "\t\t}"]
    lines += ["\t\thandle {", "\t\t\terror 404", "\t\t}", "\t}", _ERRORS, "}", ""]
    return "\n".join(lines)


def _options(trusted_proxies: Sequence[str]) -> str:
    if not trusted_proxies:
        return _OPTIONS.format(trust="")
    return _OPTIONS.format(trust=_TRUST.format(ranges=" ".join(trusted_proxies)))


_OPTIONS = """\
{{
	admin off
	auto_https off
	persist_config off
	grace_period 2s
	servers {{
		protocols h1
		enable_full_duplex{trust}
	}}
}}
"""

_TRUST = """
		trusted_proxies static {ranges}
		trusted_proxies_strict"""

_PROXY = """\
			reverse_proxy 127.0.0.1:{port} {{
				header_up X-Forwarded-For {{client_ip}}
				lb_try_duration {retry_s}s
				lb_try_interval 100ms
				transport http {{
					dial_timeout 2s
				}}
			}}"""

_NOT_FOUND = problem(404, "Not Found", "There is nothing under this path.", "not-found")
_AWAY = problem(503, "Service Unavailable", "This part of Reelay is starting; try again.")
_OTHER = '{"type": "about:blank", "title": "{err.status_text}", "status": {err.status_code}}'

_ERRORS = f"""\
	handle_errors {{
		header Content-Type application/problem+json
		header Cache-Control no-store
		header -Server
		@missing expression `{{err.status_code}} == 404`
		handle @missing {{
			respond `{_NOT_FOUND}` 404
		}}
		@away expression `{{err.status_code}} in [502, 503, 504]`
		handle @away {{
			header Retry-After 1
			respond `{_AWAY}` 503
		}}
		handle {{
			respond `{_OTHER}` {{err.status_code}}
		}}
	}}"""
