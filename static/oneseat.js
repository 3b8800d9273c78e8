// The token lives in this module's scope and nowhere else: not on `window`, not in storage, not in a cookie, not in a URL.
// A reload starts a new module without it; `pagehide` tells the server, so that the session is gone on both sides.
//
// Every page is first loaded without a token, and without one every address leads to the login page. That first content is
// kept, so that signing out works offline.

import { WORDS as COMMON, busy, enter, parse, post, wordsFor } from "./form.js";

/** @type {string | null} */
let token = null;

const main = document.getElementById("main");
const nav = document.getElementById("nav");
const notice = document.getElementById("notice");
const login = { main: clones(main), nav: clones(nav), title: document.title };

/** Ends what the page on show started: timers and listeners. */
let leave = new AbortController();
/** Ends what the session on show started: its event stream. */
let signedOut = new AbortController();

const WORDS = {
  ...COMMON,
  signedOut: "You are signed out.",
  left: "You left the page, so you were signed out. Please sign in again.",
  passwordChanged: "Your password is changed. Sign in with the new one.",
};

/** What happened, and what to make of it. */
const ENDINGS = {
  replaced: [
    (at) => `You were signed in on another device at ${at}, so this one was signed out.`,
    "One seat at a time: if that was you, all is well. If it was not, choose a new password.",
  ],
  expired: [(at) => `Your session came to its end at ${at}.`, "Sessions end after a while without activity. Nothing is wrong."],
  revoked: [(at) => `An administrator ended your session at ${at}.`, "You can sign in again. If you wonder why, ask them."],
  password_changed: [
    (at) => `Your password was changed at ${at}, which ends every session.`,
    "Sign in with the new one. If it was not you, choose another at once.",
  ],
  account_disabled: [(at) => `Your account was disabled at ${at}.`, "An administrator can tell you more."],
  signed_out: [(at) => `This session was signed out at ${at}.`, ""],
  page_closed: [(at) => `This session ended at ${at}, when its page was closed.`, ""],
  unknown: [() => "Your session has ended.", "Please sign in again."],
};

function clones(element) {
  return copies([...element.childNodes]);
}

function copies(nodes) {
  return nodes.map((node) => node.cloneNode(true));
}

// Asking the server -----------------------------------------------------------------------------------------------------

/** The session is over: the server answered 401 to our token, and may have said why. */
class Ended extends Error {
  constructor(problem) {
    super("ended");
    this.problem = problem;
  }
}
/** The answer belongs to a token that this page has given up in the meantime: nobody wants it. */
class Outdated extends Error {}

/** `fetch` with the token. `passive` marks what the page does by itself, which does not count as activity. */
function send(path, { passive = false, ...options } = {}) {
  const headers = new Headers(options.headers);
  headers.set("Authorization", `Bearer ${token}`);
  if (passive) headers.set("Oneseat-Passive", "true");
  return fetch(path, { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error" });
}

/** The whole answer, if it is still wanted when it is there. */
async function request(path, options) {
  const sent = token;
  let response, text, failure;
  try {
    response = await send(path, options);
    text = await response.text();
  } catch (error) {
    failure = error;
  }
  if (sent !== token) throw new Outdated();
  if (failure) throw failure;
  if (response.status === 401) throw new Ended(parse(text));
  return { ok: response.ok, status: response.status, text };
}

// Showing a page ----------------------------------------------------------------------------------------------------------

function show(content, title) {
  leave.abort();
  leave = new AbortController();
  main.replaceChildren(...content.main);
  // The same links in place of themselves would only take the focus away.
  const links = (nodes) => nodes.map((node) => node.textContent.trim() + (node.innerHTML ?? "")).join("");
  if (links([...nav.childNodes]) !== links(content.nav)) {
    nav.replaceChildren(...content.nav);
    document.getElementById("sign-out")?.addEventListener("click", signOut);
  }
  document.title = title;
  for (const time of main.querySelectorAll("time")) localise(time);
  if (document.getElementById("login")) enterLogin();
  if (document.getElementById("expiry")) enterDashboard();
  const invite = document.getElementById("invite");
  if (invite) enterInvite(invite);
}

/** Gives the token up: from here on this page can ask for nothing. */
function forget() {
  token = null;
  signedOut.abort();
  document.getElementById("confirm").close();
  history.replaceState(null, "", "/login");
}

function showLogin(words = "") {
  forget();
  show({ main: copies(login.main), nav: copies(login.nav) }, login.title);
  say(words);
  document.getElementById("email").focus();
}

/** Somebody is changing the password here. */
let changesPassword = false;

/** The whole page says that the session ended, and why. */
function showEnded({ reason, endedAt }) {
  if (changesPassword && reason === "password_changed") return showLogin(WORDS.passwordChanged);
  forget();
  const [words, advice] = ENDINGS[reason] ?? ENDINGS.unknown;
  const card = document.getElementById("ended").content.cloneNode(true);
  card.getElementById("ended-words").textContent = words(endedAt ? clock(new Date(endedAt)) : "");
  card.getElementById("ended-advice").textContent = advice;
  card.getElementById("ended-way-out").hidden = !["replaced", "password_changed"].includes(reason);
  card.getElementById("sign-in-again").addEventListener("click", () => showLogin());
  say("");
  show({ main: [...card.childNodes], nav: copies(login.nav) }, "Signed out · oneseat");
  arrive();
}

/** Counts pages asked for: an answer that another has overtaken is not shown. */
let asked = 0;

/** Fetches a page with the token and puts its content in place of ours, unless `may` says that it no longer should. */
async function visit(path, { may = () => true, ...options } = {}) {
  asked += 1;
  const mine = asked;
  const response = await request(path, options);
  if (mine !== asked || !may()) throw new Outdated();
  if (!response.ok) throw new Error(wordsFor(response));
  const page = new DOMParser().parseFromString(response.text, "text/html");
  show({ main: [...page.getElementById("main").childNodes], nav: [...page.getElementById("nav").childNodes] }, page.title);
}

/** The same because somebody asked for it: the address follows, and "back" leads back. */
async function go(path) {
  try {
    await visit(path);
    if (path !== location.pathname + location.search) history.pushState(null, "", path);
    say("");
    arrive();
  } catch (error) {
    fail(error);
  }
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

/** The time, and the day if it was not today. */
function clock(at) {
  const isToday = at.toDateString() === new Date().toDateString();
  const format = new Intl.DateTimeFormat(undefined, { timeStyle: "short", ...(isToday ? {} : { dateStyle: "medium" }) });
  return format.format(at);
}

// The login page ------------------------------------------------------------------------------------------------------------

function enterLogin() {
  enter(document.getElementById("login"), { send: ({ email, password }) => signIn(email, password) });
}

/** Takes the seat and shows the dashboard, unless the answer is another. */
async function signIn(email, password) {
  const answer = await post("/auth/login", { email, password });
  if (!answer.ok) return answer;
  token = JSON.parse(answer.text).token;
  signedOut = new AbortController();
  say("");
  listen(signedOut.signal);
  // Replaced, not pushed: "back" must not lead to a login page that is none.
  history.replaceState(null, "", "/dashboard");
  await visit("/dashboard").then(arrive, fail);
  return null;
}

// The dashboard ---------------------------------------------------------------------------------------------------------------

function enterDashboard() {
  const { signal } = leave;
  const expiry = document.getElementById("expiry");
  const countdown = document.getElementById("countdown");
  const warning = document.getElementById("warning");
  const endsAt = performance.now() + Number(expiry.dataset.expiresIn) * 1000;
  const warnBefore = Number(expiry.dataset.warnBefore);

  enter(document.getElementById("change-password"), { send: changePassword });
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

/** Ends this session with all that there are; whether the answer or the stream tells first is chance. */
async function changePassword({ currentPassword, newPassword }) {
  changesPassword = true;
  try {
    const answer = await request("/auth/password/change", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ currentPassword, newPassword }),
    });
    if (!answer.ok) return answer;
    showLogin(WORDS.passwordChanged);
  } catch (error) {
    if (error instanceof TypeError) throw error;
    fail(error);
  } finally {
    changesPassword = false;
  }
  return null;
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
  const told = send("/auth/logout", { method: "POST", keepalive: true });
  showLogin(WORDS.signedOut);
  const done = await told.then((response) => response.ok || response.status === 401, () => false);
  if (!done && token === null) {
    say("You are signed out here. The server could not be told; the session ends there by itself.");
  }
}

/** What becomes of an error that no form can show. */
function fail(error) {
  if (error instanceof Outdated) return;
  if (error instanceof Ended) showEnded(error.problem);
  else say(error instanceof TypeError ? WORDS.offline : error.message);
}

// Hearing that it ended -----------------------------------------------------------------------------------------------------------

/** The server sends something every 20 seconds; a stream that is silent for longer than this is dead. */
const SILENCE = 45_000;

/** Keeps an event stream open for as long as the session lives; the server ends it with the reason. */
async function listen(signal) {
  let pause = 1000;
  while (!signal.aborted) {
    const silent = new AbortController();
    try {
      await hear(signal, silent, () => { pause = 1000; });
    } catch (error) {
      if (error instanceof Ended && !signal.aborted) return showEnded(error.problem);
    }
    // Not all pages at once, and less and less often while it fails.
    await new Promise((again) => setTimeout(again, pause * (0.5 + Math.random())));
    pause = Math.min(2 * pause, 30_000);
  }
}

async function hear(signal, silent, opened) {
  let timer = setTimeout(() => silent.abort(), SILENCE);
  const both = AbortSignal.any([signal, silent.signal]);
  both.addEventListener("abort", () => clearTimeout(timer));
  const response = await send("/auth/session/events", { passive: true, signal: both });
  if (response.status === 401) throw new Ended(parse(await response.text()));
  if (!response.ok) return;
  opened();
  // Whatever changed while nobody listened.
  refresh();
  let waiting = "";
  for await (const chunk of chunks(response.body.pipeThrough(new TextDecoderStream()))) {
    clearTimeout(timer);
    timer = setTimeout(() => silent.abort(), SILENCE);
    const events = (waiting + chunk).split("\n\n");
    waiting = events.pop();
    for (const text of events) {
      if (signal.aborted) return;
      const field = (name) => text.match(new RegExp(`^${name}: ?(.*)$`, "m"))?.[1];
      if (field("event") === "changed") refresh();
      if (field("event") === "ended") {
        const { reason, at } = parse(field("data"));
        throw new Ended({ reason, endedAt: at });
      }
    }
  }
}

async function* chunks(stream) {
  const reader = stream.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
}

// Admin pages -----------------------------------------------------------------------------------------------------------------------

let refreshing = false;
let dirty = false;

/** Somebody came or went: shows the list as it is now, at most once a second, and never under somebody's hands. */
async function refresh() {
  dirty = true;
  if (refreshing) return;
  refreshing = true;
  while (dirty && token !== null && document.querySelector("[data-live]")) {
    await new Promise((later) => setTimeout(later, 1000));
    if (isInUse()) continue;
    dirty = false;
    const place = scrollY;
    const path = location.pathname + location.search;
    try {
      await visit(path, { passive: true, may: () => !isInUse() && path === location.pathname + location.search });
      scrollTo(0, place);
    } catch (error) {
      if (error instanceof Ended) fail(error);
      else dirty = true;
    }
  }
  dirty = false;
  refreshing = false;
}

/** Does somebody type, choose, or read with a finger on the page? */
function isInUse() {
  const focused = document.activeElement;
  return document.getElementById("confirm").open
    || (focused !== main && main.contains(focused))
    || !(getSelection()?.isCollapsed ?? true);
}

/** Asks "are you sure?" and resolves to the answer. */
function confirmed(words, yes = "End") {
  const dialog = document.getElementById("confirm");
  document.getElementById("confirm-words").textContent = words;
  document.getElementById("confirm-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"), { once: true });
  });
}

/** Does what a button names: `data-delete` or `data-post` with a path, `data-confirm`, `data-yes` and `data-done` with words. */
async function act(button) {
  const { delete: gone, post: path = gone, confirm: words, yes, done = "Done." } = button.dataset;
  if (words && !(await confirmed(words, yes))) return;
  busy(button, true);
  try {
    const response = await request(path, { method: gone ? "DELETE" : "POST" });
    // Gone already is what was wanted.
    if (!response.ok && !(gone && response.status === 404)) throw new Error(wordsFor(response));
    await visit(location.pathname + location.search);
    say(done);
    arrive();
  } catch (error) {
    fail(error);
  } finally {
    busy(button, false);
  }
}

function enterInvite(form) {
  enter(form, {
    send: (values) => request(form.getAttribute("action"), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(values),
    }),
    done: async () => {
      await visit(location.pathname + location.search).then(arrive, fail);
      say(form.dataset.done);
    },
  });
}

// Moving and leaving ------------------------------------------------------------------------------------------------------------------

// A link would load its page anew, and that ends the session.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-delete], [data-post]");
  if (button && token !== null) act(button);
  const link = event.target.closest("a[href]");
  if (token === null || link?.origin !== location.origin || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(link.pathname + link.search);
});

main.addEventListener("submit", (event) => {
  const form = event.target;
  if (token === null || form.method !== "get") return;
  event.preventDefault();
  const filled = [...new FormData(form)].filter(([, value]) => value !== "");
  const query = new URLSearchParams(filled).toString();
  go(new URL(form.action).pathname + (query && `?${query}`));
});

addEventListener("popstate", () => {
  if (token === null) return;
  if (location.pathname === "/login") history.replaceState(null, "", "/dashboard");
  visit(location.pathname + location.search).then(arrive, fail);
});

addEventListener("pagehide", () => {
  if (token === null) return;
  send("/auth/logout", {
    method: "POST",
    keepalive: true,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ reason: "page_closed" }),
  }).catch(() => {});
  // A page that the browser keeps for "back" must come back without what it showed.
  showLogin(WORDS.left);
});

show({ main: [...main.childNodes], nav: [...nav.childNodes] }, document.title);
