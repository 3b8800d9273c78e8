#!/bin/sh
# etcd 3.4: with a file of settings it has no JSON gateway, and with the same settings as flags it has one.
#
# The gateway (/v3/...) is on by default: `etcd --help` says `--enable-grpc-gateway 'true'`, and a flag that is not given has that value.
# A file that does not name the setting leaves it at the zero of its type, which is false. So a cluster that moves its flags into a file,
# word for word, goes on answering etcdctl, which speaks gRPC, and answers 404 to clients that speak JSON, such as Patroni with `etcd3`.
#
# Software: etcd 3.4.23, Debian's package etcd-server 3.4.23-4+b4, on Linux.
# Behaviour: POST /v3/maintenance/status is 200 with flags, 404 with a file, and 200 again with a file that names enable-grpc-gateway.
# Output seen:
#   flags: 200
#   file: 404
#   file with enable-grpc-gateway: 200
#
# Usage: findings/etcd-file-no-gateway.sh. Needs apt-get, dpkg-deb and python3. Exit status 0 as long as it is so.
set -eu

for program in apt-get dpkg-deb python3; do
    command -v "$program" > /dev/null || { echo "$program is missing" >&2; exit 2; }
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
(cd "$dir" && apt-get -o APT::Sandbox::User=root download -qq etcd-server=3.4.23-4+b4 && dpkg-deb -x etcd-server_*.deb programs)

python3 - "$dir" << 'PYTHON'
import json, os, socket, subprocess, sys, time, urllib.error, urllib.request

directory = sys.argv[1]
program = os.path.join(directory, "programs/usr/bin/etcd")

def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]

def answer(name, in_a_file, more):
    """The status of the gateway's answer, from a server that has these settings as flags or in a file."""
    client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    settings = {
        "name": "one",
        "data-dir": os.path.join(directory, name),
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"one={peer}",
        **more,
    }
    if in_a_file:
        path = os.path.join(directory, f"{name}.json")
        with open(path, "w") as file:
            json.dump(settings, file)
        arguments = [f"--config-file={path}"]
    else:
        arguments = [f"--{key}={value}" for key, value in settings.items()]
    with subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(600):
                try:
                    if json.load(urllib.request.urlopen(f"{client}/health", timeout=2)).get("health") == "true":
                        break
                except (OSError, ValueError):
                    pass
                if server.poll() is not None:
                    sys.exit("etcd has ended")
                time.sleep(0.1)
            request = urllib.request.Request(f"{client}/v3/maintenance/status", data=b"{}", method="POST")
            try:
                return urllib.request.urlopen(request, timeout=10).status
            except urllib.error.HTTPError as error:
                return error.code
        finally:
            server.terminate()

seen = [
    ("flags", answer("flags", False, {})),
    ("file", answer("file", True, {})),
    ("file with enable-grpc-gateway", answer("named", True, {"enable-grpc-gateway": True})),
]
for name, status in seen:
    print(f"{name}: {status}")
sys.exit(0 if [status for _, status in seen] == [200, 404, 200] else 1)
PYTHON
