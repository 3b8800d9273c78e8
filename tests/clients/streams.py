"""httpx-sse: every message that it hands out until the stream ends."""

import json
import os

import httpx
from httpx_sse import connect_sse

url = f"{os.environ['ONESEAT_URL']}/auth/session/events"
headers = {"Authorization": f"Bearer {os.environ['ONESEAT_TOKEN']}"}
with httpx.Client(timeout=120) as client, connect_sse(client, "GET", url, headers=headers) as source:
    print("open", flush=True)
    print(json.dumps([[event.event, json.loads(event.data)["reason"]] for event in source.iter_sse()]))
