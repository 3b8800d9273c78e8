// A plain server of `node:http`, with as many processes as there are processors.
//
// oneseat is measured with one actix worker for each processor. A Node process runs JavaScript on one processor, so production
// deployments use a cluster, as this does.
import cluster from 'node:cluster';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { fromNodeHeaders, toNodeHandler } from 'better-auth/node';

import { authOver, CACHED, connect, DOCUMENTED } from './auth.js';

export async function serve(options) {
  if (cluster.isPrimary) {
    await superviseWorkers(options);
  } else {
    await work(options);
  }
}

async function superviseWorkers({ workers, setup }) {
  process.once('SIGTERM', () => process.exit());
  cluster.on('exit', () => {
    console.error('peer-better-auth: a worker ended');
    process.exit(1);
  });
  const children = Array.from({ length: workers }, () => cluster.fork());
  await Promise.all(children.map((child) => once(child, 'listening')));
  console.log(`ready /api/auth/get-session${setup === CACHED ? ' cached' : ''}`);
}

async function work({ databaseUrl, port, poolSize, workers, setup }) {
  // Together the workers have as many connections as any other peer.
  const pool = connect(databaseUrl, Math.ceil(poolSize / workers));
  const auth = authOver(pool, setup);
  await auth.$context;
  await pool.query('select 1');
  const answer = setup === DOCUMENTED ? toNodeHandler(auth) : (request, response) => whoAmI(auth, request, response);
  createServer((request, response) => {
    answer(request, response).catch((error) => {
      console.error(`peer-better-auth: ${error.message}`);
      response.writeHead(503).end();
    });
  }).listen(port, '127.0.0.1');
}

// The call with which a custom server asks better-auth for the session. It takes less processor time than better-auth's own
// route, `toNodeHandler(auth)`, which makes a request of the Fetch API and routes it a second time.
async function whoAmI(auth, request, response) {
  const { headers, response: found } = await auth.api.getSession({
    headers: fromNodeHeaders(request.headers),
    returnHeaders: true,
  });
  const body = JSON.stringify(found);
  response.writeHead(found ? 200 : 401, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'set-cookie': headers.getSetCookie(),
  });
  response.end(body);
}
