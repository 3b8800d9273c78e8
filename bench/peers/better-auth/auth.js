// The configuration that `seed` and `serve` share.
import { betterAuth } from 'better-auth';
import pg from 'pg';

// `seed` signs cookies with it and `serve` verifies them. It protects nothing.
export const SECRET = 'bench-only-bench-only-bench-only-00';

// The set-ups; the `README.md` beside this peer's directory explains them.
export const DOCUMENTED = 'documented';
export const TUNED = 'tuned';
export const CACHED = 'cached';
export const SETUPS = [DOCUMENTED, TUNED, CACHED];

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
      // With this cache a second cookie says who is signed in. A revoked session is accepted until that cookie is too
      // old: by default after five minutes, here after the benchmark.
      cookieCache: { enabled: setup === CACHED, maxAge: 120 * MINUTE },
    },
    advanced: {
      useSecureCookies: false,
      // With joins, the session and its user are read in one query instead of two.
      ...(setup !== DOCUMENTED && { database: { joins: true } }),
    },
    emailAndPassword: { enabled: true },
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    logger: { level: 'error' },
  });
}
