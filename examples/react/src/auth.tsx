// The session of this page, for React: who is signed in, why the last session ended, and how to sign in, ask and sign out.
//
// The token stays in a private field of the client module. React sees the user, never the token. A reload loses both.

import { createContext, useContext, useMemo, useSyncExternalStore, type ReactNode } from "react";
import { Oneseat, type Ending, type User } from "oneseat";

interface State {
  /** Who is signed in here. */
  user: User | null;
  /** How the last session of this page ended. */
  ended: Ending | null;
}

export interface Auth extends State {
  /** Takes the seat, which ends the user's older session; the server may ask first. Throws what `Oneseat.signIn` throws. */
  signIn(email: string, password: string, options?: { takeover?: boolean }): Promise<void>;
  /** Signs out, here at once. Resolves to whether the server knows. */
  signOut(): Promise<boolean>;
  /** `fetch` with the token, at the server. The end of the session, told by a 401 or by the event stream, leads to the login. */
  fetch(path: string, options?: RequestInit): Promise<Response>;
}

/** The server that the page names. */
const seat = new Oneseat({ server: document.querySelector<HTMLMetaElement>("meta[name=oneseat]")?.content });

let state: State = { user: null, ended: null };
const listeners = new Set<() => void>();

function become(next: State) {
  state = next;
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

seat.onEnded((ended) => become({ user: null, ended }));

const calls: Omit<Auth, keyof State> = {
  async signIn(email, password, options) {
    const user = await seat.signIn(email, password, options);
    become({ user, ended: null });
  },
  signOut: () => seat.signOut(),
  fetch: (path, options) => seat.fetch(new URL(path, seat.server), options),
};

const AuthContext = createContext<Auth | null>(null);

export function AuthProvider({ children }: { children: ReactNode }) {
  const now = useSyncExternalStore(subscribe, () => state);
  const auth = useMemo(() => ({ ...now, ...calls }), [now]);
  return <AuthContext value={auth}>{children}</AuthContext>;
}

export function useAuth(): Auth {
  const auth = useContext(AuthContext);
  if (!auth) throw new Error("useAuth needs an AuthProvider above it");
  return auth;
}
