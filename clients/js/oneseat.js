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
// - A page that is perhaps about to go (`beforeunload`) says so: its session ends if its event stream closes now. Firefox sends this when
//   its last window closes, and nothing later. A page that goes without a word, such as that of a browser that was killed, is missed at
//   the server after a while (`--page-grace`). So a page that is there keeps an event stream, and answers each of its beats.
// - The pages of a browser that has few connections to the server (HTTP/1.1) share the streams. A page without one asks now and then.
// - Listeners are called when the change is made. An error that a listener throws is reported as uncaught, and changes nothing.
// - If the server is too busy to be told of an end (429, 5xx), it is told again, three times within some seconds. A page that is left
//   tells it at once, and then not again.
// - If it still does not know, or cannot be reached, the page keeps the token of the ended session for ten minutes at most, for nothing
//   but to tell it: when the network is back, before the next sign-in, and now and then. A page that is left forgets the token.
// - An answer that is not oneseat's, such as the sign-in page of a public network, counts as lost.
// - A lost answer (network failure, closed page), or an end of which the server could not be told, may leave a session at the server
//   that no page holds. It ends when the server misses its page, or with the user's next sign-in.
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
 * @property {By | null} [by] What replaced the session, if the event stream has told.
 */

/**
 * @typedef {object} By
 * @property {string} device Browser and system in words, such as "Firefox 144 on Windows".
 * @property {string} address An IPv4 or IPv6 address.
 * @property {boolean} isSameBrowser Are the address and the browser, as it names itself, those of the session that was replaced?
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
   * @param {{ code?: string, detail?: string, field?: string, requestId?: string, since?: string, device?: string }} body
   * @param {number | null} retryAfter
   */
  constructor(status, body, retryAfter = null) {
    super(body.detail ?? `The server answered ${status}.`);
    /** The status of the answer. @readonly */
    this.status = status;
    /** For programs: `invalid_credentials`, `account_locked`, `unavailable`, ... @readonly */
    this.code = body.code ?? "unknown";
    /** The field of the request that was refused, if the server named one. @readonly */
    this.field = body.field ?? null;
    /** The id of the request in the server's log, if the answer has one. @readonly */
    this.requestId = body.requestId ?? null;
    /** When to try again, in seconds, if the server said so. @readonly */
    this.retryAfter = retryAfter;
    /** With `seat_taken`: when the session began that has the seat (RFC 3339, UTC). @readonly */
    this.since = body.since ?? null;
    /** With `seat_taken`: its browser and system in words, such as "Firefox 144 on Windows". @readonly */
    this.device = body.device ?? null;
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
const PATIENCE = 30_000;
/** The server sends something every 20 seconds. A stream that is silent for longer than this is broken. In milliseconds. */
const SILENCE = 45_000;
/** The pauses before a broken stream is opened again, in milliseconds: the first, and the longest. */
const PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;
/**
 * A stream that breaks after it was open for longer than this is opened again without a pause. Chromium closes all connections when the
 * machine is about to sleep, and the server must hear of the page before the machine sleeps. In milliseconds.
 */
const WAS_STEADY = 5_000;
/** Over HTTP/1.1 a browser has six connections to one origin, for all of its pages together. Event streams may hold this many of them. */
const MOST_STREAMS = 4;
/** How long a hidden page takes to give up its stream for a visible one, in milliseconds. */
const TO_YIELD = 300;
/** How often a page without a stream asks, in milliseconds. */
const ASKING = 15_000;
/** The pauses before a busy server is told again that a session is over, in milliseconds, unless it asks for longer pauses. */
const PAUSES_TO_TELL = [1_000, 2_000, 4_000];
/** A server that asks for a longer pause is not told again. In milliseconds. */
const LONGEST_PAUSE_TO_TELL = 10_000;
/** How long a page keeps the token of an ended session, to tell the server later, and the pause between two tries. In milliseconds. */
const LATEST = 600_000;
const PAUSE_TO_TELL_LATER = 30_000;

/** One session of one page. Its end aborts all its requests. */
class Session {
  #over = new AbortController();

  /**
   * @param {string} server
   * @param {string} token
   * @param {User} user
   * @param {boolean} passwordChangeRecommended
   */
  constructor(server, token, user, passwordChangeRecommended) {
    this.server = server;
    this.token = token;
    this.user = user;
    this.passwordChangeRecommended = passwordChangeRecommended;
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

/** An end of a session that the server could not be told of. Until the server knows, or it is too late, this tells it again: now and then,
 * and when the network is back. `tell` holds the token for nothing else. */
class Untold {
  #known = new AbortController();
  /** @type {Promise<void> | null} */
  #telling = null;
  /** @type {(() => Promise<boolean>) | null} */
  #tell;

  /** @param {() => Promise<boolean>} tell @param {AbortSignal} over */
  constructor(tell, over) {
    this.#tell = tell;
    /** Does the server know in the end? @readonly */
    this.outcome = this.#goOn(over);
  }

  /** Tells the server once more, unless that is under way. Never rejects. */
  again() {
    this.#telling ??= this.#once().finally(() => { this.#telling = null; });
    return this.#telling;
  }

  async #once() {
    if (await this.#tell?.().catch(() => false)) this.#known.abort();
  }

  /** @param {AbortSignal} over */
  async #goOn(over) {
    const enough = AbortSignal.any([over, this.#known.signal]);
    addEventListener("online", () => this.again(), { signal: enough });
    while (!enough.aborted) {
      await sleep(PAUSE_TO_TELL_LATER * (0.5 + Math.random()), enough);
      if (!this.#known.signal.aborted) await this.again();
    }
    this.#tell = null;
    return this.#known.signal.aborted;
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
  /** @type {Set<Untold>} The ends that the server is told of later. */
  #untold = new Set();
  /** @type {Set<string>} */
  #origins;
  /** @type {Set<(ending: Ending) => void>} */
  #endedListeners = new Set();
  /** @type {Set<() => void>} */
  #changedListeners = new Set();
  /** @type {Set<(isConnected: boolean) => void>} */
  #connectionListeners = new Set();
  /** Has the event stream of the session broken, and not been opened again? */
  #isBroken = false;

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
    addEventListener("beforeunload", () => {
      if (this.#session) tellTentatively(this.server, this.#session);
    });
    addEventListener("pageshow", () => {
      if (this.#left.signal.aborted) this.#left = new AbortController();
    });
  }

  /** The user who is signed in here. */
  get user() {
    return this.#session?.user ?? null;
  }

  /** Should the user choose another password? The server's rules would refuse the one of this sign-in today. */
  get passwordChangeRecommended() {
    return this.#session?.passwordChangeRecommended ?? false;
  }

  /**
   * Signs a user in. This ends the user's older session. A server that asks first (`--takeover ask`) refuses it with `seat_taken` while
   * that session lives, and changes nothing, unless the call says `takeover`.
   * @param {string} email
   * @param {string} password
   * @param {{ takeover?: boolean }} [options]
   * @returns {Promise<User>}
   * @throws {Problem} `invalid_credentials`, `account_locked`, `email_unverified`, `account_disabled`, `seat_taken`, `too_many_requests`,
   * ...
   * @throws {SessionEnded} Another `signIn` or `signOut` overtook it, or the page was left.
   * @throws {TypeError} The server cannot be reached, or what answers is not oneseat.
   */
  async signIn(email, password, { takeover = false } = {}) {
    this.#overtake("replaced");
    const attempt = new Attempt();
    this.#attempt = attempt;
    if (this.#left.signal.aborted) this.#overtake("page_closed");
    this.#told = this.#told
      .then((told) => (attempt.overtaken ? told : this.#open(attempt, { email, password, takeover })))
      .catch((error) => {
        attempt.outcome.reject(error);
        // If a gateway answers for the server (5xx), it is unknown what the server did.
        return error instanceof Problem && error.status < 500;
      });
    return attempt.outcome.promise;
  }

  /**
   * Signs out: here at once, and on the server if it can be reached. A sign-in without an answer is overtaken.
   * @returns {Promise<boolean>} Does the server know? The answer takes some seconds if the server is busy. If it does not know, it is
   * told later: see `told`.
   */
  async signOut() {
    return this.#leave("signed_out");
  }

  /**
   * Waits until the server has been told of every session that ended here.
   * @returns {Promise<boolean>} Does it know now? If not, ten minutes have passed, or the page was left: the session ends there by its
   * time-out.
   */
  async told() {
    await this.#told;
    return all(...[...this.#untold].map(({ outcome }) => outcome));
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
    // The request is not aborted when the session ends: the change itself ends it, and only the answer shows whether the change happened.
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
   * @throws {TypeError} The server cannot be reached, or must not be given the token. Its `cause` is a `TimeoutError` if oneseat itself has
   * not begun to answer within 30 seconds.
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
    const asked = isOwn ? response.clone() : await ask(session, new URL("/auth/session", this.server), { passive: true, signal: options.signal });
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
   * Calls the listener when an admin's lists may have changed: what they show has, or the event stream was interrupted.
   * @param {() => void} listener
   * @returns {() => void} Removes the listener.
   */
  onChanged(listener) {
    this.#changedListeners.add(listener);
    return () => this.#changedListeners.delete(listener);
  }

  /**
   * Calls the listener with false when the connection is lost by which the page hears of the end of its session, and with true when it is
   * there again. The end of a session is not a loss.
   * @param {(isConnected: boolean) => void} listener
   * @returns {() => void} Removes the listener.
   */
  onConnection(listener) {
    this.#connectionListeners.add(listener);
    return () => this.#connectionListeners.delete(listener);
  }

  /** @param {Reason} reason */
  #overtake(reason) {
    this.#attempt?.overtake({ reason, endedAt: null });
  }

  /**
   * One sign-in, including the handling of its answer. Resolves as `#told` does.
   * @param {Attempt} attempt
   * @param {{ email: string, password: string, takeover: boolean }} values
   */
  async #open(attempt, values) {
    // Otherwise a session that ended here, and that the server could not be told of, would still have the seat.
    await Promise.all([...this.#untold].map((untold) => untold.again()));
    const opened = await login(this.server, values);
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
    // This comes before any listener can make another call.
    this.#told = all(this.#told, this.#tell(session, reason));
    const told = this.#told;
    this.#end(session, { reason, endedAt: null });
    return told;
  }

  /** @param {Session} session @param {Ending} ending */
  #end(session, ending) {
    if (this.#session !== session) return;
    this.#session = null;
    this.#isBroken = false;
    session.end(ending);
    notify(this.#endedListeners, ending);
  }

  /** @param {Session} session @param {Reason | null} reason */
  async #tell(session, reason) {
    const { token } = session;
    const left = this.#left.signal;
    const isTold = await tell(this.server, token, reason, left);
    if (!isTold && !left.aborted) this.#tellLater(token, reason, left);
    return isTold;
  }

  /** @param {string} token @param {Reason | null} reason @param {AbortSignal} left */
  #tellLater(token, reason, left) {
    const over = AbortSignal.any([left, AbortSignal.timeout(LATEST)]);
    const untold = new Untold(async () => isKnown(await sendEnd(this.server, token, reason)), over);
    this.#untold.add(untold);
    untold.outcome.then(() => this.#untold.delete(untold));
  }

  /** Ends the session here, because the server refuses its token. @param {Session} session @param {Record<string, any>} problem */
  #refused(session, { reason = null, endedAt = null }) {
    this.#end(session, { reason, endedAt });
    return session.signal.reason;
  }

  /**
   * Keeps an event stream open for as long as the session lives; the server ends it with the reason. While other pages of this browser
   * hold as many streams as they may, asks now and then.
   * @param {Session} session
   */
  async #listen(session) {
    let pause = PAUSE;
    let yields = false;
    while (!session.signal.aborted) {
      /** @type {Place | null} */
      const place = yields ? null : await takePlace(this.server);
      const began = performance.now();
      let [isOpened, isTorn] = [false, false];
      try {
        await this.#hear(session, place, () => {
          isOpened = true;
          pause = PAUSE;
          this.#connection(session, true);
        });
      } catch {
        isTorn = place !== null && performance.now() - began > WAS_STEADY;
      } finally {
        place?.release();
      }
      yields = place?.yielded.aborted ?? false;
      if (yields || isTorn) continue;
      if (!place) {
        this.#connection(session, isOpened);
        await sleep(ASKING, AbortSignal.any([session.signal, shown(session.signal)]));
        continue;
      }
      this.#connection(session, false);
      // A random pause, so that not all pages reconnect at once. It grows while opening fails.
      await sleep(pause * (0.5 + Math.random()), session.signal);
      pause = Math.min(2 * pause, LONGEST_PAUSE);
    }
  }

  /**
   * Reads one event stream to its end. Without a place, the server closes the stream at once.
   * @param {Session} session
   * @param {Place | null} place
   * @param {() => void} opened
   */
  async #hear(session, place, opened) {
    const silent = new AbortController();
    let timer = setTimeout(() => silent.abort(), SILENCE);
    try {
      const url = new URL(place ? "/auth/session/events" : "/auth/session/events?once=true", this.server);
      const signal = place ? AbortSignal.any([silent.signal, place.yielded]) : silent.signal;
      const response = await ask(session, url, { passive: true, signal });
      if (response.status === 401) throw this.#refused(session, await body(response));
      if (!response.ok || !response.body || !isStream(response)) return;
      opened();
      // Something may have changed while no stream was open.
      this.#changed();
      let waiting = "";
      for await (const chunk of chunks(response.body.pipeThrough(new TextDecoderStream()))) {
        clearTimeout(timer);
        timer = setTimeout(() => silent.abort(), SILENCE);
        // A comment is a line. An event ends with an empty line.
        const events = (waiting + chunk).replace(/^:.*\n/gm, (comment) => this.#noted(session, comment)).split("\n\n");
        waiting = events.pop() ?? "";
        for (const event of events) this.#heard(session, event);
      }
    } finally {
      clearTimeout(timer);
      silent.abort();
    }
  }

  /** Removes a comment from the stream, and answers it if it is a beat. @param {Session} session @param {string} comment */
  #noted(session, comment) {
    if (comment === ": beat\n" && !session.signal.aborted) this.#answer(session);
    return "";
  }

  /** Shows the server that the page is there. @param {Session} session */
  async #answer(session) {
    try {
      const response = await ask(session, new URL("/auth/session", this.server), { passive: true });
      const problem = await body(response);
      if (response.status === 401) this.#refused(session, problem);
    } catch {
      // The next beat is answered.
    }
  }

  /** Handles a server-sent event (WHATWG HTML 9.2), in one of the forms that the server sends. @param {Session} session @param {string} event */
  #heard(session, event) {
    /** @param {string} name */
    const field = (name) => event.match(new RegExp(`^${name}: ?(.*)$`, "m"))?.[1];
    if (session.signal.aborted) return;
    if (field("event") === "changed") this.#changed();
    if (field("event") === "ended") {
      const { reason = null, at = null, by = null } = JSON.parse(field("data") ?? "{}");
      this.#end(session, { reason, endedAt: at, by });
    }
  }

  /** @param {Session} session @param {boolean} isConnected */
  #connection(session, isConnected) {
    if (this.#session !== session || this.#isBroken !== isConnected) return;
    this.#isBroken = !isConnected;
    notify(this.#connectionListeners, isConnected);
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

/** @param {string} server @param {{ email: string, password: string, takeover: boolean }} values */
async function login(server, values) {
  const response = await post(`${server}/auth/login`, { ...values, endsWithPage: true });
  if (!response.ok) throw await Problem.from(response);
  const { token, user, passwordChangeRecommended } = await body(response);
  if (!isToken(token) || !isUser(user)) unreachable(NOT_OURS);
  return new Session(server, token, user, passwordChangeRecommended === true);
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
 * @param {string} token
 * @param {Reason | null} reason
 * @param {AbortSignal} left
 */
async function tell(server, token, reason, left) {
  for (const shortest of [...PAUSES_TO_TELL, Infinity]) {
    const isLast = left.aborted;
    try {
      const response = await sendEnd(server, token, reason);
      if (await isKnown(response)) return true;
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

/** @param {string} server @param {string} token @param {Reason | null} reason */
function sendEnd(server, token, reason) {
  return post(`${server}/auth/logout`, reason === "page_closed" ? { reason } : {}, token, { keepalive: true });
}

/** Does the answer show that the server knows of the end? @param {Response} response */
async function isKnown(response) {
  return response.status === 401 || (await isDone(response));
}

/**
 * Tells the server that the page is perhaps about to go. If the server does not hear of it, it misses the page later.
 * @param {string} server
 * @param {Session} session
 */
function tellTentatively(server, { token }) {
  post(`${server}/auth/logout`, { reason: "page_closed", tentative: true }, token, { keepalive: true }).catch(() => {});
}

/**
 * A place for an event stream. All pages of this browser share the places.
 * @typedef {object} Place
 * @property {AbortSignal} yielded Aborted when this page is hidden and another one wants the place.
 * @property {() => void} release
 */

/** The channel by which a page asks hidden ones for a place. Nothing else is said there. */
const WANTED = "oneseat-stream-wanted";

/**
 * Takes a place. If none is free, a visible page takes that of a hidden one. Null: there is none.
 * @param {string} server
 * @returns {Promise<Place | null>}
 */
async function takePlace(server) {
  if (!navigator.locks || !isHttp1(server)) return { yielded: new AbortController().signal, release() {} };
  const place = await takeFreePlace(server);
  if (place || document.visibilityState !== "visible") return place;
  const channel = new BroadcastChannel(WANTED);
  channel.postMessage(server);
  channel.close();
  await new Promise((later) => setTimeout(later, TO_YIELD));
  return takeFreePlace(server);
}

/** @param {string} server @returns {Promise<Place | null>} */
async function takeFreePlace(server) {
  for (let n = 0; n < MOST_STREAMS; n += 1) {
    const unlock = await lock(`oneseat-stream ${n} ${server}`);
    if (!unlock) continue;
    const yielded = new AbortController();
    const channel = new BroadcastChannel(WANTED);
    channel.onmessage = ({ data }) => {
      if (data === server && document.visibilityState === "hidden") yielded.abort();
    };
    return {
      yielded: yielded.signal,
      release() {
        channel.close();
        unlock();
      },
    };
  }
  return null;
}

/** Takes a lock of this origin, if it is free. The browser gives it back when the page goes. @param {string} name @returns {Promise<(() => void) | null>} */
function lock(name) {
  return new Promise((taken) => {
    navigator.locks
      .request(name, { ifAvailable: true }, (held) => held && new Promise((unlock) => { taken(() => unlock(undefined)); }))
      .then(() => taken(null), () => taken(null));
  });
}

/** Does the browser use HTTP/1.1 there, as far as it tells? @param {string} server */
function isHttp1(server) {
  const entries = /** @type {PerformanceResourceTiming[]} */ (performance.getEntriesByType("resource"));
  const last = entries.findLast(({ name, nextHopProtocol }) => name.startsWith(`${server}/`) && nextHopProtocol);
  return last?.nextHopProtocol === "http/1.1";
}

/** Aborted when a hidden page becomes visible. @param {AbortSignal} signal Ends the wait. @returns {AbortSignal} */
function shown(signal) {
  const seen = new AbortController();
  const look = () => { if (document.visibilityState === "visible") seen.abort(); };
  document.addEventListener("visibilitychange", look, { signal: AbortSignal.any([signal, seen.signal]) });
  return seen.signal;
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
  // Only the beginning of the answer has a time limit. Its body may take longer, and so may a body that is sent.
  const late = new AbortController();
  const isShort = url.origin === session.server && typeof (options.body ?? "") === "string";
  const timer = isShort ? setTimeout(() => late.abort(new DOMException("The answer is late.", "TimeoutError")), PATIENCE) : undefined;
  try {
    const response = await fetch(url, {
      cache: "no-store",
      credentials: "omit",
      ...options,
      headers,
      // No redirect gets the token.
      redirect: "error",
      signal: AbortSignal.any([session.signal, late.signal, ...(signal ? [signal] : [])]),
    });
    session.signal.throwIfAborted();
    return response;
  } catch (error) {
    return late.signal.aborted && error === late.signal.reason ? unreachable(error) : Promise.reject(error);
  } finally {
    clearTimeout(timer);
  }
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
