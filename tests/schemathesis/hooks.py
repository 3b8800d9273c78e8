"""Who the schema-driven tester is: an admin with one seat, people who give theirs up, and a service."""

import os
from base64 import b64encode
from threading import Timer
from uuid import UUID

import requests
import schemathesis
from hypothesis import strategies

SERVER = os.environ["ONESEAT_TESTED"]
# Addresses of the admin, and of a user whose sessions are there to be ended; both have the same password.
ADMIN = os.environ["ONESEAT_TESTED_ADMIN"]
LEAVER = os.environ["ONESEAT_TESTED_LEAVER"]
PASSWORD = os.environ["ONESEAT_TESTED_PASSWORD"]
# The id and secret of a service, separated by a colon.
SERVICE = os.environ["ONESEAT_TESTED_SERVICE"]

# If these calls succeed, the session of the caller has ended afterwards; a stream ends when its session does.
ENDS_ITS_OWN_SESSION = {"/auth/logout", "/auth/password/change", "/auth/session/events"}

# A user who is removed, or has another address, can no longer sign in with the known one.
TAKES_AN_ACCOUNT = {("delete", "/api/admin/users/{id}"), ("put", "/api/admin/users/{id}/email")}

# Wrong passwords lock the address of the caller.
ASKS_FOR_A_PASSWORD = {"/auth/email/change"}

# By address: the live token of each user, and the user's id.
tokens = {}
ids = {}


def sign_in(email):
    return requests.post(f"{SERVER}/auth/login", json={"email": email, "password": PASSWORD}, timeout=30)


def bearer(email):
    return {"Authorization": f"Bearer {token_of(email)}"}


def let_in(email):
    """Undoes what was tried on somebody: wrong passwords lock, and accounts are disabled."""
    account = f"{SERVER}/api/admin/users/{ids[email]}"
    requests.delete(f"{account}/lock", headers=bearer(ADMIN), timeout=30).raise_for_status()
    requests.post(f"{account}/enable", headers=bearer(ADMIN), timeout=30).raise_for_status()


def token_of(email):
    """A live token: the last one, unless it was refused."""
    if email not in tokens:
        answer = sign_in(email)
        if answer.status_code == 403:
            let_in(email)
            answer = sign_in(email)
        answer.raise_for_status()
        tokens[email] = answer.json()["token"]
        ids[email] = answer.json()["user"]["id"]
    return tokens[email]


def caller(case):
    return LEAVER if case.operation.path in ENDS_ITS_OWN_SESSION | ASKS_FOR_A_PASSWORD else ADMIN


@schemathesis.serializer("application/jsonl")
def as_it_is(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@schemathesis.auth(refresh_interval=None)
class Authorization:
    def get(self, case, ctx):
        if case.operation.path == "/auth/introspect":
            return f"Basic {b64encode(SERVICE.encode()).decode()}"
        return f"Bearer {token_of(caller(case))}"

    def set(self, case, value, ctx):
        case.headers = {**(case.headers or {}), "Authorization": value}


def is_of(email, case):
    """Is this person's account the one that the path names? However the id is written."""
    try:
        return UUID(str((case.path_parameters or {}).get("id"))) == UUID(ids[email])
    except (KeyError, ValueError):
        return False


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Ends the session of a stream when it is open, so that the stream tells it and ends. Takes the account from nobody who signs in again:
    asks for the admin's own instead, which is refused."""
    if case.operation.path == "/auth/session/events" and LEAVER in tokens:
        options = {"headers": bearer(LEAVER), "timeout": 30}
        Timer(0.1, requests.post, [f"{SERVER}/auth/logout"], options).start()
    if (case.method.lower(), case.operation.path) in TAKES_AN_ACCOUNT and is_of(LEAVER, case):
        case.path_parameters = {**case.path_parameters, "id": ids[ADMIN]}


@schemathesis.hook
def after_call(ctx, case, response):
    """Forgets a token that was refused, or that its own call has ended."""
    email = caller(case)
    token = tokens.get(email)
    sent = response.request.headers.get("Authorization")
    if token is not None and sent == f"Bearer {token}":
        is_ended = case.operation.path in ENDS_ITS_OWN_SESSION and response.status_code == 200
        if is_ended or response.status_code == 401:
            del tokens[email]


# An address is bounded in bytes, which no schema can say: at most 64 before the @ and 254 in all. Its domain must be valid by IDNA.
letters = strategies.characters(exclude_categories=["C", "Z"], exclude_characters="@")
domains = strategies.from_regex(r"[a-zà-öø-ÿ一-龥]{1,8}", fullmatch=True)
schemathesis.openapi.format(
    "idn-email",
    strategies.emails() | strategies.from_regex(r"[a-z.+]{1,64}@[a-z]{1,60}(-[a-z]{1,2})?(\.[a-z]{1,40}){0,3}", fullmatch=True)
    | strategies.builds("{}@{}".format, strategies.text(letters, min_size=1, max_size=8), domains),
)
