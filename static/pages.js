// The pages. Every page is first loaded without a token, and without a token every address shows the login page. That first content
// is kept, so that signing out works offline. Other pages are fetched with the token, and their content replaces it.

import { Oneseat, Problem, SessionEnded } from "./oneseat.js";
import { WORDS as COMMON, busy, enter, post, wordsFor } from "./form.js";

const seat = new Oneseat();

const main = document.getElementById("main");
const nav = document.getElementById("nav");
const notice = document.getElementById("notice");
const login = { main: clones(main), nav: clones(nav), title: document.title };

/** Stops the timers and listeners of the current page. */
let leave = new AbortController();

const WORDS = {
  ...COMMON,
  signedOut: "You are signed out.",
  left: "You left the page, so you were signed out. Please sign in again.",
  passwordChanged: "Your password is changed. Sign in with the new one.",
};

/** Messages for sessions that this page ended itself. */
const ENDED_HERE = {
  signed_out: WORDS.signedOut,
  page_closed: WORDS.left,
  password_changed: WORDS.passwordChanged,
  // The user signed in again from a form that was still there.
  replaced: "",
};

/** What happened, and what the user can do. */
const ENDINGS = {
  replaced: [
    (at) => `You were signed in on another device at ${at}, so this one was signed out.`,
    "You can be signed in on one device at a time. If it was not you, choose a new password.",
  ],
  expired: [(at) => `Your session came to its end at ${at}.`, "Sessions end after a while without activity. Nothing is wrong."],
  revoked: [(at) => `An administrator ended your session at ${at}.`, "You can sign in again. An administrator can tell you why."],
  password_changed: [
    (at) => `Your password was changed at ${at}, which ends every session.`,
    "Sign in with the new one. If it was not you, choose another at once.",
  ],
  account_disabled: [(at) => `Your account was disabled at ${at}.`, "An administrator can tell you more."],
  restored: [
    (at) => `Your session ended at ${at}: the server's data was restored from a backup.`,
    "Please sign in again. Nothing is wrong with your account.",
  ],
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

/** An answer that a later one has overtaken. */
class Outdated extends Error {}

// Showing a page ----------------------------------------------------------------------------------------------------------

function show(content, title) {
  leave.abort();
  leave = new AbortController();
  main.replaceChildren(...content.main);
  // Replacing equal links would only lose the focus.
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

function showLogin(words = "") {
  document.getElementById("confirm").close();
  history.replaceState(null, "", "/login");
  show({ main: copies(login.main), nav: copies(login.nav) }, login.title);
  say(words);
  document.getElementById("email").focus();
}

/** Is the password being changed in this page? */
let changesPassword = false;

/** The whole page shows that the session ended, and why. */
seat.onEnded(({ reason, endedAt }) => {
  const isOurs = endedAt === null || (changesPassword && reason === "password_changed");
  showLogin(isOurs ? ENDED_HERE[reason] : "");
  if (isOurs && reason in ENDED_HERE) return;
  const [words, advice] = ENDINGS[reason] ?? ENDINGS.unknown;
  const card = document.getElementById("ended").content.cloneNode(true);
  card.getElementById("ended-words").textContent = words(endedAt ? clock(new Date(endedAt)) : "");
  card.getElementById("ended-advice").textContent = advice;
  card.getElementById("ended-way-out").hidden = !["replaced", "password_changed"].includes(reason);
  card.getElementById("sign-in-again").addEventListener("click", () => showLogin());
  show({ main: [...card.childNodes], nav: copies(login.nav) }, "Signed out · oneseat");
  arrive();
});

/** The number of pages requested. */
let asked = 0;

/** Of the page that the user chose and waits for; 0: none. */
let chosen = 0;

/** Fetches a page with the token and shows its content, unless `may` then returns false. A later page overtakes an earlier one, but
 * only the user takes back what the user chose. */
async function visit(path, { isChosen = false, may = () => true, ...options } = {}) {
  if (chosen && !isChosen) throw new Outdated();
  asked += 1;
  const mine = asked;
  if (isChosen) chosen = mine;
  let text;
  try {
    const response = await seat.fetch(path, options);
    if (!response.ok) throw await Problem.from(response);
    text = await response.text();
  } finally {
    if (chosen === mine) chosen = 0;
  }
  if (mine !== asked || !may()) throw new Outdated();
  const page = new DOMParser().parseFromString(text, "text/html");
  show({ main: [...page.getElementById("main").childNodes], nav: [...page.getElementById("nav").childNodes] }, page.title);
}

/** Visits a page that the user chose: changes the address, so that "back" works. */
async function go(path) {
  try {
    await visit(path, { isChosen: true });
    if (path !== location.pathname + location.search) history.pushState(null, "", path);
    say("");
    arrive();
  } catch (error) {
    fail(error);
  }
}

/** Tells a screen reader that the page has changed, and scrolls to its top. */
function arrive() {
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
}

function say(words) {
  notice.textContent = words;
}

/** Shows a time, which the server renders in UTC, in the user's time zone. */
function localise(time) {
  time.textContent = `${DAY.format(new Date(time.dateTime))}, ${timeOfDay(new Date(time.dateTime))}`;
}

/** The time, with the day if it is not today. */
function clock(at) {
  const isToday = at.toDateString() === new Date().toDateString();
  return isToday ? timeOfDay(at) : `${DAY.format(at)}, ${timeOfDay(at)}`;
}

const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

/** With no-break spaces: "9:53 PM" stays on one line. */
function timeOfDay(at) {
  return TIME.format(at).replaceAll(" ", "\u00a0");
}

/** Shows an error that belongs to no form. */
function fail(error) {
  const isNews = !(error instanceof Outdated || error instanceof SessionEnded) && seat.user;
  if (isNews) say(error instanceof Problem ? wordsFor(error) : WORDS.offline);
}

// The login page ------------------------------------------------------------------------------------------------------------

function enterLogin() {
  enter(document.getElementById("login"), { send: signIn });
}

/** Takes the seat and shows the dashboard. */
async function signIn({ email, password }) {
  await seat.signIn(email, password);
  say("");
  // Replaced, not pushed: "back" must not lead to a login page without a form.
  history.replaceState(null, "", "/dashboard");
  await visit("/dashboard", { isChosen: true }).then(arrive, fail);
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
    // The page's clock says that the session is over, but the server decides. Asking does not extend the session.
    asking = true;
    await visit("/dashboard", { passive: true }).catch(fail);
    asking = false;
  }, 1000);
  signal.addEventListener("abort", () => clearInterval(timer));
  // A background tab or a sleeping machine loses count, so ask again, passively.
  const lookAgain = () => {
    if (document.visibilityState === "visible") visit("/dashboard", { passive: true, may: isIdle }).catch(fail);
  };
  document.addEventListener("visibilitychange", lookAgain, { signal });
  draw();
}

async function changePassword({ currentPassword, newPassword }) {
  changesPassword = true;
  try {
    await seat.changePassword(currentPassword, newPassword);
  } finally {
    changesPassword = false;
  }
}

function inWords(seconds) {
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  return hours > 0
    ? `${hours} h ${two(minutes)} min ${two(seconds % 60)} s`
    : `${minutes} min ${two(seconds % 60)} s`;
}

async function signOut() {
  const isTold = await seat.signOut();
  if (!isTold && !seat.user) {
    say("You are signed out here. The server could not be told; the session ends there by itself.");
  }
}

// Admin pages -----------------------------------------------------------------------------------------------------------------------

let refreshing = false;
let dirty = false;

/** A session began or ended: refreshes the list, at most once a second, and never while the user works in it. */
async function refresh() {
  dirty = true;
  if (refreshing) return;
  refreshing = true;
  while (dirty && seat.user && document.querySelector("[data-live]")) {
    await new Promise((later) => setTimeout(later, 1000));
    if (!isIdle()) continue;
    dirty = false;
    const place = scrollY;
    const path = location.pathname + location.search;
    try {
      await visit(path, { passive: true, may: () => isIdle() && path === location.pathname + location.search });
      scrollTo(0, place);
    } catch {
      dirty = true;
    }
  }
  dirty = false;
  refreshing = false;
}

seat.onChanged(refresh);

/** Is nothing focused, selected, or typed and not sent, and no dialog open? */
function isIdle() {
  const focused = document.activeElement;
  const isTyped = [...main.querySelectorAll("input")].some((input) => input.value !== input.defaultValue);
  return !document.getElementById("confirm").open
    && !(focused !== main && main.contains(focused))
    && (getSelection()?.isCollapsed ?? true)
    && !isTyped;
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

/** Performs a button's action: `data-delete` or `data-post` with a path; `data-confirm`, `data-yes` and `data-done` with texts. */
async function act(button) {
  const { delete: gone, post: path = gone, confirm: words, yes, done = "Done." } = button.dataset;
  if (words && !(await confirmed(words, yes))) return;
  busy(button, true);
  try {
    const response = await seat.fetch(path, { method: gone ? "DELETE" : "POST" });
    // 404: it is gone already, as wanted.
    if (!response.ok && !(gone && response.status === 404)) throw await Problem.from(response);
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
    send: (values) => post(form.getAttribute("action"), values, (...asked) => seat.fetch(...asked)),
    done: async () => {
      await visit(location.pathname + location.search).then(arrive, fail);
      say(form.dataset.done);
    },
  });
}

// Moving and leaving ------------------------------------------------------------------------------------------------------------------

// A link would load a new page, and that would end the session.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-delete], [data-post]");
  if (button && seat.user) act(button);
  const link = event.target.closest("a[href]");
  if (!seat.user || link?.origin !== location.origin || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(link.pathname + link.search);
});

main.addEventListener("submit", (event) => {
  const form = event.target;
  if (!seat.user || form.method !== "get") return;
  event.preventDefault();
  const filled = [...new FormData(form)].filter(([, value]) => value !== "");
  const query = new URLSearchParams(filled).toString();
  go(new URL(form.action).pathname + (query && `?${query}`));
});

addEventListener("popstate", () => {
  if (!seat.user) return;
  if (location.pathname === "/login") history.replaceState(null, "", "/dashboard");
  visit(location.pathname + location.search, { isChosen: true }).then(arrive, fail);
});

show({ main: [...main.childNodes], nav: [...nav.childNodes] }, document.title);
