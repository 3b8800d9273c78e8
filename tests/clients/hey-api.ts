// With the client that hey-api makes.

import { client } from "./client/client.gen";
import { session, login, logout } from "./client";

const { ONESEAT_URL: baseUrl, ONESEAT_EMAIL: email = "", ONESEAT_PASSWORD: password = "" } = process.env;
client.setConfig({ baseUrl });

const signedIn = await login({ body: { email, password }, throwOnError: true });
client.setConfig({ auth: signedIn.data.token });
const told = await session({ throwOnError: true });
console.log(`told: ${told.data.user.email} ${told.data.user.role}`);
await logout({ throwOnError: true });
const refused = await session();
console.log(`refused: ${refused.error?.code} ${refused.error?.reason}`);
