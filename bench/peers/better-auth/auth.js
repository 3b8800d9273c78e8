// The configuration that `seed` and `serve` share.
import { betterAuth } from 'better-auth';
import pg from 'pg';

// `seed` signs cookies with it and `serve` verifies them. It protects nothing.
export const SECRET = 'bench-only-bench-only-bench-only-00';

// The two set-ups; the `README.md` beside this peer's directory explains them.
export const DOCUMENTED = 'documented';
export const TUNED = 'tuned';
export const SETUPS = [DOCUMENTED, TUNED];

const MINUTE = 60;

export function connect(databaseUrl, connections) {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: connections, idleTimeoutMillis: 0 });
  pool.on('error', (error) => console.error(`peer-better-auth: ${error.message}`));
  return pool;
}

export function authOver(pool, setup) {
  return betterAuth({
    database: pool,
    secret: SECRET,
    baseURL: 'http://127.0.0.1',
    user: {
      // oneseat's users have this field, and its answer contains it.
      additionalFields: { role: { type: 'string', defaultValue: 'user', input: false } },
    },
    session: {
      // As in oneseat: two hours without activity end a session, and activity is recorded every 15 minutes.
      expiresIn: 120 * MINUTE,
      updateAge: 15 * MINUTE,
      // Every answer asks the database, as oneseat's does. With this cache on, better-auth would be much faster, and
      // would accept a revoked session until the cookie is too old.
      cookieCache: { enabled: false },
    },
    advanced: {
      useSecureCookies: false,
      // If on: the session and its user in one query instead of two.
      ...(setup === TUNED && { database: { joins: true } }),
    },
    emailAndPassword: { enabled: true },
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    logger: { level: 'error' },
  });
}
