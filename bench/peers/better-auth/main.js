// One of the peers that oneseat's benchmark compares it with. The protocol of all peers is in
// `bench/peers/README.md`.
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';

import { DOCUMENTED, SETUPS } from './auth.js';
import { seed } from './seed.js';
import { serve } from './serve.js';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    'pool-size': { type: 'string', default: '10' },
    setup: { type: 'string', default: DOCUMENTED },
    workers: { type: 'string', default: String(availableParallelism()) },
  },
});
const [command, databaseUrl, ...rest] = positionals;

if (command === 'seed' && rest.length === 2) {
  await seed(databaseUrl, Number(rest[0]), rest[1]);
} else if (command === 'serve' && rest.length === 1 && SETUPS.includes(values.setup)) {
  const [port, poolSize, workers] = [rest[0], values['pool-size'], values.workers].map(Number);
  await serve({ databaseUrl, port, poolSize, workers, setup: values.setup });
} else {
  console.error('usage: run seed DATABASE_URL SESSIONS HEADERS_FILE | run serve DATABASE_URL PORT [--setup documented|tuned|cached]');
  process.exit(2);
}
