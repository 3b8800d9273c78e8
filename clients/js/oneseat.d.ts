/** Why a session ended. Unknown if an instance of a later version ended it while this one was running. */
export type Reason =
  | "signed_out"
  | "page_closed"
  | "replaced"
  | "expired"
  | "revoked"
  | "password_changed"
  | "account_disabled"
  | "restored"
  | "unknown";

export interface Ending {
  /** Null if the server does not know the token, or no longer knows it. */
  reason: Reason | null;
  /** RFC 3339, UTC. Null if this page ended the session, or if the reason is null. */
  endedAt: string | null;
  /** What replaced the session, if the event stream has told. */
  by?: By | null;
}

export interface By {
  /** Browser and system in words, such as "Firefox 144 on Windows". */
  device: string;
  /** An IPv4 or IPv6 address. */
  address: string;
  /** Are the address and the browser, as it names itself, those of the session that was replaced? */
  isSameBrowser: boolean;
}

export interface User {
  /** A UUID. */
  id: string;
  name: string;
  email: string;
  role: "user" | "admin";
}

export interface Options {
  /** The address of oneseat. Default: the origin of this module. */
  server?: string | URL;
  /**
   * More origins that get the token, such as an application behind oneseat. Each is a scheme, a host and perhaps a port
   * (`https://app.example.org`); a path, even `/`, is refused.
   */
  origins?: string[];
}

/** An answer that is not a success (RFC 9457). */
export class Problem extends Error {
  constructor(
    status: number,
    body: { code?: string; detail?: string; field?: string; requestId?: string; since?: string; device?: string },
    retryAfter?: number | null,
  );
  /** Reads the problem from an answer that is not `ok`. */
  static from(response: Response): Promise<Problem>;
  /** The status of the answer. */
  readonly status: number;
  /** For programs: `invalid_credentials`, `account_locked`, `unavailable`, ... */
  readonly code: string;
  /** The field of the request that was refused, if the server named one. */
  readonly field: string | null;
  /** The id of the request in the server's log, if the answer has one. */
  readonly requestId: string | null;
  /** When to try again, in seconds, if the server said so. */
  readonly retryAfter: number | null;
  /** With `seat_taken`: when the session began that has the seat (RFC 3339, UTC). */
  readonly since: string | null;
  /** With `seat_taken`: its browser and system in words, such as "Firefox 144 on Windows". */
  readonly device: string | null;
}

/** There is no session, or it has ended: the call has no answer. */
export class SessionEnded extends Error {
  constructor(ending: Ending);
  readonly ending: Ending;
}

/** One session at one oneseat server, or none, in the order of the calls. Two objects in one page are like two pages. */
export class Oneseat {
  /** @throws {TypeError} The server or one of the origins cannot be given a token. */
  constructor(options?: Options);
  /** The origin of oneseat. */
  readonly server: string;
  /** The user who is signed in here. */
  get user(): User | null;
  /** Should the user choose another password? The server's rules would refuse the one of this sign-in today. */
  get passwordChangeRecommended(): boolean;

  /**
   * Signs a user in. This ends the user's older session. A server that asks first (`--takeover ask`) refuses it with `seat_taken`
   * while that session lives, and changes nothing, unless the call says `takeover`.
   * @throws {Problem} `invalid_credentials`, `account_locked`, `email_unverified`, `account_disabled`, `seat_taken`,
   *   `too_many_requests`, ...
   * @throws {SessionEnded} Another `signIn` or `signOut` overtook it, or the page was left. If it opens a session all the same, that
   *   session is ended at the server, if the server can be told.
   * @throws {TypeError} The server cannot be reached or gives no answer, or what answers is not oneseat.
   */
  signIn(email: string, password: string, options?: { takeover?: boolean }): Promise<User>;

  /**
   * Signs out: here at once, and on the server if it can be reached. A sign-in without an answer is overtaken.
   * @returns Does the server know? The answer takes some seconds if the server is busy. If it does not know, it is told later: see
   *   `told`.
   */
  signOut(): Promise<boolean>;

  /**
   * Waits until the server has been told of every session that ended here.
   * @returns Does it know now? If not, ten minutes have passed, or the page was left: the session ends there by its time-out.
   */
  told(): Promise<boolean>;

  /**
   * Sets another password. This ends the session.
   * @throws {Problem} `wrong_password`, `password_refused`, ...
   * @throws {SessionEnded}
   * @throws {TypeError} The server cannot be reached, or what answers is not oneseat.
   */
  changePassword(currentPassword: string, newPassword: string): Promise<void>;

  /**
   * `fetch` with the token. A 401 for the token ends the session here. The end of the session aborts waiting requests.
   * @param url Of the server, or of one of the `origins`; relative to the page.
   * @param options `passive` marks requests that the page makes by itself: they are no activity.
   * @throws {SessionEnded} There is no session, or it ended meanwhile.
   * @throws {TypeError} The server cannot be reached, or must not be given the token. Its `cause` is a `TimeoutError` if oneseat itself
   *   has not begun to answer within 30 seconds.
   */
  fetch(url: string | URL, options?: RequestInit & { passive?: boolean }): Promise<Response>;

  /**
   * Calls the listener once for each session that ends, also if this page ended it. An error that it throws is reported, and
   * changes nothing.
   * @returns Removes the listener.
   */
  onEnded(listener: (ending: Ending) => void): () => void;

  /**
   * Calls the listener when an admin's lists may have changed: what they show has, or the event stream was interrupted.
   * @returns Removes the listener.
   */
  onChanged(listener: () => void): () => void;

  /**
   * Calls the listener with false when the connection is lost by which the page hears of the end of its session, and with true when
   * it is there again. The end of a session is not a loss.
   * @returns Removes the listener.
   */
  onConnection(listener: (isConnected: boolean) => void): () => void;
}
