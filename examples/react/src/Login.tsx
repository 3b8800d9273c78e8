import { useState, type FormEvent } from "react";
import { Navigate, useLocation } from "react-router";
import { Problem, SessionEnded, type Reason } from "oneseat";
import { useAuth } from "./auth";

/** Why the last session ended, in words. */
const ENDINGS: Partial<Record<Reason, string>> = {
  signed_out: "You are signed out.",
  replaced: "You signed in somewhere else, so you were signed out here.",
  expired: "Your session ended after a while without activity.",
  revoked: "An administrator ended your session.",
  password_changed: "Your password was changed. Please sign in with the new one.",
  account_disabled: "Your account was disabled.",
};

export function Login() {
  const { user, ended, signIn } = useAuth();
  const wanted: string = useLocation().state?.wanted ?? "/";
  const [words, setWords] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  /** Does the server ask before it ends another session (`--takeover ask`)? */
  const [isTaken, setTaken] = useState(false);
  if (user) return <Navigate to={wanted} replace />;

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const { email, password } = Object.fromEntries(new FormData(event.currentTarget)) as Record<string, string>;
    setBusy(true);
    setWords("");
    try {
      await signIn(email, password, { takeover: isTaken });
    } catch (error) {
      setTaken(error instanceof Problem && error.code === "seat_taken");
      // A later call overtook this one and shows its own result.
      if (!(error instanceof SessionEnded)) setWords(error instanceof Problem ? error.message : "The server cannot be reached.");
    } finally {
      setBusy(false);
    }
  }

  return (
    <form id="login" onSubmit={submit}>
      <h1>Sign in</h1>
      <p role="status">{words ?? (ended && (ENDINGS[ended.reason ?? "unknown"] ?? "Your session has ended."))}</p>
      <label>Email <input name="email" type="email" autoComplete="username" required autoFocus /></label>
      <label>Password <input name="password" type="password" autoComplete="current-password" required /></label>
      <button disabled={isBusy}>{isTaken ? "Sign in here instead" : "Take the seat"}</button>
    </form>
  );
}
