// openid-client: discovers the server (RFC 8414), and introspects with each way of authentication.

import * as client from "openid-client";

const { ONESEAT_URL: url, ONESEAT_PUBLIC_URL: issuer, ONESEAT_SERVICE: id, ONESEAT_SECRET: secret, ONESEAT_TOKEN: token } = process.env;
// The public address leads to this machine in the tests only.
const routed = { [client.customFetch]: (target, options) => fetch(target.replace(issuer, url), options) };
for (const way of [client.ClientSecretBasic(secret), client.ClientSecretPost(secret)]) {
  const server = await client.discovery(new URL(issuer), id, undefined, way, { algorithm: "oauth2", ...routed });
  const told = await client.tokenIntrospection(server, token);
  console.log(`${told.active} ${told.username}`);
}
