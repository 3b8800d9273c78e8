// A random test of the client module: chance decides which calls a page makes, when the server works, and when the network delivers, cuts
// or delays. Whatever happens, at the end the page holds one live session, or none, and the server has no other session that the page opened.
// It runs in a page, with a simulated server and network: `await interleavings(Oneseat, seed, runs)` resolves to the failures, and to how
// often each thing was tried.

/** Numbers in [0, 1) from a seed (mulberry32). */
function chance(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Lets every task run that is ready to run. */
function turn() {
  return new Promise((done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => { port1.close(); done(); };
    port2.postMessage(null);
  });
}

const json = (status, body) => new Response(JSON.stringify(body), { status });

/** The server, which keeps at most one session for each user, and the network in front of it. */
class World {
  /** User to token. */
  live = new Map();
  /** The tokens that the page was meant to get, with the number of the call. */
  opened = new Map();
  /** The tokens for which an answer, or the message about their end, was lost. */
  lost = new Set();
  /** Whether the page has been left; how often it was; and, for each token, how often it had been when the server was first told of its end. */
  isHidden = false;
  hides = 0;
  told = new Map();
  /** Token to how often the server was too busy to accept the message about its end. */
  busy = new Map();
  /** Timers that have not fired yet. */
  timers = new Map();
  requests = [];
  streams = [];
  calls = 0;

  fetch(url, { body, headers, signal }) {
    const path = new URL(url).pathname;
    const token = new Headers(headers).get("Authorization")?.slice(7);
    const content = body && JSON.parse(body);
    if (path === "/auth/session/events") return Promise.resolve(this.stream(token, signal));
    if (path === "/auth/session") return Promise.resolve(this.isLive(token) ? json(200, { token }) : json(401, {}));
    if (path === "/auth/logout" && !this.told.has(token)) this.told.set(token, this.isHidden ? -1 : this.hides);
    return new Promise((resolve, reject) => {
      this.requests.push({ path, token, content, resolve, reject, call: this.calls, answer: null, isCut: false });
    });
  }

  isLive(token) {
    return [...this.live.values()].includes(token);
  }

  stream(token, signal) {
    if (!this.isLive(token)) return json(401, { reason: "replaced", endedAt: "2026-01-01T00:00:00Z" });
    let writer;
    const body = new ReadableStream({ start: (controller) => { writer = controller; } });
    signal.addEventListener("abort", () => writer.error(signal.reason));
    this.streams.push({ token, signal, writer });
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  }

  /** The server carries out the request. */
  work(request) {
    const { path, token, content, call } = request;
    if (path === "/auth/login") {
      if (content.password !== "right") request.answer = json(401, { code: "invalid_credentials" });
      else {
        const fresh = crypto.randomUUID();
        this.live.set(content.email, fresh);
        this.opened.set(fresh, call);
        if (request.isCut) this.lost.add(fresh);
        request.opened = fresh;
        request.answer = json(200, { token: fresh, user: { id: content.email, email: content.email, name: "", role: "user" } });
      }
    } else {
      const user = [...this.live.keys()].find((user) => this.live.get(user) === token);
      this.live.delete(user);
      request.answer = user ? json(200, { success: true }) : json(401, {});
    }
    if (request.isCut) this.forget(request);
  }

  /** The server opens a session, and something on the way answers in its place. */
  odd(request, answer) {
    this.work(request);
    if (!request.opened) return;
    this.lost.add(request.opened);
    request.answer = answer;
  }

  /** The server is too busy for the request. */
  tooBusy(request) {
    const { path, token } = request;
    request.answer = json(503, { code: "unavailable" });
    if (path === "/auth/logout") {
      const times = (this.busy.get(token) ?? 0) + 1;
      this.busy.set(token, times);
      // The page tries no more often than this; a page that is left tries once, immediately.
      if (times > 3 || this.hides > this.told.get(token)) this.lost.add(token);
    }
    if (request.isCut) this.forget(request);
  }

  /** Time passes. */
  pass() {
    const due = [...this.timers.values()];
    this.timers.clear();
    for (const ring of due) ring();
  }

  deliver(request) {
    this.forget(request);
    request.resolve(request.answer);
  }

  /** The page gets no answer. The server may do its work all the same, later. */
  cut(request) {
    if (request.isCut) return;
    request.isCut = true;
    this.lost.add(request.opened ?? request.token);
    if (request.answer) this.forget(request);
    request.reject(new TypeError("cut"));
  }

  forget(request) {
    this.requests.splice(this.requests.indexOf(request), 1);
  }

  /** The event streams of ended sessions send the end. */
  tell() {
    for (const { token, signal, writer } of this.streams) {
      if (signal.aborted || this.isLive(token)) continue;
      const data = JSON.stringify({ reason: "replaced", at: "2026-01-01T00:00:00Z" });
      writer.enqueue(new TextEncoder().encode(`event: ended\ndata: ${data}\n\n`));
    }
    this.streams = this.streams.filter(({ token, signal }) => !signal.aborted && this.isLive(token));
  }
}

async function interleaving(Oneseat, random, tried) {
  const world = new World();
  const page = { pagehide: [], pageshow: [], beforeunload: [] };
  const { fetch, addEventListener, setTimeout, clearTimeout } = window;
  const real = { fetch, addEventListener, setTimeout, clearTimeout };
  window.fetch = (...asked) => world.fetch(...asked);
  // Short times pass when chance says so, long ones do not.
  window.setTimeout = (ring, time) => {
    if (time > 15_000) return real.setTimeout.call(window, ring, time);
    const timer = {};
    world.timers.set(timer, ring);
    return timer;
  };
  window.clearTimeout = (timer) => world.timers.delete(timer) || real.clearTimeout.call(window, timer);
  window.addEventListener = (kind, listener) => page[kind].push(listener);
  const seat = new Oneseat();
  window.addEventListener = real.addEventListener;

  const log = [];
  const wrong = [];
  const pick = (list) => list[Math.floor(random() * list.length)];
  const isLossy = random() < 0.5;
  const attempts = [];
  let isHidden = false;
  let within = 0;
  let endings = 0;

  const overtake = () => {
    if (within > 0) return;
    for (const attempt of attempts) attempt.isOvertaken ||= attempt.outcome === null;
  };
  const acts = {
    signIn: (password = "right") => {
      overtake();
      world.calls += 1;
      const attempt = { outcome: null, isOvertaken: isHidden };
      attempts.push(attempt);
      seat.signIn(pick(["ada", "bob"]), password).then(
        () => { attempt.outcome = "opened"; },
        (error) => { attempt.outcome = error.constructor.name; },
      );
    },
    wrong: () => acts.signIn("wrong"),
    signOut: () => {
      overtake();
      const call = world.calls;
      seat.signOut().then((isTold) => {
        const left = [...world.opened].filter(([token, of]) => of <= call && world.isLive(token) && !world.lost.has(token));
        if (isTold && left.length > 0) wrong.push("signed out, it said");
      });
    },
    hide: () => {
      overtake();
      isHidden = true;
      world.isHidden = true;
      world.hides += 1;
      for (const listener of page.pagehide) listener();
    },
    show: () => {
      isHidden = false;
      world.isHidden = false;
      for (const listener of page.pageshow) listener();
    },
    elsewhere: () => world.live.set(pick(["ada", "bob"]), crypto.randomUUID()),
    work: () => {
      const request = pick(world.requests.filter(({ answer }) => !answer));
      if (request) world.work(request);
    },
    deliver: () => {
      const request = pick(world.requests.filter(({ answer, isCut }) => answer && !isCut));
      if (request) world.deliver(request);
    },
    cut: () => {
      const request = pick(world.requests);
      if (isLossy && request) world.cut(request);
    },
    tell: () => world.tell(),
    busy: () => {
      const request = pick(world.requests.filter(({ answer }) => !answer));
      if (request) world.tooBusy(request);
    },
    odd: () => {
      const request = pick(world.requests.filter(({ path, answer, isCut }) => path === "/auth/login" && !answer && !isCut));
      const bodies = [null, {}, "welcome", { token: "x" }, { token: "x", user: {} }, { token: "a\nb", user: { id: "ada" } }];
      if (request) world.odd(request, json(200, pick(bodies)));
    },
    pass: () => world.pass(),
  };
  const often = ["signIn", "signIn", "signIn", "wrong", "signOut", "hide", "show", "show", "elsewhere", "cut", "tell", "busy", "busy", "odd", "pass", "pass"]
    .concat(Array(6).fill("work"), Array(6).fill("deliver"));

  seat.onEnded(() => {
    endings += 1;
    if (seat.user) wrong.push("told of an end while somebody is signed in");
    within += 1;
    if (within === 1 && random() < 0.15) act(pick(["signIn", "signOut"]));
    within -= 1;
    if (random() < 0.3) throw new Error("of a listener");
  });
  function act(name) {
    log.push(name);
    tried[name] = (tried[name] ?? 0) + 1;
    acts[name]();
    if (isHidden && seat.user) wrong.push("signed in while it is hidden");
  }

  for (let step = 0; step < 25; step += 1) {
    act(pick(often));
    if (random() < 0.7) await turn();
  }
  // All that is still running finishes.
  act("show");
  for (let quiet = 0; quiet < 5; quiet += 1) {
    await turn();
    if (world.requests.length > 0) quiet = 0;
    world.pass();
    for (const request of [...world.requests]) {
      if (!request.answer) world.work(request);
      if (!request.isCut) world.deliver(request);
    }
    world.tell();
  }

  for (const { outcome, isOvertaken } of attempts) {
    tried[outcome] = (tried[outcome] ?? 0) + 1;
    if (outcome === null) wrong.push("a sign-in without an outcome");
    if (isOvertaken && outcome !== "SessionEnded") wrong.push(`overtaken, and yet ${outcome}`);
  }
  const answer = seat.user && await seat.fetch("/auth/session").catch(() => null);
  const held = answer ? (await answer.json()).token : null;
  if (seat.user && world.live.get(seat.user.id) !== held) wrong.push("it holds a session that is dead");
  const orphans = [...world.opened.keys()].filter((token) => token !== held && world.isLive(token));
  if (orphans.some((token) => !world.lost.has(token))) wrong.push("an orphan is left");
  const opened = attempts.filter(({ outcome }) => outcome === "opened").length;
  if (opened - endings !== (held ? 1 : 0)) wrong.push(`${opened} opened, ${endings} told as ended, holding ${held ? 1 : 0}`);
  tried[held ? "holding" : "empty"] = (tried[held ? "holding" : "empty"] ?? 0) + 1;

  acts.hide();
  Object.assign(window, real);
  return wrong.length > 0 ? `${wrong.join("; ")}: ${log.join(" ")}` : null;
}

async function interleavings(Oneseat, seed, runs) {
  // The browser's own locks take time that is not simulated.
  Object.defineProperty(navigator, "locks", { value: undefined });
  const tried = {};
  const wrong = [];
  for (let run = 0; run < runs && wrong.length < 5; run += 1) {
    const failure = await interleaving(Oneseat, chance(seed + run), tried);
    if (failure) wrong.push(`seed ${seed + run}: ${failure}`);
  }
  return { wrong, tried };
}
