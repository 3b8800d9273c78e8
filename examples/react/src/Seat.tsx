import { useEffect, useState } from "react";
import { Problem, SessionEnded } from "oneseat";
import { useAuth } from "./auth";

/** What `GET /auth/session` answers, as far as this page shows it. */
interface Session {
  session: { createdAt: string; ipAddress: string };
}

export function Seat() {
  const { user, fetch, signOut } = useAuth();
  const [words, setWords] = useState("");
  useEffect(() => {
    let isShown = true;
    about(fetch)
      .catch((error) => (error instanceof SessionEnded ? "" : String(error.message)))
      .then((words) => isShown && setWords(words));
    return () => {
      isShown = false;
    };
  }, [fetch]);
  return (
    <section>
      <h1>Your seat</h1>
      <p>This is the seat of <bdi>{user?.name}</bdi>.</p>
      <p role="status">{words}</p>
      <button onClick={signOut}>Leave the seat</button>
    </section>
  );
}

/** When and where the session began, in words. */
async function about(fetch: (path: string) => Promise<Response>): Promise<string> {
  const response = await fetch("/auth/session");
  if (!response.ok) throw await Problem.from(response);
  const { session } = (await response.json()) as Session;
  return `Taken at ${new Date(session.createdAt).toLocaleTimeString()} from ${session.ipAddress}.`;
}
