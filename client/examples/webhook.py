"""Takes what TrustCard tells a webhook, and prints each message as a line of JSON, once.

    python webhook.py 9000

TRUSTCARD_WEBHOOK_SECRET is what POST /api/webhooks answered as `secret`. Put a server that speaks https before it: TrustCard calls no other.
"""

import base64
import hashlib
import hmac
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["TRUSTCARD_WEBHOOK_SECRET"].removeprefix("whsec_"))
LONGEST = 64 * 1024
# An attempt is signed when it is made: what is older was recorded by somebody and is sent again.
OLDEST_S = 300
# Messages that were taken. A program that must not take one twice keeps this where a restart does not lose it.
taken = set()


def genuine(headers, body: bytes) -> bool:
    """Whether TrustCard signed this, and just now."""
    name, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not at.isdigit() or abs(time.time() - int(at)) > OLDEST_S:
        return False
    digest = hmac.digest(KEY, f"{name}.{at}.".encode() + body, hashlib.sha256)
    right = "v1," + base64.b64encode(digest).decode()
    # Several signatures stand here while a secret is exchanged.
    return any(hmac.compare_digest(right, one) for one in headers.get("webhook-signature", "").split())


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        if length > LONGEST:
            return self.answer(413)
        body = self.rfile.read(length)
        if not genuine(self.headers, body):
            return self.answer(401)
        name = self.headers["webhook-id"]
        if name not in taken:
            taken.add(name)
            print(body.decode(), flush=True)
        self.answer(204)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_) -> None:
        """Nothing: what was taken is printed, and TrustCard lists every attempt."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
