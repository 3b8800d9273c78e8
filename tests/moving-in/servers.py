"""The servers that keep the users of the systems, in a folder that goes away with them. They listen on sockets there."""

import json
import os
import pwd
import subprocess
import sys
import time

from tools import ROWS, measured

PASSWORDS = 50


def as_user(name):
    """What stands before a program that refuses to run as root."""
    return ["setpriv", f"--reuid={name}", f"--regid={name}", "--init-groups"] if os.geteuid() == 0 else []


def own(path, name):
    os.makedirs(path, exist_ok=True)
    if os.geteuid() == 0:
        user = pwd.getpwnam(name)
        os.chown(path, user.pw_uid, user.pw_gid)


class Server:
    """A program that runs until `stop`."""

    def start(self, command, is_up):
        self.child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=open(self.log, "wb"))
        for _ in range(600):
            if is_up():
                return
            assert self.child.poll() is None, open(self.log).read()
            time.sleep(0.1)
        raise TimeoutError(open(self.log).read())

    def stop(self):
        self.child.terminate()
        self.child.wait()


class Postgresql(Server):
    """Theirs and ours are databases of one server."""

    def __init__(self, folder):
        self.folder, self.data, self.log = folder, f"{folder}/postgresql", f"{folder}/postgresql.log"
        os.chmod(folder, 0o755)
        own(self.data, "postgres")
        programs = subprocess.run(["pg_config", "--bindir"], check=True, capture_output=True, text=True).stdout.strip()
        become = as_user("postgres")
        os.environ |= {"PGHOST": self.data, "PGUSER": "postgres"}
        measured([*become, f"{programs}/initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", f"{self.data}/data"])
        options = ["-D", f"{self.data}/data", "-k", self.data, "-c", "listen_addresses="]
        is_up = lambda: subprocess.run(["pg_isready", "--quiet"]).returncode == 0
        self.start([*become, f"{programs}/postgres", *options], is_up)

    def database(self, name):
        measured(["createdb", name])
        return f"postgresql://postgres@/{name}?host={self.data}"

    def query(self, name, sql):
        command = ["psql", "--no-psqlrc", "-qAt", "--set=ON_ERROR_STOP=1", "-d", name]
        return subprocess.run(command, input=sql, check=True, capture_output=True, text=True).stdout.strip()

    def fill(self, system, hashes, name, here):
        url = self.database(name)
        if system.name == "Django":
            django_tables(name, self.data)
        if system.name == "better-auth":
            better_auth_tables(self.folder, url)
        literals = ", ".join(f"({n}, {quoted(hash)})" for n, hash in enumerate(hashes))
        numbered = f"""create table numbered as select i, hash from generate_series(1, {ROWS}) i
            join (values {literals}) as fifty (n, hash) on n = i % {PASSWORDS}; analyze numbered;"""
        self.query(name, numbered + system.fill)
        return {"SUPABASE_URL": url}


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def django_tables(name, host):
    """Django's own migrations."""
    words = f"""
import django
from django.conf import settings
from django.core.management import call_command
engine = {{"ENGINE": "django.db.backends.postgresql", "NAME": "{name}", "USER": "postgres", "HOST": "{host}"}}
settings.configure(DATABASES={{"default": engine}}, INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"])
django.setup()
call_command("migrate", verbosity=0)
"""
    measured([sys.executable, "-c", words])


def better_auth_tables(folder, url):
    """better-auth's own migrations."""
    words = """
import { getMigrations } from "better-auth/db/migration";
import pg from "pg";
const database = new pg.Pool({ connectionString: process.argv[2] });
const { runMigrations } = await getMigrations({ database, emailAndPassword: { enabled: true } });
await runMigrations();
await database.end();
"""
    with open(f"{folder}/tables.mjs", "w") as file:
        file.write(words)
    measured(["node", "tables.mjs", url.replace("@/", "@localhost/")], cwd=folder)


class Mysql(Server):
    """MariaDB."""

    def __init__(self, folder):
        self.folder, self.data, self.log = folder, f"{folder}/mysql", f"{folder}/mysql.log"
        own(self.data, "mysql")
        become = as_user("mysql")
        self.socket = f"{self.data}/socket"
        with open(f"{folder}/.my.cnf", "w") as file:
            file.write(f"[client]\nuser = root\nsocket = {self.socket}\ndefault-character-set = utf8mb4\n")
        data = ["--no-defaults", f"--datadir={self.data}/data"]
        measured([*become, "mariadb-install-db", *data, "--auth-root-authentication-method=normal"])
        is_up = lambda: subprocess.run(["mysqladmin", "--silent", "ping"], env=self.environment(), capture_output=True).returncode == 0
        self.start([*become, "mariadbd", *data, "--skip-networking", f"--socket={self.socket}"], is_up)

    def environment(self):
        return {**os.environ, "HOME": self.folder}

    def fill(self, system, hashes, name, here):
        literals = ", ".join(f"({n}, {quoted(hash)})" for n, hash in enumerate(hashes))
        sql = f"""create database {name} character set utf8mb4; use {name};
            create table fifty (n int primary key, hash text); insert into fifty values {literals};
            create table numbered as select s.seq as i, f.hash from seq_1_to_{ROWS} s join fifty f on f.n = s.seq % {PASSWORDS};"""
        subprocess.run(["mysql"], input=sql + system.fill, text=True, check=True, env=self.environment())
        return self.environment()


class Ldap(Server):
    """OpenLDAP's slapd."""

    def __init__(self, folder):
        self.folder, self.log = folder, f"{folder}/ldap.log"
        self.child = None

    def fill(self, system, hashes, name, here):
        with open(f"{here}/entries.ldif", "w") as file:
            file.write("dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n\n")
            for i in range(1, ROWS + 1):
                file.write(f"dn: uid=user{i},dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: user{i}\ncn: Ada Lovelace {i}\nsn: Lovelace\n"
                           f"mail: user{i}@example.org\nuserPassword: {hashes[i % PASSWORDS]}\n\n")
        os.mkdir(f"{here}/data")
        schemas = "".join(f"include /etc/ldap/schema/{name}.schema\n" for name in ["core", "cosine", "inetorgperson"])
        with open(f"{here}/slapd.conf", "w") as file:
            file.write(f'{schemas}modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {here}/pid\ndatabase mdb\nsuffix "dc=example,dc=org"\n'
                       f'rootdn "cn=admin,dc=example,dc=org"\nrootpw secret\ndirectory {here}/data\nmaxsize 1073741824\n')
        with open(f"{here}/password", "w") as file:
            file.write("secret")
        measured(["slapadd", "-q", "-f", f"{here}/slapd.conf", "-l", f"{here}/entries.ldif"])
        url = "ldapi://" + f"{here}/socket".replace("/", "%2F")
        self.start(["slapd", "-d", "0", "-f", f"{here}/slapd.conf", "-h", url], lambda: os.path.exists(f"{here}/socket"))
        system.replace = (("ldap://DIRECTORY", url), ("-D ADMIN -W -b BASE", f"-D cn=admin,dc=example,dc=org -y {here}/password -b dc=example,dc=org"))
        return {}

    def stop(self):
        if self.child:
            super().stop()


class RealmFile(Server):
    """What `kc.sh export` writes: no server."""

    def fill(self, system, hashes, name, here):
        users = []
        for i in range(1, ROWS + 1):
            secret, data = json.loads(hashes[i % PASSWORDS])
            credential = {"id": str(i), "type": "password", "createdDate": 1700000000000, "secretData": secret, "credentialData": data}
            users.append({"id": str(i), "username": f"user{i}", "firstName": "Ada", "lastName": f"Lovelace {i}", "email": f"user{i}@example.org",
                          "emailVerified": True, "enabled": True, "createdTimestamp": 1700000000000, "credentials": [credential]})
        with open(f"{here}/realm.json", "w") as file:
            json.dump({"realm": "REALM", "users": users}, file)
        return {}

    def stop(self):
        pass
