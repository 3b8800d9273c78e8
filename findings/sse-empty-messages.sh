#!/bin/sh
# Clients of server-sent events: an empty line alone makes some of them hand out an empty message.
#
# Servers keep a stream open with comments, and end each with an empty line, as the examples of the WHATWG standard do. An empty line
# dispatches an event only if there is data (9.2.6), so such a block says nothing. fetch-event-source hands out a message for each
# empty line, whatever stood before it; httpx-sse does so after a block that holds `retry:` alone. Both give it no name and no data, and a
# program that parses every message as JSON fails at the first heartbeat. Without the empty line after it, a comment is silent
# everywhere; `retry:` is best left out, or sent within a block that has data.
#
# Software: @microsoft/fetch-event-source 2.0.1 and eventsource 4.1.1 (npm), on Node.js 20.20.2; httpx-sse 0.4.3 with httpx 0.28.1 (PyPI), on
# Python 3.11.
# Behaviour: the same valid stream (a block with `retry:` and a comment, a block with a comment, one event; then comments without
# empty lines, and one event) gives one event of each half to eventsource, and more to the others.
# Output seen:
#   eventsource: [["","1"],["","2"]]
#   fetch-event-source: [["",""],["",""],["","1"],["","2"]]
#   httpx-sse: [["message", ""], ["message", "1"], ["message", "2"]]
#
# Usage: findings/sse-empty-messages.sh. Needs Node.js with npm, and Python 3 with venv. Exit status 0 as long as it is so.
set -eu

for program in node npm python3; do
    command -v "$program" > /dev/null || { echo "$program is missing" >&2; exit 2; }
done
dir=$(mktemp -d)
trap 'kill "$server" 2> /dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
cat > server.py << 'PYTHON'
import http.server

PARTS = ["retry: 1000\n: open\n\n", ": beat\n\n", "data: 1\n\n", ": open\n", ": beat\n", "data: 2\n\n"]


class Stream(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for part in PARTS:
            self.wfile.write(part.encode())
            self.wfile.flush()

    def log_message(self, *words):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stream)
with open("port", "w") as file:
    print(server.server_port, file=file)
server.serve_forever()
PYTHON
timeout 300 python3 server.py &
server=$!
npm install --silent --no-audit --no-fund @microsoft/fetch-event-source@2.0.1 eventsource@4.1.1
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check httpx==0.28.1 httpx-sse==0.4.3
until [ -s port ]; do sleep 0.1; done
url="http://127.0.0.1:$(cat port)/"

cat > clients.mjs << 'NODE'
import { EventSource } from "eventsource";

const url = process.argv[2];
const heard = await new Promise((all) => {
  const messages = [];
  const source = new EventSource(url);
  source.onmessage = ({ data }) => messages.push(["", data]);
  source.onerror = () => { source.close(); all(messages); };
});
console.log(`eventsource: ${JSON.stringify(heard)}`);

// It asks whether its page is shown.
globalThis.window = globalThis;
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
const { fetchEventSource } = await import("@microsoft/fetch-event-source");
const messages = [];
await fetchEventSource(url, { onmessage: ({ event, data }) => messages.push([event, data]) });
console.log(`fetch-event-source: ${JSON.stringify(messages)}`);
NODE
cat > client.py << 'PYTHON'
import json
import sys

import httpx
from httpx_sse import connect_sse

with httpx.Client() as client, connect_sse(client, "GET", sys.argv[1]) as source:
    print("httpx-sse:", json.dumps([[event.event, event.data] for event in source.iter_sse()]))
PYTHON
{
    node clients.mjs "$url"
    venv/bin/python client.py "$url"
} | tee seen
grep -qxF 'eventsource: [["","1"],["","2"]]' seen
grep -qxF 'fetch-event-source: [["",""],["",""],["","1"],["","2"]]' seen
grep -qxF 'httpx-sse: [["message", ""], ["message", "1"], ["message", "2"]]' seen
