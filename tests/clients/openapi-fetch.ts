// With the types that openapi-typescript makes, over openapi-fetch.

import createClient from "openapi-fetch";
import type { paths } from "./schema";

const { ONESEAT_URL: baseUrl, ONESEAT_EMAIL: email = "", ONESEAT_PASSWORD: password = "" } = process.env;
const api = createClient<paths>({ baseUrl });

const signedIn = await api.POST("/auth/login", { body: { email, password } });
if (!signedIn.data) throw new Error(signedIn.error.detail);
const headers = { Authorization: `Bearer ${signedIn.data.token}` };
const told = await api.GET("/auth/session", { headers });
if (!told.data) throw new Error(told.error.detail);
console.log(`told: ${told.data.user.email} ${told.data.user.role}`);
await api.POST("/auth/logout", { headers });
const refused = await api.GET("/auth/session", { headers });
console.log(`refused: ${refused.error?.code} ${refused.error?.reason}`);
