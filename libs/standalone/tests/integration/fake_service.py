"""Stands in for every service: answers health checks, streams events, echoes what is sent."""

import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME = sys.argv[1]
PREFIX = NAME.replace("-", "_").upper() + "_"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.startswith("/api/v1/events"):
            self.stream()
        elif self.path == "/api/v1/spawn":
            child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
            self.answer(str(child.pid).encode())
        elif self.path == "/api/v1/environment":
            self.answer(json.dumps(dict(os.environ)).encode())
        elif self.path == "/api/v1/forwarded-for":
            self.answer(json.dumps(self.headers.get_all("x-forwarded-for")).encode())
        else:
            self.answer(f"{NAME} {self.path}".encode())

    def do_PATCH(self) -> None:
        self.answer(str(len(self.rfile.read(int(self.headers["content-length"])))).encode())

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for number in range(600):
            self.wfile.write(f"data: {number}\n\n".encode())
            time.sleep(0.2)

    def log_message(self, *args: object) -> None:
        line = {"level": "warning" if "shout" in self.path else "info", "event": self.path}
        print(json.dumps(line), flush=True)


if os.environ.get(PREFIX + "CRASH"):
    sys.exit("cannot go on")
if os.environ.get(PREFIX + "STUBBORN"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
ThreadingHTTPServer(("127.0.0.1", int(os.environ[PREFIX + "PORT"])), Handler).serve_forever()
