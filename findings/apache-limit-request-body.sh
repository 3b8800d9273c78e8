#!/usr/bin/env bash
# Apache's LimitRequestBody does not bound what mod_proxy passes on.
#
# Seen with Apache 2.4.71 (Debian 12, package apache2-bin): with `LimitRequestBody 8192` for the whole server, a body of 20,000 bytes for
# a file is answered 413, and the same body for an address below ProxyPass reaches the backend whole, which answers 200. Guides to
# Apache as a gateway recommend the directive as the limit for uploads. A gateway's backend has to bound bodies by itself.
#
# Needs: apt-get install apache2-bin python3 curl. Listens on 127.0.0.1 only. Exits 1 when it behaves otherwise.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "${backend:-}" "${apache:-}" 2>/dev/null || true; rm -rf "$dir"' EXIT
chmod 755 "$dir"
modules=/usr/lib/apache2/modules

cat >"$dir/backend.py" <<'EOF'
from http.server import BaseHTTPRequestHandler, HTTPServer
import sys

class Backend(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"%d bytes came" % len(body))

    def log_message(self, *_):
        pass

server = HTTPServer(("127.0.0.1", 0), Backend)
with open(sys.argv[1], "w") as file:
    file.write(str(server.server_port))
server.serve_forever()
EOF
timeout 60 python3 "$dir/backend.py" "$dir/port" &
backend=$!
until [ -s "$dir/port" ]; do sleep 0.1; done

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir "$dir/files"
echo "a file" >"$dir/files/file"
cat >"$dir/apache.conf" <<EOF
ServerName localhost
ServerRoot $dir
PidFile $dir/pid
ErrorLog $dir/log
Listen 127.0.0.1:$port
LoadModule mpm_event_module $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule proxy_module $modules/mod_proxy.so
LoadModule proxy_http_module $modules/mod_proxy_http.so
DocumentRoot $dir/files
LimitRequestBody 8192
ProxyPass /proxied http://127.0.0.1:$(cat "$dir/port")/
EOF
[ "$(id -u)" != 0 ] || printf 'User nobody\nGroup nogroup\n' >>"$dir/apache.conf"
timeout 60 apache2 -X -f "$dir/apache.conf" &
apache=$!
until curl -s -o /dev/null "http://127.0.0.1:$port/file"; do sleep 0.1; done

head -c 20000 /dev/zero | tr '\0' x >"$dir/body"
post() { curl -s -o "$dir/answer" -w '%{http_code}' --data-binary "@$dir/body" "http://127.0.0.1:$port$1"; }
file=$(post /file)
proxied=$(post /proxied)
echo "$(apache2 -v | head -n 1); a file: $file; proxied: $proxied, $(cat "$dir/answer")"
[ "$file" = 413 ] && [ "$proxied" = 200 ] && [ "$(cat "$dir/answer")" = "20000 bytes came" ]
