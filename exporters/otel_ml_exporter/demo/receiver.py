"""Plays PagerDuty (Events API v2) and a Slack webhook on loopback, and remembers what each was sent."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PAGERDUTY, SLACK = "/v2/enqueue", "/slack"
MAX_BODY = 1 << 20


class Receiver:
    """A server on 127.0.0.1; `events(path)` are the JSON bodies that were posted there, in order."""

    def __init__(self) -> None:
        self._received: list[tuple[str, dict[str, Any]]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_POST(self) -> None:
                try:
                    length = int(self.headers.get("Content-Length", 0))
                    if not 0 <= length <= MAX_BODY:
                        self.send_error(413)
                        return
                    event = json.loads(self.rfile.read(length))
                except ValueError:
                    self.send_error(400)
                    return
                receiver._received.append((self.path, event))
                self._answer(event)

            def _answer(self, event: dict[str, Any]) -> None:
                answer = json.dumps({"status": "success", "message": "Event processed", "dedup_key": event.get("dedup_key")}).encode()
                self.send_response(202 if self.path == PAGERDUTY else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                """Stay silent; the events are the log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def events(self, path: str = PAGERDUTY) -> list[dict[str, Any]]:
        """What was posted to `path` so far."""
        return [event for where, event in list(self._received) if where == path]

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
