// oneseat in a page, of this origin or of another: sign in, ask with the token, hear that the seat is gone.
//
// The token lives in a private field and nowhere else: not on `window`, not in storage, not in a cookie, not in a URL. A reload
// starts anew without it; leaving the page tells the server, so that the session is gone on both sides.
//
//     import { Oneseat } from "https://seat.example.org/static/oneseat.js";
//
//     const seat = new Oneseat();
//     seat.onEnded(({ reason }) => showLogin(reason));
//     await seat.signIn(email, password);
//     const response = await seat.fetch("https://seat.example.org/auth/session");
//     await seat.signOut();

/**
 * @typedef {"signed_out" | "page_closed" | "replaced" | "expired" | "revoked" | "password_changed" | "account_disabled"} Reason
 * Why a session ended.
 */

/**
 * @typedef {object} Ending
 * @property {Reason | null} reason Null when the server does not know the token, or no more.
 * @property {string | null} endedAt RFC 3339, UTC; null when this page ended it, or the reason is.
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
 * @property {string | URL} [server] Where oneseat is; where this module came from unless told.
 * @property {string[]} [origins] Those that are given the token, too: of an application that stands behind the seat, say.
 */

/** An answer that is not the one hoped for (RFC 9457). */
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
    /** The name of the request in the server's log, if it told one. @readonly */
    this.requestId = body.requestId ?? null;
    /** When to try again, in seconds, if the server said so. @readonly */
    this.retryAfter = retryAfter;
  }

  /** What an answer says that is not `ok`. @param {Response} response */
  static async from(response) {
    const wait = Number(response.headers.get("Retry-After"));
    return new Problem(response.status, await body(response), wait || null);
  }
}

/** There is no session, or not any more: what was asked with it has no answer. */
export class SessionEnded extends Error {
  /** @param {Ending} ending */
  constructor(ending) {
    super("The session has ended.");
    /** @readonly */
    this.ending = ending;
  }
}

/** The server sends something every 20 seconds; a stream that is silent for longer than this is dead. In milliseconds. */
const SILENCE = 45_000;
/** The pauses before a broken stream is opened again, in milliseconds: the first, and the longest. */
const PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;

/** One session of one page. What waits for an answer is aborted when it ends. */
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

/** One seat at one oneseat. */
export class Oneseat {
  /** @type {Session | null} */
  #session = null;
  /** @type {Set<string>} */
  #origins;
  /** @type {Set<(ending: Ending) => void>} */
  #endedListeners = new Set();
  /** @type {Set<() => void>} */
  #changedListeners = new Set();

  /** @param {Options} [options] */
  constructor({ server = import.meta.url, origins = [] } = {}) {
    /** Where oneseat is: its origin. @readonly */
    this.server = new URL(server, document.baseURI).origin;
    this.#origins = new Set([this.server, ...origins.map((origin) => new URL(origin).origin)]);
    addEventListener("pagehide", () => this.#leave());
  }

  /** Who is signed in here. */
  get user() {
    return this.#session?.user ?? null;
  }

  /**
   * Takes the seat. Whoever held it is signed out.
   * @param {string} email
   * @param {string} password
   * @returns {Promise<User>}
   * @throws {Problem} `invalid_credentials`, `account_locked`, `email_unverified`, `account_disabled`, `too_many_requests`, ...
   * @throws {TypeError} The server cannot be reached.
   */
  async signIn(email, password) {
    const response = await fetch(`${this.server}/auth/login`, { ...POST, body: JSON.stringify({ email, password }) });
    if (!response.ok) throw await Problem.from(response);
    const { token, user } = await response.json();
    // The session of before is over at the server, too: this one replaced it.
    if (this.#session) this.#end(this.#session, { reason: "replaced", endedAt: null });
    this.#session = new Session(token, user);
    this.#listen(this.#session);
    return user;
  }

  /**
   * Gives the seat up: here at once, and on the server if it can be reached.
   * @returns {Promise<boolean>} Whether the server knows. Where it does not, the session ends there by its time-out.
   */
  async signOut() {
    if (!this.#session) return true;
    const told = this.#tell(this.#session, {});
    this.#end(this.#session, { reason: "signed_out", endedAt: null });
    return told;
  }

  /**
   * Sets another password, which ends this session like any other.
   * @param {string} currentPassword
   * @param {string} newPassword
   * @returns {Promise<void>}
   * @throws {Problem} `wrong_password`, `password_refused`, ...
   * @throws {SessionEnded}
   * @throws {TypeError} The server cannot be reached.
   */
  async changePassword(currentPassword, newPassword) {
    const session = this.#session;
    const body = JSON.stringify({ currentPassword, newPassword });
    try {
      const response = await this.fetch(`${this.server}/auth/password/change`, { ...POST, body });
      if (!response.ok) throw await Problem.from(response);
      if (session) this.#end(session, { reason: "password_changed", endedAt: null });
    } catch (error) {
      // Whether the answer or the stream tells first is chance.
      if (!(error instanceof SessionEnded) || error.ending.reason !== "password_changed") throw error;
    }
  }

  /**
   * `fetch` with the token. A 401 from the server ends the session here; what waits for an answer when it ends is aborted.
   * @param {string | URL} url Of the server, or of one of the `origins`.
   * @param {RequestInit & { passive?: boolean }} [options] `passive` marks what a page does by itself: it is no activity.
   * @returns {Promise<Response>}
   * @throws {SessionEnded} There is none, or it ended meanwhile.
   * @throws {TypeError} The server cannot be reached, or must not be given the token.
   */
  async fetch(url, options = {}) {
    const session = this.#session;
    if (!session) throw new SessionEnded(UNKNOWN);
    const target = new URL(url, document.baseURI);
    if (!this.#origins.has(target.origin)) throw new TypeError(`${target.origin} must not be given the token`);
    const response = await ask(session, target, options);
    if (response.status !== 401) return response;
    if (target.origin === this.server) throw this.#refused(session, await body(response));
    // An application may have reasons of its own to say 401. Asking does not count as activity.
    const asked = await ask(session, new URL("/auth/session", this.server), { passive: true });
    if (asked.status === 401) throw this.#refused(session, await body(asked));
    return response;
  }

  /**
   * Calls the listener when a session ends: once for each, whoever ended it, this page included.
   * @param {(ending: Ending) => void} listener
   * @returns {() => void} Call it to be told no more.
   */
  onEnded(listener) {
    this.#endedListeners.add(listener);
    return () => this.#endedListeners.delete(listener);
  }

  /**
   * Calls the listener when an admin's lists may show something new: somebody came or went, or it could not be heard for a while.
   * @param {() => void} listener
   * @returns {() => void} Call it to be told no more.
   */
  onChanged(listener) {
    this.#changedListeners.add(listener);
    return () => this.#changedListeners.delete(listener);
  }

  /** @param {Session} session @param {Ending} ending */
  #end(session, ending) {
    if (this.#session !== session) return;
    this.#session = null;
    session.end(ending);
    for (const listener of this.#endedListeners) listener(ending);
  }

  /** The server does not take the token. @param {Session} session @param {Record<string, any>} problem */
  #refused(session, { reason = null, endedAt = null }) {
    this.#end(session, { reason, endedAt });
    return session.signal.reason;
  }

  /** The page goes, and the session with it. A page that the browser keeps for "back" comes back signed out. */
  #leave() {
    if (!this.#session) return;
    this.#tell(this.#session, { body: JSON.stringify({ reason: "page_closed" }) });
    this.#end(this.#session, { reason: "page_closed", endedAt: null });
  }

  /** @param {Session} session @param {RequestInit} options */
  async #tell({ token }, options) {
    const headers = { ...POST.headers, Authorization: `Bearer ${token}` };
    try {
      const response = await fetch(`${this.server}/auth/logout`, { ...POST, ...options, headers, keepalive: true });
      return response.ok || response.status === 401;
    } catch {
      return false;
    }
  }

  /** Keeps an event stream open for as long as the session lives; the server ends it with the reason. @param {Session} session */
  async #listen(session) {
    let pause = PAUSE;
    while (!session.signal.aborted) {
      try {
        await this.#hear(session, () => { pause = PAUSE; });
      } catch {
        // Opened again below, unless the session is over.
      }
      // Not all pages at once, and less and less often while it fails.
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
      if (!response.ok || !response.body) return;
      opened();
      // Whatever changed while nobody listened.
      this.#changed();
      let waiting = "";
      for await (const chunk of chunks(response.body.pipeThrough(new TextDecoderStream()))) {
        clearTimeout(timer);
        timer = setTimeout(() => silent.abort(), SILENCE);
        const events = (waiting + chunk).split("\n\n");
        waiting = events.pop() ?? "";
        for (const event of events) this.#heard(session, event);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** One server-sent event (WHATWG HTML 9.2), of the few forms that the server sends. @param {Session} session @param {string} event */
  #heard(session, event) {
    /** @param {string} name */
    const field = (name) => event.match(new RegExp(`^${name}: ?(.*)$`, "m"))?.[1];
    if (session.signal.aborted) return;
    if (field("event") === "changed") this.#changed();
    if (field("event") === "ended") {
      const { reason, at } = JSON.parse(field("data") ?? "{}");
      this.#end(session, { reason, endedAt: at });
    }
  }

  #changed() {
    for (const listener of this.#changedListeners) listener();
  }
}

/** @type {Ending} */
const UNKNOWN = { reason: null, endedAt: null };

const POST = {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  credentials: /** @type {RequestCredentials} */ ("omit"),
};

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
    // The token goes where it was sent and no further.
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

/** What an answer says, as far as it can be read. @param {Response} response @returns {Promise<Record<string, any>>} */
async function body(response) {
  try {
    return await response.json();
  } catch {
    return {};
  }
}
