// Signs in at a oneseat server of another origin. The page uses only the module that this server serves.

const server = document.querySelector("meta[name=oneseat]").content;
const { Oneseat, Problem, SessionEnded } = await import(`${server}/static/oneseat.js`);

const seat = new Oneseat();
const at = (id) => document.getElementById(id);
const say = (words) => { at("notice").textContent = words; };

/** Shows the form or the session, never both. */
function show() {
  at("login").hidden = seat.user !== null;
  at("seat").hidden = seat.user === null;
  at("name").textContent = seat.user?.name ?? "";
  at("past").replaceChildren();
}

seat.onEnded(({ reason }) => {
  show();
  say(`The seat is gone: ${reason ?? "unknown"}.`);
});

at("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { email, password } = Object.fromEntries(new FormData(event.target));
  event.target.reset();
  try {
    await seat.signIn(email, password);
    show();
    say("");
  } catch (error) {
    // A later call overtook this one and shows its own result.
    if (error instanceof SessionEnded) return;
    say(error instanceof Problem ? error.message : "oneseat cannot be reached.");
  }
});

at("ask").addEventListener("click", async () => {
  try {
    const response = await seat.fetch(`${seat.server}/auth/history`);
    if (!response.ok) throw await Problem.from(response);
    const { sessions } = await response.json();
    const lines = sessions.map(({ ipAddress, endedAt, reason }) => {
      const line = document.createElement("li");
      line.textContent = `${ipAddress}, until ${new Date(endedAt).toLocaleString()}: ${reason}`;
      return line;
    });
    at("past").replaceChildren(...lines);
    if (lines.length === 0) say("Nowhere: this is the first time.");
  } catch (error) {
    // The listener of `onEnded` has shown it.
    if (!(error instanceof SessionEnded)) say(error.message);
  }
});

at("leave").addEventListener("click", async () => {
  const isTold = await seat.signOut();
  if (!isTold && !seat.user) say("You are signed out here. The server could not be told; the session ends there by itself.");
});

show();
say("");
