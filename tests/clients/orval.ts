// With the functions that orval makes.

import { login, logout, session } from "./client";

const { ONESEAT_EMAIL: email = "", ONESEAT_PASSWORD: password = "" } = process.env;

const signedIn = await login({ email, password });
if (signedIn.status !== 200) throw new Error(signedIn.data.detail);
const options = { headers: { Authorization: `Bearer ${signedIn.data.token}` } };
const told = await session(options);
if (told.status !== 200) throw new Error(told.data.detail);
console.log(`told: ${told.data.user.email} ${told.data.user.role}`);
await logout({}, options);
const refused = await session(options);
if (refused.status === 401) console.log(`refused: ${refused.data.code} ${refused.data.reason}`);
