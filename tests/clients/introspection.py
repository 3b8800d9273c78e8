"""Authlib: introspects with each way of authentication."""

import os

from authlib.integrations.requests_client import OAuth2Session

url, token = os.environ["ONESEAT_URL"], os.environ["ONESEAT_TOKEN"]
for way in ["client_secret_basic", "client_secret_post"]:
    service = OAuth2Session(
        os.environ["ONESEAT_SERVICE"], os.environ["ONESEAT_SECRET"], token_endpoint_auth_method=way
    )
    told = service.introspect_token(f"{url}/auth/introspect", token=token).json()
    print(told["active"], told["username"])
