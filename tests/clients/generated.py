"""With the client that openapi-python-client makes."""

import os

from oneseat_client import AuthenticatedClient, Client
from oneseat_client.api.session import login, logout, session
from oneseat_client.models import LoginRequest, LogoutRequest

url = os.environ["ONESEAT_URL"]
credentials = LoginRequest(email=os.environ["ONESEAT_EMAIL"], password=os.environ["ONESEAT_PASSWORD"])
signed_in = login.sync(client=Client(url), body=credentials)
client = AuthenticatedClient(url, token=signed_in.token)
told = session.sync(client=client)
print(f"told: {told.user.email} {told.user.role.value}")
logout.sync(client=client, body=LogoutRequest())
refused = session.sync(client=client)
print(f"refused: {refused.code.value} {refused.reason.value}")
