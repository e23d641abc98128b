"""Submits the posts of a file as one batch, waits, and prints each result as a line of JSON.

    python submit.py http://127.0.0.1:8000 urls.txt

TRUSTCARD_KEY is the partner's key. The idempotency key is made of what is sent: started again after any failure, it is the same batch.
"""

import hashlib
import json
import os
import sys
import time

import httpx


def ask(client: httpx.Client, method: str, path: str, **request) -> httpx.Response:
    """One request, again for as long as the API says to come back later, or does not answer."""
    for attempt in range(1, 11):
        try:
            answer = client.request(method, path, **request)
        except httpx.TransportError:
            if attempt == 10:
                raise
            time.sleep(min(attempt, 5))
            continue
        if answer.status_code not in (409, 429, 503):
            answer.raise_for_status()
            return answer
        time.sleep(float(answer.headers.get("retry-after", 1)))
    sys.exit(f"{method} {path}: still {answer.status_code} after {attempt} times")


def main(api: str, file: str) -> None:
    with open(file, encoding="utf-8") as lines:
        urls = [line.strip() for line in lines if line.strip()]
    headers = {}
    if key := os.environ.get("TRUSTCARD_KEY"):
        headers["authorization"] = f"Bearer {key}"
    # trust_env: no proxy of this machine's settings gets between.
    with httpx.Client(base_url=api, headers=headers, timeout=60, trust_env=False) as client:
        body = {"urls": urls}
        name = hashlib.sha256(json.dumps(body).encode()).hexdigest()
        batch = ask(client, "POST", "/api/analyze/batch", json=body, headers={"idempotency-key": name}).json()
        for refused in batch["rejected"]:
            print(f"line {refused['index'] + 1}: {refused['error']['message']}", file=sys.stderr)

        while True:
            progress = ask(client, "GET", f"/api/batches/{batch['batch_id']}").json()
            ended = progress["counts"]["completed"] + progress["counts"]["failed"]
            print(f"{ended} of {progress['total']}", file=sys.stderr)
            if ended >= progress["total"]:
                break
            time.sleep(1)

        for item in batch["items"]:
            result = ask(client, "GET", f"/api/results/{item['analysis_id']}").json()
            print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:3])
