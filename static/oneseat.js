// The token lives in this module's scope and nowhere else: not on `window`, not in storage, not in a cookie, not in a URL.
// A reload starts a new module without it; `pagehide` tells the server, so that the session is gone on both sides.
//
// Every page is first loaded without a token, and without one every address leads to the login page. That first `main` is
// kept, so that signing out works offline.

/** @type {string | null} */
let token = null;

const main = document.getElementById("main");
const notice = document.getElementById("notice");
const loginContent = [...main.childNodes].map((node) => node.cloneNode(true));
const loginTitle = document.title;

/** Ends what the page on show started: timers and listeners. */
let leave = new AbortController();

const WORDS = {
  signedOut: "You are signed out.",
  ended: "Your session has ended. You may have signed in somewhere else, or nothing happened here for too long.",
  left: "You left the page, so you were signed out. Please sign in again.",
  offline: "oneseat cannot be reached. Check your connection and try again.",
  busy: "oneseat is busy for a moment. Please try again.",
};

// Asking the server -----------------------------------------------------------------------------------------------------

/** The session is over: the server answered 401 to our token. */
class Ended extends Error {}
/** The answer belongs to a token that this page has given up in the meantime: nobody wants it. */
class Outdated extends Error {}

/** `fetch` with the token. `passive` marks what the page does by itself, which does not count as activity. */
async function request(path, { passive = false, ...options } = {}) {
  const headers = new Headers(options.headers);
  headers.set("Authorization", `Bearer ${token}`);
  if (passive) headers.set("Oneseat-Passive", "true");
  const sent = token;
  const answer = fetch(path, { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error" });
  const response = await answer.catch((error) => error);
  const text = response instanceof Response ? await response.text().catch((error) => error) : response;
  if (sent !== token) throw new Outdated();
  if (text instanceof Error) throw text;
  if (response.status === 401) throw new Ended();
  return { ok: response.ok, status: response.status, text };
}

/** What to say of an answer that is not the one hoped for. */
function wordsFor({ status, text }) {
  if (status === 503 || status === 429) return WORDS.busy;
  try {
    const problem = JSON.parse(text);
    return problem.code === "invalid_credentials" ? "Email or password is wrong." : problem.detail ?? WORDS.busy;
  } catch {
    return WORDS.busy;
  }
}

// Showing a page ----------------------------------------------------------------------------------------------------------

function show(nodes, title, path) {
  leave.abort();
  leave = new AbortController();
  main.replaceChildren(...nodes);
  document.title = title;
  // Replaced, not pushed: going back must not lead to a page that this token can no longer open.
  if (location.pathname !== path) history.replaceState(null, "", path);
  for (const time of main.querySelectorAll("time")) localise(time);
  if (document.getElementById("login")) enterLogin();
  if (document.getElementById("expiry")) enterDashboard();
}

function showLogin(words = "") {
  token = null;
  show(loginContent.map((node) => node.cloneNode(true)), loginTitle, "/login");
  say(words);
  document.getElementById("email").focus();
}

/** Fetches a page with the token and puts its `main` in place of ours. */
async function visit(path, options) {
  const response = await request(path, options);
  if (!response.ok) throw new Error(wordsFor(response));
  const page = new DOMParser().parseFromString(response.text, "text/html");
  show([...page.getElementById("main").childNodes].map((node) => document.adoptNode(node)), page.title, path);
}

/** Tells a screen reader that the page is another, and shows it from its top. */
function arrive() {
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
}

function say(words) {
  notice.textContent = words;
}

/** The server renders UTC; people read their own clock. */
function localise(time) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  time.textContent = format.format(new Date(time.dateTime));
}

// The login page ------------------------------------------------------------------------------------------------------------

function enterLogin() {
  const form = document.getElementById("login");
  const error = document.getElementById("login-error");
  const password = document.getElementById("password");
  const reveal = document.getElementById("show-password");

  const mask = (hidden) => {
    password.type = hidden ? "password" : "text";
    reveal.textContent = hidden ? "Show" : "Hide";
    reveal.setAttribute("aria-label", hidden ? "Show password" : "Hide password");
    reveal.setAttribute("aria-pressed", String(!hidden));
  };
  reveal.addEventListener("click", () => mask(password.type === "text"));

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("[type=submit]");
    if (button.disabled) return;
    const refuse = (words, field) => {
      error.textContent = words;
      for (const input of form.querySelectorAll("input")) input.removeAttribute("aria-invalid");
      field?.setAttribute("aria-invalid", "true");
      field?.focus();
    };
    const empty = [...form.querySelectorAll("input")].find((input) => input.value.trim() === "");
    if (empty) return refuse(empty === password ? "Enter your password." : "Enter your email.", empty);

    // Hidden again before it is sent: browsers remember text fields, not password fields.
    mask(true);
    refuse("");
    busy(button, true);
    try {
      const wrong = await signIn(form.email.value, password.value);
      if (wrong) {
        password.value = "";
        refuse(wrong, password);
      }
    } catch {
      refuse(WORDS.offline);
    } finally {
      busy(button, false);
    }
  });
}

/** Takes the seat and shows the dashboard. Returns what is wrong, in words. */
async function signIn(email, password) {
  const response = await fetch("/auth/login", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ email, password }),
    credentials: "omit",
  });
  const text = await response.text();
  if (!response.ok) return wordsFor({ status: response.status, text });
  token = JSON.parse(text).token;
  say("");
  try {
    await visit("/dashboard");
    arrive();
  } catch (error) {
    fail(error);
  }
  return "";
}

function busy(button, on) {
  button.disabled = on;
  button.setAttribute("aria-busy", String(on));
}

// The dashboard ---------------------------------------------------------------------------------------------------------------

function enterDashboard() {
  const { signal } = leave;
  const expiry = document.getElementById("expiry");
  const countdown = document.getElementById("countdown");
  const warning = document.getElementById("warning");
  const endsAt = performance.now() + Number(expiry.dataset.expiresIn) * 1000;
  const warnBefore = Number(expiry.dataset.warnBefore);

  document.getElementById("sign-out").addEventListener("click", signOut);
  document.getElementById("stay")?.addEventListener("click", async (event) => {
    const stay = event.currentTarget;
    busy(stay, true);
    await visit("/dashboard").then(arrive, fail);
    busy(stay, false);
  });

  const draw = () => {
    const left = Math.max(0, Math.ceil((endsAt - performance.now()) / 1000));
    countdown.textContent = inWords(left);
    warning.hidden = left > warnBefore;
    return left;
  };
  let asking = false;
  const timer = setInterval(async () => {
    if (draw() > 0 || asking) return;
    // Our clock says it is over; the server decides. Asking does not extend it.
    asking = true;
    await visit("/dashboard", { passive: true }).catch(fail);
    asking = false;
  }, 1000);
  signal.addEventListener("abort", () => clearInterval(timer));
  // A tab in the background or a sleeping machine loses count: look again, without that being activity.
  const lookAgain = () => document.visibilityState === "visible" && visit("/dashboard", { passive: true }).catch(fail);
  document.addEventListener("visibilitychange", lookAgain, { signal });
  draw();
}

function inWords(seconds) {
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  return hours > 0
    ? `${hours} h ${two(minutes)} min ${two(seconds % 60)} s`
    : `${minutes} min ${two(seconds % 60)} s`;
}

/** Signs out here whatever happens, and on the server if it can be reached. */
async function signOut() {
  const headers = { Authorization: `Bearer ${token}` };
  showLogin(WORDS.signedOut);
  const told = await fetch("/auth/logout", { method: "POST", headers, keepalive: true, credentials: "omit" })
    .then((response) => response.ok || response.status === 401, () => false);
  if (!told && token === null) {
    say("You are signed out here. The server could not be told; the session ends there by itself.");
  }
}

/** What becomes of an error that no form can show. */
function fail(error) {
  if (error instanceof Outdated) return;
  if (error instanceof Ended) showLogin(WORDS.ended);
  else say(error instanceof TypeError ? WORDS.offline : error.message);
}

// Leaving ------------------------------------------------------------------------------------------------------------------------

addEventListener("pagehide", () => {
  if (token === null) return;
  fetch("/auth/logout", {
    method: "POST",
    keepalive: true,
    credentials: "omit",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ reason: "page_closed" }),
  }).catch(() => {});
  // A page that the browser keeps for "back" must come back without what it showed.
  showLogin(WORDS.left);
});

// A link would load its page anew, and that ends the session.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (token === null || link?.origin !== location.origin || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  visit("/dashboard").catch(fail);
});

show([...main.childNodes], document.title, location.pathname);
