"""Programs with their time and memory, the commands of the page, and a oneseat that users sign in to."""

import json
import os
import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from hashes import PASSWORDS

ROWS = 50_000


def measured(command, **more):
    """Runs it. Returns what it printed, its seconds, and the most memory that it had, in MiB."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        began = time.monotonic()
        child = subprocess.Popen(command, stdout=out, stderr=errors, **more)
        peak = 0
        while True:
            try:
                status = child.wait(0.05)
                break
            except subprocess.TimeoutExpired:
                # wait4 would count the memory of this process, too, from which the child was forked.
                peak = max(peak, most_memory(child.pid))
        seconds = time.monotonic() - began
        out.seek(0)
        errors.seek(0)
        said = out.read().decode()
        assert status == 0, f"{command}: {said}{errors.read().decode()}"
        return said, seconds, peak / 1024


def most_memory(process):
    """In KiB, so far."""
    with open(f"/proc/{process}/status") as file:
        found = re.search(r"VmHWM:\s+(\d+)", file.read())
    return int(found[1]) if found else 0


def commands_of_the_page(system, database):
    """The commands that export the users of the system, as docs/moving-in.md shows them, for this database."""
    with open("docs/moving-in.md") as file:
        _, section = file.read().split(f"\n### {system.heading}\n", 1)
    section = re.split(r"\n##+ ", section, maxsplit=1)[0]
    commands = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[system.block]
    for shown, here in [*system.replace, ("-d DATABASE", f"-d {database}"), ("skip-column-names DATABASE", f"skip-column-names {database}")]:
        commands = commands.replace(shown, here)
    assert "DATABASE" not in commands and "BASE " not in commands, commands
    return commands


class Seat:
    """A oneseat over a database."""

    def __init__(self, program, url, here, pepper):
        environment = {**os.environ, "DATABASE_URL": url, "ONESEAT_BIND": "127.0.0.1:0", "ONESEAT_LOGIN_RATE": "off"}
        if pepper:
            with open(f"{here}/pepper", "w") as file:
                file.write(pepper)
            environment["ONESEAT_PASSWORD_PEPPER_FILE"] = f"{here}/pepper"
        self.child = subprocess.Popen([program, "serve"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        told = []
        for line in self.child.stderr:
            told.append(line)
            if found := re.search(r"serving on (http://\S+)", line):
                self.url = found[1]
                return
        raise RuntimeError("".join(told))

    def sign_in(self, address):
        """Seconds that it takes."""
        number = int(re.search(r"\d+", address)[0])
        body = json.dumps({"email": address, "password": PASSWORDS[number % len(PASSWORDS)]}).encode()
        request = urllib.request.Request(f"{self.url}/auth/login", body, {"Content-Type": "application/json"})
        while True:
            began = time.monotonic()
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    token = json.load(answer)["token"]
                seconds = time.monotonic() - began
                self.sign_out(token)
                return seconds
            except urllib.error.HTTPError as refused:
                # The machine is busy.
                assert refused.code == 503, f"{address}: {refused.code} {refused.read().decode()}"
                time.sleep(int(refused.headers["Retry-After"]))

    def sign_out(self, token):
        """A sign-in that ends an older session would wait until no instance accepts that one."""
        request = urllib.request.Request(f"{self.url}/auth/logout", method="POST", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert json.load(answer) == {"success": True}

    def sign_in_all(self, addresses):
        return [self.sign_in(address) for address in addresses]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait()
