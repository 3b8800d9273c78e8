/** Why a session ended. */
export type Reason =
  | "signed_out"
  | "page_closed"
  | "replaced"
  | "expired"
  | "revoked"
  | "password_changed"
  | "account_disabled";

export interface Ending {
  /** Null when the server does not know the token, or no more. */
  reason: Reason | null;
  /** RFC 3339, UTC; null when this page ended it, or the reason is. */
  endedAt: string | null;
}

export interface User {
  /** A UUID. */
  id: string;
  name: string;
  email: string;
  role: "user" | "admin";
}

export interface Options {
  /** Where oneseat is; where this module came from unless told. */
  server?: string | URL;
  /**
   * Those that are given the token, too: of an application that stands behind the seat, say. Each is a scheme, a host and perhaps a
   * port (`https://app.example.org`); a path, even `/`, is refused.
   */
  origins?: string[];
}

/** An answer that is not the one hoped for (RFC 9457). */
export class Problem extends Error {
  constructor(
    status: number,
    body: { code?: string; detail?: string; requestId?: string },
    retryAfter?: number | null,
  );
  /** What an answer says that is not `ok`. */
  static from(response: Response): Promise<Problem>;
  /** The status of the answer. */
  readonly status: number;
  /** For programs: `invalid_credentials`, `account_locked`, `unavailable`, ... */
  readonly code: string;
  /** The name of the request in the server's log, if it told one. */
  readonly requestId: string | null;
  /** When to try again, in seconds, if the server said so. */
  readonly retryAfter: number | null;
}

/** There is no session, or not any more: what was asked with it has no answer. */
export class SessionEnded extends Error {
  constructor(ending: Ending);
  readonly ending: Ending;
}

/** One seat at one oneseat: one session or none, in the order of the calls. Two in one page are like two pages. */
export class Oneseat {
  /** @throws {TypeError} The server, or one of the origins, is none that a token can be given to. */
  constructor(options?: Options);
  /** Where oneseat is: its origin. */
  readonly server: string;
  /** Who is signed in here. */
  get user(): User | null;

  /**
   * Takes the seat. Whoever held it is signed out.
   * @throws {Problem} `invalid_credentials`, `account_locked`, `email_unverified`, `account_disabled`, `too_many_requests`, ...
   * @throws {SessionEnded} It was overtaken: by another `signIn`, by `signOut`, or since the page was left. What it opens all the same
   *   is ended at the server, if that can be told of it.
   * @throws {TypeError} The server cannot be reached, or what answers is not oneseat.
   */
  signIn(email: string, password: string): Promise<User>;

  /**
   * Gives the seat up: here at once, and on the server if it can be reached. A sign-in that has no answer yet is given up, too.
   * @returns Whether the server knows, which takes some seconds where it is busy. Where it does not, the session ends there by its
   *   time-out.
   */
  signOut(): Promise<boolean>;

  /**
   * Sets another password, which ends this session like any other.
   * @throws {Problem} `wrong_password`, `password_refused`, ...
   * @throws {SessionEnded}
   * @throws {TypeError} The server cannot be reached, or what answers is not oneseat.
   */
  changePassword(currentPassword: string, newPassword: string): Promise<void>;

  /**
   * `fetch` with the token. A 401 for the token ends the session here; what waits for an answer when it ends is aborted.
   * @param url Of the server, or of one of the `origins`; relative to the page.
   * @param options `passive` marks what a page does by itself: it is no activity.
   * @throws {SessionEnded} There is none, or it ended meanwhile.
   * @throws {TypeError} The server cannot be reached, or must not be given the token.
   */
  fetch(url: string | URL, options?: RequestInit & { passive?: boolean }): Promise<Response>;

  /**
   * Calls the listener when a session ends: once for each, whoever ended it, this page included. One that throws is
   * reported, and changes nothing.
   * @returns Call it to be told no more.
   */
  onEnded(listener: (ending: Ending) => void): () => void;

  /**
   * Calls the listener when an admin's lists may show something new: somebody came or went, or it could not be heard for a while.
   * @returns Call it to be told no more.
   */
  onChanged(listener: () => void): () => void;
}
