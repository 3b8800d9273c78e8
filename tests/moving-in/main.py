"""Moves the users of real systems in, for script/moving-in: main.py FOLDER ONESEAT [SYSTEM...]."""

import os
import statistics
import sys

from servers import Ldap, Mysql, Postgresql, RealmFile
from systems import SYSTEMS
from tools import ROWS, Seat, commands_of_the_page, measured

folder, program, wanted = os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2]), sys.argv[3:]


def move_in(system, servers, number):
    """Exports, imports, signs in. Returns the row of the table."""
    here = f"{folder}/{number}"
    os.mkdir(here)
    os.chmod(here, 0o755)
    hashed = system.hash(folder)
    environment = servers[system.server].fill(system, hashed, f"theirs_{number}", here)
    commands = commands_of_the_page(system, f"theirs_{number}")
    measured(["bash", "-euo", "pipefail", "-c", commands], cwd=here, env={**os.environ, **environment})
    file = next(name for name in ["users.csv", "users.jsonl"] if os.path.exists(f"{here}/{name}"))

    url = servers["postgresql"].database(f"ours_{number}")
    measured([program, "migrate", "--database-url", url])
    command = [program, "user", "import", f"{here}/{file}", "--database-url", url]
    said, seconds, peak = measured(command)
    assert said.startswith(f"added {ROWS}, unchanged 0, left as they are 0, refused 0"), said
    _, again, _ = measured(command)
    with Seat(program, url, here, system.pepper) as seat:
        addresses = [f"user{n * ROWS // 10 + n + 1}@example.org" for n in range(10)]
        first, second = seat.sign_in_all(addresses), seat.sign_in_all(addresses)
    ours = servers["postgresql"].query(f"ours_{number}", "select count(*) from users where password_hash like '$argon2id$v=19$m=19456,t=2,p=1$%'")
    assert ours == "10", ours
    return [system.name, f"{seconds:.1f} s", f"{ROWS / seconds:,.0f}", f"{peak:.0f} MiB", f"{again:.1f} s",
            f"{statistics.median(first) * 1000:.0f} ms", f"{statistics.median(second) * 1000:.0f} ms"]


def main():
    servers = {}
    try:
        for kind, start in {"postgresql": Postgresql, "mysql": Mysql, "ldap": Ldap}.items():
            servers[kind] = start(folder)
        servers["file"] = RealmFile()
        print("| system | import | rows a second | memory | the same file again | first sign-in | second sign-in |\n|---|---|---|---|---|---|---|", flush=True)
        for number, system in enumerate(SYSTEMS):
            if not wanted or system.name in wanted:
                print("| " + " | ".join(move_in(system, servers, number)) + " |", flush=True)
    finally:
        for server in servers.values():
            server.stop()


main()
