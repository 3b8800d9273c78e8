// Makes better-auth's tables in an empty database, fills them, and writes the headers of some of the sessions.
import { createHmac } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { getMigrations } from 'better-auth/db/migration';

import { authOver, CACHED, connect, DOCUMENTED, SECRET } from './auth.js';

const MOST_HEADERS = 10_000;
// The library makes these one by one.
const MOST_CACHED = 2_000;

export async function seed(databaseUrl, sessions, headersFile) {
  const pool = connect(databaseUrl, 1);
  const auth = authOver(pool, DOCUMENTED);
  const { runMigrations } = await getMigrations(auth.options);
  await runMigrations();

  const tokens = await inTransaction(pool, (client) => fill(client, sessions));
  await pool.query('analyze');

  const { authCookies } = await auth.$context;
  const headers = tokens.map((token) => `Cookie: ${authCookies.sessionToken.name}=${signed(token)}`);
  await writeFile(headersFile, headers.map((header) => `${header}\n`).join(''));
  await writeFile(`${headersFile}.cached`, await withCaches(authOver(pool, CACHED), headers.slice(0, MOST_CACHED)));
  await pool.end();
}

// Adds the cookies of the library's cache to the headers.
async function withCaches(auth, headers) {
  const lines = [];
  for (const header of headers) {
    const { headers: answered } = await auth.api.getSession({
      headers: new Headers({ cookie: header.slice('Cookie: '.length) }),
      returnHeaders: true,
    });
    const added = answered.getSetCookie().map((cookie) => cookie.split(';')[0]);
    lines.push(`${[header, ...added.filter((cookie) => !header.includes(cookie))].join('; ')}\n`);
  }
  return lines.join('');
}

// Returns the tokens of at most MOST_HEADERS sessions, evenly spread.
async function fill(client, sessions) {
  await client.query(
    `create temporary table seeded on commit drop as
     select number, replace(gen_random_uuid()::text, '-', '') as user_id,
            replace(gen_random_uuid()::text, '-', '') as session_id,
            replace(gen_random_uuid()::text, '-', '') as token
     from generate_series(0, $1::int - 1) as number`,
    [sessions],
  );
  await client.query(
    `insert into "user" (id, name, email, "emailVerified", role, "createdAt", "updatedAt")
     select user_id, 'Person ' || number, 'person-' || number || '@example.com', true, 'user',
            clock_timestamp(), clock_timestamp()
     from seeded order by number`,
  );
  await client.query(
    `insert into session (id, token, "userId", "ipAddress", "userAgent", "createdAt", "updatedAt", "expiresAt")
     select session_id, token, user_id, '192.0.2.1',
            'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
            clock_timestamp(), clock_timestamp(), clock_timestamp() + interval '2 hours'
     from seeded order by number`,
  );
  const spacing = Math.max(1, Math.ceil(sessions / MOST_HEADERS));
  const { rows } = await client.query('select token from seeded where number % $1::int = 0 order by number', [spacing]);
  return rows.map(({ token }) => token);
}

async function inTransaction(pool, work) {
  const client = await pool.connect();
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query('commit');
    return result;
  } finally {
    // After a failure the connection is closed, not returned to the pool: that rolls back the transaction.
    client.release(true);
  }
}

// As better-call signs a cookie: the value, a dot, and the HMAC-SHA256 of the value in base64.
function signed(value) {
  const signature = createHmac('sha256', SECRET).update(value).digest('base64');
  return encodeURIComponent(`${value}.${signature}`);
}
