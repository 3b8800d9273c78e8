// The client module, for pages of this origin or of another: sign in, send requests with the token, learn when the session ends.
//
// The token lives in a private field only: not on `window`, not in storage, not in a cookie, not in a URL. A reload loses it. A page
// that is left tells the server, so that the session ends on both sides.
//
//     import { Oneseat } from "https://seat.example.org/static/oneseat.js";
//
//     const seat = new Oneseat();
//     seat.onEnded(({ reason }) => showLogin(reason));
//     await seat.signIn(email, password);
//     const response = await seat.fetch("https://seat.example.org/auth/session");
//     await seat.signOut();
//
// A page holds one session or none. The order of the calls decides what happens to it, in whatever order the answers arrive:
//
//     event                           | the session held here           | a sign-in that has no answer yet
//     --------------------------------+---------------------------------+---------------------------------
//     signIn()                        | stays                           | is overtaken
//     a session is opened             | ends: `replaced`, or for        | becomes the session held
//                                     | another user `signed_out`       |
//     a sign-in is refused or lost    | stays                           | fails
//     signOut(), pagehide             | ends, and the server is told    | is overtaken
//     a 401, an `ended` of the stream | ends                            | goes on
//
// - A sign-in that is overtaken rejects with `SessionEnded` at once. If it opens a session all the same, the module ends that session at
//   the server as soon as the answer arrives, and never holds it. An overtaken sign-in that was not yet sent is never sent.
// - Sign-ins are sent one at a time: the next one when the last is answered and the server has been told of the sessions that ended. So
//   the last call is the last at the server, too.
// - From `pagehide` to `pageshow` nobody signs in.
// - Listeners are called when the change is made. An error that a listener throws is reported as uncaught, and changes nothing.
// - If the server is too busy to be told of an end (429, 5xx), it is told again, three times within some seconds. A page that is left
//   tells it at once, and then not again.
// - An answer that is not oneseat's, such as the sign-in page of a public network, counts as lost.
// - A lost answer (network failure, closed page), or an end of which a busy server could not be told, may leave a session at the server
//   that no page holds. The user's next sign-in replaces it; until then it lasts as long as an unused session.
// - Two `Oneseat` objects in one page are like two pages: each holds its own session, and for one user the later sign-in replaces the
//   earlier.

/**
 * @typedef {"signed_out" | "page_closed" | "replaced" | "expired" | "revoked" | "password_changed" | "account_disabled" | "restored" | "unknown"} Reason
 * Why a session ended. Unknown if an instance of a later version ended it while this one was running.
 */

/**
 * @typedef {object} Ending
 * @property {Reason | null} reason Null if the server does not know the token, or no longer knows it.
 * @property {string | null} endedAt RFC 3339, UTC. Null if this page ended the session, or if the reason is null.
 */

/**
 * @typedef {object} User
 * @property {string} id A UUID.
 * @property {string} name
 * @property {string} email
 * @property {"user" | "admin"} role
 */

/**
 * @typedef {object} Options
 * @property {string | URL} [server] The address of oneseat. Default: the origin of this module.
 * @property {string[]} [origins] More origins that get the token, such as an application behind oneseat. Each is a scheme, a host and
 * perhaps a port (`https://app.example.org`); a path, even `/`, is refused.
 */

/** An answer that is not a success (RFC 9457). */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {{ code?: string, detail?: string, requestId?: string }} body
   * @param {number | null} retryAfter
   */
  constructor(status, body, retryAfter = null) {
    super(body.detail ?? `The server answered ${status}.`);
    /** The status of the answer. @readonly */
    this.status = status;
    /** For programs: `invalid_credentials`, `account_locked`, `unavailable`, ... @readonly */
    this.code = body.code ?? "unknown";
    /** The id of the request in the server's log, if the answer has one. @readonly */
    this.requestId = body.requestId ?? null;
    /** When to try again, in seconds, if the server said so. @readonly */
    this.retryAfter = retryAfter;
  }

  /** Reads the problem from an answer that is not `ok`. @param {Response} response */
  static async from(response) {
    const wait = Number(response.headers.get("Retry-After"));
    return new Problem(response.status, await body(response), wait || null);
  }
}

/** There is no session, or it has ended: the call has no answer. */
export class SessionEnded extends Error {
  /** @param {Ending} ending */
  constructor(ending) {
    super("The session has ended.");
    /** @readonly */
    this.ending = ending;
  }
}

/** After this time without an answer the answer counts as lost, in milliseconds. A busy server says so much earlier. */
const PATIENCE = 60_000;
/** The server sends something every 20 seconds. A stream that is silent for longer than this is broken. In milliseconds. */
const SILENCE = 45_000;
/** The pauses before a broken stream is opened again, in milliseconds: the first, and the longest. */
const PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;
/** The pauses before a busy server is told again that a session is over, in milliseconds, unless it asks for longer pauses. */
const PAUSES_TO_TELL = [1_000, 2_000, 4_000];
/** A server that asks for a longer pause is not told again. In milliseconds. */
const LONGEST_PAUSE_TO_TELL = 10_000;

/** One session of one page. Its end aborts all its requests. */
class Session {
  #over = new AbortController();

  /**
   * @param {string} token
   * @param {User} user
   */
  constructor(token, user) {
    this.token = token;
    this.user = user;
  }

  get signal() {
    return this.#over.signal;
  }

  /** @param {Ending} ending */
  end(ending) {
    this.#over.abort(new SessionEnded(ending));
    this.token = "";
  }
}

/** A sign-in, from the call to its outcome. The first outcome counts. */
class Attempt {
  /** @type {Ending | null} Set if something overtook it before its answer arrived. */
  overtaken = null;
  /** @type {PromiseWithResolvers<User>} */
  outcome = Promise.withResolvers();

  /** @param {Ending} ending */
  overtake(ending) {
    this.overtaken ??= ending;
    this.outcome.reject(new SessionEnded(ending));
  }
}

/** One seat at one oneseat. */
export class Oneseat {
  /** @type {Session | null} */
  #session = null;
  /** @type {Attempt | null} The latest sign-in. */
  #attempt = null;
  /** @type {Promise<boolean>} Resolves when the server has answered: does it know of all ends here? Never rejects. */
  #told = Promise.resolve(true);
  /** Aborted from `pagehide` to `pageshow`. */
  #left = new AbortController();
  /** @type {Set<string>} */
  #origins;
  /** @type {Set<(ending: Ending) => void>} */
  #endedListeners = new Set();
  /** @type {Set<() => void>} */
  #changedListeners = new Set();

  /**
   * @param {Options} [options]
   * @throws {TypeError} The server or one of the origins cannot be given a token.
   */
  constructor({ server = import.meta.url, origins = [] } = {}) {
    const url = new URL(server, document.baseURI);
    if (!isWeb(url)) throw new TypeError(`server must be an address of http or https, not ${url.protocol}`);
    if (!Array.isArray(origins)) throw new TypeError("origins must be an array of strings");
    /** The origin of oneseat. @readonly */
    this.server = url.origin;
    this.#origins = new Set([this.server, ...origins.map(originOf)]);
    addEventListener("pagehide", () => {
      this.#left.abort();
      this.#leave("page_closed");
    });
    addEventListener("pageshow", () => {
      if (this.#left.signal.aborted) this.#left = new AbortController();
    });
  }

  /** Who is signed in here. */
  get user() {
    return this.#session?.user ?? null;
  }

  /**
   * Signs a user in. This ends the user's older session.
   * @param {string} email
   * @param {string} password
   * @returns {Promise<User>}
   * @throws {Problem} `invalid_credentials`, `account_locked`, `email_unverified`, `account_disabled`, `too_many_requests`, ...
   * @throws {SessionEnded} Another `signIn` or `signOut` overtook it, or the page was left.
   * @throws {TypeError} The server cannot be reached, or what answers is not oneseat.
   */
  async signIn(email, password) {
    this.#overtake("replaced");
    const attempt = new Attempt();
    this.#attempt = attempt;
    if (this.#left.signal.aborted) this.#overtake("page_closed");
    this.#told = this.#told
      .then((told) => (attempt.overtaken ? told : this.#open(attempt, email, password)))
      .catch((error) => {
        attempt.outcome.reject(error);
        // If a gateway answers for the server (5xx), it is unknown what the server did.
        return error instanceof Problem && error.status < 500;
      });
    return attempt.outcome.promise;
  }

  /**
   * Signs out: here at once, and on the server if it can be reached. A sign-in without an answer is overtaken.
   * @returns {Promise<boolean>} Does the server know? This takes some seconds if it is busy. If it does not know, the session ends
   * there by its time-out.
   */
  async signOut() {
    return this.#leave("signed_out");
  }

  /**
   * Sets another password. This ends the session.
   * @param {string} currentPassword
   * @param {string} newPassword
   * @returns {Promise<void>}
   * @throws {Problem} `wrong_password`, `password_refused`, ...
   * @throws {SessionEnded}
   * @throws {TypeError} The server cannot be reached, or what answers is not oneseat.
   */
  async changePassword(currentPassword, newPassword) {
    const session = this.#session;
    if (!session) throw new SessionEnded(UNKNOWN);
    // Not aborted when the session ends: the change itself ends it, and only the answer shows whether the change happened.
    const response = await post(`${this.server}/auth/password/change`, { currentPassword, newPassword }, session.token);
    if (response.status === 401) throw this.#refused(session, await body(response));
    if (!response.ok) throw await Problem.from(response);
    if (!(await isDone(response))) unreachable(NOT_OURS);
    this.#end(session, { reason: "password_changed", endedAt: null });
  }

  /**
   * `fetch` with the token. A 401 for the token ends the session here. The end of the session aborts waiting requests.
   * @param {string | URL} url Of the server, or of one of the `origins`.
   * @param {RequestInit & { passive?: boolean }} [options] `passive` marks requests that the page makes by itself: they are no activity.
   * @returns {Promise<Response>}
   * @throws {SessionEnded} There is no session, or it ended meanwhile.
   * @throws {TypeError} The server cannot be reached, or must not be given the token.
   */
  async fetch(url, options = {}) {
    const session = this.#session;
    if (!session) throw new SessionEnded(UNKNOWN);
    const target = new URL(url, document.baseURI);
    if (!isWeb(target) || !this.#origins.has(target.origin)) throw new TypeError(`${target.origin} must not be given the token`);
    const response = await ask(session, target, options);
    if (response.status !== 401) return response;
    // An application may answer 401 for its own reasons, so ask oneseat. Asking does not count as activity.
    const isOwn = target.origin === this.server;
    const asked = isOwn ? response.clone() : await ask(session, new URL("/auth/session", this.server), { passive: true });
    const problem = await body(asked);
    if (asked.status === 401 && !OF_OTHER_SECRETS.includes(problem.code)) throw this.#refused(session, problem);
    return response;
  }

  /**
   * Calls the listener once for each session that ends, also if this page ended it.
   * @param {(ending: Ending) => void} listener
   * @returns {() => void} Removes the listener.
   */
  onEnded(listener) {
    this.#endedListeners.add(listener);
    return () => this.#endedListeners.delete(listener);
  }

  /**
   * Calls the listener when an admin's lists may have changed: a session began or ended, or the event stream was interrupted.
   * @param {() => void} listener
   * @returns {() => void} Removes the listener.
   */
  onChanged(listener) {
    this.#changedListeners.add(listener);
    return () => this.#changedListeners.delete(listener);
  }

  /** @param {Reason} reason */
  #overtake(reason) {
    this.#attempt?.overtake({ reason, endedAt: null });
  }

  /**
   * One sign-in, including the handling of its answer. Resolves as `#told` does.
   * @param {Attempt} attempt
   * @param {string} email
   * @param {string} password
   */
  async #open(attempt, email, password) {
    const opened = await login(this.server, email, password);
    const held = this.#session;
    const isSameUser = held?.user.id === opened.user.id;
    let told = Promise.resolve(true);
    // A user's one session is replaced at the server already, even by a sign-in that was overtaken; another user's is not.
    if (held && isSameUser) {
      this.#end(held, { reason: "replaced", endedAt: null });
    } else if (held && !attempt.overtaken) {
      told = this.#tell(held, "signed_out");
      this.#end(held, { reason: "signed_out", endedAt: null });
    }
    // Checked last: a listener may just have called `signIn` or `signOut`.
    if (attempt.overtaken) return all(told, this.#tell(opened, attempt.overtaken.reason));
    this.#session = opened;
    this.#listen(opened);
    attempt.outcome.resolve(opened.user);
    return told;
  }

  /** @param {"signed_out" | "page_closed"} reason */
  #leave(reason) {
    this.#overtake(reason);
    if (!this.#session) return this.#told;
    const session = this.#session;
    // Before any listener makes another call.
    this.#told = all(this.#told, this.#tell(session, reason));
    const told = this.#told;
    this.#end(session, { reason, endedAt: null });
    return told;
  }

  /** @param {Session} session @param {Ending} ending */
  #end(session, ending) {
    if (this.#session !== session) return;
    this.#session = null;
    session.end(ending);
    notify(this.#endedListeners, ending);
  }

  /** @param {Session} session @param {Reason | null} reason */
  #tell(session, reason) {
    return tell(this.server, session, reason, this.#left.signal);
  }

  /** The server refuses the token. @param {Session} session @param {Record<string, any>} problem */
  #refused(session, { reason = null, endedAt = null }) {
    this.#end(session, { reason, endedAt });
    return session.signal.reason;
  }

  /** Keeps an event stream open for as long as the session lives; the server ends it with the reason. @param {Session} session */
  async #listen(session) {
    let pause = PAUSE;
    while (!session.signal.aborted) {
      try {
        await this.#hear(session, () => { pause = PAUSE; });
      } catch {
        // Opened again below, unless the session has ended.
      }
      // A random pause, so that not all pages reconnect at once. It grows while opening fails.
      await new Promise((again) => setTimeout(again, pause * (0.5 + Math.random())));
      pause = Math.min(2 * pause, LONGEST_PAUSE);
    }
  }

  /** @param {Session} session @param {() => void} opened */
  async #hear(session, opened) {
    const silent = new AbortController();
    let timer = setTimeout(() => silent.abort(), SILENCE);
    try {
      const url = new URL("/auth/session/events", this.server);
      const response = await ask(session, url, { passive: true, signal: silent.signal });
      if (response.status === 401) throw this.#refused(session, await body(response));
      if (!response.ok || !response.body || !isStream(response)) return;
      opened();
      // Something may have changed while no stream was open.
      this.#changed();
      let waiting = "";
      for await (const chunk of chunks(response.body.pipeThrough(new TextDecoderStream()))) {
        clearTimeout(timer);
        timer = setTimeout(() => silent.abort(), SILENCE);
        const events = (waiting + chunk).split("\n\n");
        // What is sent to keep the stream open says nothing.
        waiting = (events.pop() ?? "").replace(/^:.*\n/gm, "");
        for (const event of events) this.#heard(session, event);
      }
    } finally {
      clearTimeout(timer);
      silent.abort();
    }
  }

  /** One server-sent event (WHATWG HTML 9.2), in one of the forms that the server sends. @param {Session} session @param {string} event */
  #heard(session, event) {
    /** @param {string} name */
    const field = (name) => event.match(new RegExp(`^${name}: ?(.*)$`, "m"))?.[1];
    if (session.signal.aborted) return;
    if (field("event") === "changed") this.#changed();
    if (field("event") === "ended") {
      const { reason = null, at = null } = JSON.parse(field("data") ?? "{}");
      this.#end(session, { reason, endedAt: at });
    }
  }

  #changed() {
    notify(this.#changedListeners);
  }
}

/** @type {Ending} */
const UNKNOWN = { reason: null, endedAt: null };

/** The codes of a 401 that concerns other secrets than the token. */
const OF_OTHER_SECRETS = ["invalid_credentials", "invalid_client"];

/** @param {URL} url */
function isWeb({ protocol }) {
  return protocol === "https:" || protocol === "http:";
}

/**
 * The origin in the form that browsers compare. Other URLs have no unique origin: "null" is the origin of any file.
 * @param {unknown} text
 */
function originOf(text) {
  if (typeof text === "string" && /^https?:\/\/[^/?#\\@\s]+$/i.test(text) && URL.canParse(text)) return new URL(text).origin;
  throw new TypeError(`origins must hold strings such as "https://app.example.org", without a path, not ${JSON.stringify(text)}`);
}

/** @template {unknown[]} A @param {Set<(...args: A) => void>} listeners @param {A} args */
function notify(listeners, ...args) {
  for (const listener of [...listeners]) {
    try {
      if (listeners.has(listener)) listener(...args);
    } catch (error) {
      reportError(error);
    }
  }
}

/** @param {Promise<boolean>[]} told */
async function all(...told) {
  return (await Promise.all(told)).every(Boolean);
}

/** @param {string} server @param {string} email @param {string} password */
async function login(server, email, password) {
  const response = await post(`${server}/auth/login`, { email, password, ends_with_page: true });
  if (!response.ok) throw await Problem.from(response);
  const { token, user } = await body(response);
  if (!isToken(token) || !isUser(user)) unreachable(NOT_OURS);
  return new Session(token, user);
}

const NOT_OURS = new Error("What answers is not oneseat.");

/** @param {unknown} cause @returns {never} */
function unreachable(cause) {
  throw new TypeError("The server cannot be reached.", { cause });
}

/** Can a header hold it? @param {unknown} token */
function isToken(token) {
  return typeof token === "string" && /^[!-~]+$/.test(token);
}

/** @param {any} user */
function isUser(user) {
  return ["id", "name", "email", "role"].every((name) => typeof user?.[name] === "string");
}

/** Does the answer confirm success? @param {Response} response */
async function isDone(response) {
  return response.ok && (await body(response)).success === true;
}

/** @param {Response} response */
function isStream(response) {
  return response.headers.get("Content-Type")?.startsWith("text/event-stream") ?? false;
}

/**
 * Ends a session at the server. Resolves to whether the server knows. A busy server is told again, until the page is left.
 * @param {string} server
 * @param {Session} session
 * @param {Reason | null} reason
 * @param {AbortSignal} left
 */
async function tell(server, { token }, reason, left) {
  const why = reason === "page_closed" ? { reason } : {};
  for (const shortest of [...PAUSES_TO_TELL, Infinity]) {
    const isLast = left.aborted;
    try {
      const response = await post(`${server}/auth/logout`, why, token, { keepalive: true });
      if (response.status === 401 || (await isDone(response))) return true;
      const pause = Math.max(shortest, 1000 * Number(response.headers.get("Retry-After")) || 0);
      const isBusy = response.status === 429 || response.status >= 500;
      if (isLast || !isBusy || pause > LONGEST_PAUSE_TO_TELL) return false;
      // A random pause, so that not all pages ask at once.
      await sleep(pause * (1 + Math.random() / 4), left);
    } catch {
      return false;
    }
  }
  return false;
}

/** Waits `time` milliseconds, or until the signal aborts. @param {number} time @param {AbortSignal} enough @returns {Promise<void>} */
async function sleep(time, enough) {
  if (enough.aborted) return;
  await new Promise((over) => {
    const timer = setTimeout(wake, time);
    function wake() {
      clearTimeout(timer);
      enough.removeEventListener("abort", wake);
      over(undefined);
    }
    enough.addEventListener("abort", wake);
  });
}

/** A request for the server itself. @param {string} url @param {object} content @param {string} [token] @param {RequestInit} [options] */
function post(url, content, token, options) {
  const headers = new Headers({ "Content-Type": "application/json" });
  if (token) headers.set("Authorization", `Bearer ${token}`);
  return fetch(url, {
    method: "POST",
    headers,
    body: JSON.stringify(content),
    credentials: "omit",
    // No redirect gets the secrets.
    redirect: "error",
    signal: AbortSignal.timeout(PATIENCE),
    ...options,
  }).catch(unreachable);
}

/**
 * @param {Session} session
 * @param {URL} url
 * @param {RequestInit & { passive?: boolean }} options
 */
async function ask(session, url, { passive = false, signal, ...options }) {
  const headers = new Headers(options.headers);
  headers.set("Authorization", `Bearer ${session.token}`);
  if (passive) headers.set("Oneseat-Passive", "true");
  const response = await fetch(url, {
    cache: "no-store",
    credentials: "omit",
    ...options,
    headers,
    // No redirect gets the token.
    redirect: "error",
    signal: signal ? AbortSignal.any([session.signal, signal]) : session.signal,
  });
  session.signal.throwIfAborted();
  return response;
}

/** @param {ReadableStream<string>} stream */
async function* chunks(stream) {
  const reader = stream.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
}

/** The answer's JSON as an object; empty if it cannot be read. @param {Response} response @returns {Promise<Record<string, any>>} */
async function body(response) {
  try {
    return Object(await response.json());
  } catch {
    return {};
  }
}
