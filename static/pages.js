// The pages. Every page is first loaded without a token, and without a token every address shows the login page. That first content
// is kept, so that signing out works offline. Other pages are fetched with the token, and their content replaces it.

import { Oneseat, Problem, SessionEnded } from "./oneseat.js";
import { Cancelled, SENDS_MAIL, SITE, WORDS as COMMON, carried, carry, enter, recall, remember, wordsFor, wordsForLoss } from "./form.js";

const seat = new Oneseat();

const main = document.getElementById("main");
const nav = document.getElementById("nav");
const notice = document.getElementById("notice");
const login = { main: clones(main), nav: clones(nav), title: document.title };

/** The modules that only pages behind the sign-in need. They are loaded with the first of these pages. */
let [lists, actions, countdown, outage, live] = [null, null, null, null, null];
const rest = async () => {
  const modules = [import("./lists.js"), import("./actions.js"), import("./countdown.js"), import("./outage.js"), import("./live.js")];
  [lists, actions, countdown, outage, live] = await Promise.all(modules);
};

/** Stops the timers and listeners of the current page. */
let leave = new AbortController();

const WORDS = {
  ...COMMON,
  signedOut: "You are signed out.",
  notTold: "You are signed out here. The server does not know yet: this page tells it as soon as it can. Please leave it open.",
  told: "You are signed out, and the server knows now.",
  gaveUp: "You are signed out here. The server could not be told; the session ends there by itself.",
  reconnecting: "Reconnecting …",
  connected: "Connected again.",
  left: "You left or reloaded the page, so you were signed out. Please sign in again.",
  passwordChanged: "Your password is changed. Sign in with the new one.",
  noAdmin: "You are no longer an administrator.",
  passwordIsOld: ["Today's rules for passwords are stricter than your password. Please ", "choose a new one", " under “Change your password”."],
};

/** Messages for sessions that this page ended itself. */
const ENDED_HERE = {
  signed_out: WORDS.signedOut,
  page_closed: WORDS.left,
  password_changed: WORDS.passwordChanged,
  // The user signed in again from a form that was still there.
  replaced: "",
};

/** For each reason: what happened, and what the user can do. */
const ENDINGS = {
  replaced: [
    (at, by) => {
      if (!by) return `You were signed in on another device at ${at}, so this page was signed out.`;
      if (by.isSameBrowser) return `You were signed in again at ${at}, from your own address with a browser like this one (perhaps in another window), so this page was signed out.`;
      return `You were signed in with ${named(by.device)} from ${by.address} at ${at}, so this page was signed out.`;
    },
    `You can be signed in at one place at a time. If it was not you, ${SENDS_MAIL ? "choose a new password" : "sign in again and change your password, or ask an administrator"}.`,
  ],
  expired: [(at) => `Your session came to its end at ${at}.`, "Sessions end after a while without activity. Nothing is wrong."],
  revoked: [(at) => `An administrator ended your session at ${at}.`, "You can sign in again. An administrator can tell you why."],
  password_changed: [
    (at) => `Your password was changed at ${at}, which ends every session.`,
    `Sign in with the new one. If it was not you, ${SENDS_MAIL ? "choose another" : "ask an administrator"} at once.`,
  ],
  account_disabled: [(at) => `Your account was disabled or removed at ${at}.`, "An administrator can tell you more."],
  restored: [
    (at) => `Your session ended at ${at}: the server's data was restored from a backup.`,
    "Please sign in again. Nothing is wrong with your account.",
  ],
  signed_out: [(at) => `This session was signed out at ${at}.`, ""],
  page_closed: [(at) => `This session ended at ${at}, when its page was closed.`, ""],
  unknown: [() => "Your session has ended.", "Please sign in again."],
};

/** A device in the middle of a sentence. */
function named(device) {
  return device.replace(/^A(?=n? )/, "a");
}

function clones(element) {
  return copies([...element.childNodes]);
}

function copies(nodes) {
  return nodes.map((node) => node.cloneNode(true));
}

/** Thrown for an answer that a later one has overtaken. */
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
  live?.remember(main);
  dress(main);
  lists?.keepTimes(main, whole, leave.signal);
  lists?.showCutOff(main, leave.signal);
  lists?.enterMenus(main, leave.signal);
  actions?.enterForms(leave.signal, page());
  if (document.getElementById("login")) enterLogin();
  if (document.getElementById("warning")) enterSeat(leave.signal);
  const change = document.getElementById("change-password");
  if (change) enterChange(change);
}

/** Writes the times below `root` as people here do. */
function dress(root) {
  for (const time of root.querySelectorAll("time")) time.textContent = whole(new Date(time.dateTime));
}

/** The name under which a page that is left leaves a note for the next page of its tab. */
const LEFT = "oneseat-left";

/** Shows the login page, which then leads to a `next` page. */
function showLogin(words = "", email = "", next = "") {
  document.getElementById("confirm").close();
  document.getElementById("confirm-words").textContent = "";
  lists?.untell();
  outage?.answered();
  const query = new URLSearchParams(isWanted(next) ? { next } : {});
  history.replaceState(null, "", `/login?${query}`.replace(/\?$/, ""));
  show({ main: copies(login.main), nav: copies(login.nav) }, login.title);
  say(words);
  document.getElementById("email").value = email;
  document.getElementById(email ? "password" : "email").focus();
}

/** Is the password being changed in this page? */
let changesPassword = false;

/** The whole page shows that the session ended, and why. */
seat.onEnded(({ reason, endedAt, by }) => {
  const path = here();
  const isOurs = endedAt === null || (changesPassword && reason === "password_changed");
  showLogin(isOurs ? ENDED_HERE[reason] : "");
  if (reason === "page_closed") {
    remember(LEFT, reason);
    carry(address);
  }
  if (isOurs && reason in ENDED_HERE) return;
  const [words, advice] = ENDINGS[reason] ?? ENDINGS.unknown;
  const card = document.getElementById("ended").content.cloneNode(true);
  card.getElementById("ended-words").textContent = words(endedAt ? clock(new Date(endedAt)) : "", by);
  card.getElementById("ended-advice").textContent = advice;
  const wayOut = card.getElementById("ended-way-out");
  if (wayOut) wayOut.hidden = !["replaced", "password_changed"].includes(reason);
  card.getElementById("sign-in-again").addEventListener("click", () => showLogin("", address, path));
  show({ main: [...card.childNodes], nav: copies(login.nav) }, `Signed out · ${SITE}`);
  // The words describe the button, so that they are read out with it.
  document.getElementById("sign-in-again").focus();
  scrollTo(0, 0);
});

/** The number of pages requested. */
let asked = 0;

/** The number of the page that the user chose and waits for. 0: none. */
let chosen = 0;

/** Fetches a page with the token. */
async function load(path, options) {
  const loaded = rest();
  // The modules are needed even if there is no answer.
  const [response] = await Promise.all([seat.fetch(path, options).finally(() => loaded), loaded]);
  if (!response.ok) throw await Problem.from(response);
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

/** Fetches a page with the token and shows its content, unless `may` then returns false. A later page overtakes an earlier one, but a page
 * that the user chose is overtaken only by another choice. Resolves to the search that was being typed when the page came. */
async function visit(path, { isChosen = false, may = () => true, ...options } = {}) {
  if (chosen && !isChosen) throw new Outdated();
  asked += 1;
  const mine = asked;
  if (isChosen) {
    chosen = mine;
    main.setAttribute("aria-busy", "true");
  }
  let page;
  try {
    page = await load(path, options);
  } finally {
    if (chosen === mine) {
      chosen = 0;
      main.removeAttribute("aria-busy");
    }
  }
  if (mine !== asked || !may()) throw new Outdated();
  // A page for visitors needs its own script. To load it ends the session, as leaving any page does.
  if (!page.querySelector("script[src$='/pages.js']")) return location.assign(path);
  const typed = outage.typing();
  show({ main: [...page.getElementById("main").childNodes], nav: [...page.getElementById("nav").childNodes] }, page.title);
  return typed;
}

/** Visits a page that the user chose, and changes the address, so that "back" works. `link`: the address of the link, if it was one. */
async function go(path, link = "") {
  try {
    const place = scrollY;
    const from = location.pathname;
    const typed = await visit(path, { isChosen: true });
    if (path !== here()) {
      keepPlace(place, link);
      history.pushState(null, "", path);
    }
    outage.answered();
    say("");
    const box = typed && document.getElementById(typed.id);
    if (box && box.value !== typed.value.trim()) return outage.goOnTyping(typed);
    arrive();
    if (from === location.pathname) lists.enterList();
  } catch (error) {
    fail(error, path);
  }
}

/** Tells a screen reader that the page has changed, and scrolls to its top, or to the place where it was left. `link`: the link by which it
 * was left, if any. */
function arrive({ place = 0, link = "" } = {}) {
  lists?.untellElsewhere();
  const wanted = document.getElementById(location.hash.slice(1))?.querySelector("input:not([tabindex])");
  if (wanted) {
    wanted.closest("details").open = true;
    return wanted.focus();
  }
  const left = link && main.querySelector(`a[href="${CSS.escape(link)}"]`);
  (left || main).focus({ preventScroll: true });
  scrollTo(0, place);
}

/** The timer that waits until the scrolling has come to rest. */
let resting;

/** Notes how far this page of the history is scrolled, and the link by which it is left, for "back". */
function keepPlace(place, link) {
  clearTimeout(resting);
  history.replaceState({ place, link }, "");
}

history.scrollRestoration = "manual";
addEventListener("scroll", () => {
  clearTimeout(resting);
  resting = setTimeout(() => { if (seat.user) keepPlace(scrollY, history.state?.link); }, 200);
});

/** Shows this message in place of the one before. */
function say(...words) {
  notice.replaceChildren(...words);
}

/** The day and the time, in the user's time zone. The server renders times in UTC. */
function whole(at) {
  return `${DAY.format(at)}, ${timeOfDay(at)}`;
}

/** The time, with the day if it is not today. */
function clock(at) {
  const isToday = at.toDateString() === new Date().toDateString();
  return isToday ? timeOfDay(at) : whole(at);
}

const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

/** The time with no-break spaces: "9:53 PM" stays on one line. */
function timeOfDay(at) {
  return TIME.format(at).replaceAll(" ", "\u00a0");
}

/** Shows an error that belongs to no form. `path`: the path of the page that was wanted; `tell` shows the message. */
function fail(error, path = "", tell = say) {
  if (error instanceof Outdated || error instanceof SessionEnded || !seat.user) return;
  if (isDemoted(error)) return leaveAdminPages();
  const words = error instanceof Problem ? wordsFor(error) : wordsForLoss(error);
  tell(words);
  if (error instanceof Problem && error.status < 500) return;
  outage?.lose(words, path, { retryAfter: error.retryAfter, visit: showAgain, isBusy: () => chosen !== 0 });
}

/** Shows why an action of the user failed, in the place of the messages about actions. */
function failAction(error) {
  fail(error, "", lists.tellFailure);
}

/** Shows a page that the user did not ask for in place of this one. The focus stays with the search or the row that had it, or goes to the
 * page. */
async function showAgain(path, options) {
  const focused = document.activeElement;
  const place = focused.closest("[data-row]") && new lists.Place(focused, false);
  const typed = await visit(path, options);
  if (path !== here()) history.pushState(null, "", path);
  lists.untellElsewhere();
  if (place) place.restore();
  else if (typed) outage.goOnTyping(typed);
  if (document.activeElement === document.body) main.focus({ preventScroll: true });
}

/** Has the user lost the role that the page needs? */
function isDemoted(error) {
  return error instanceof Problem && error.code === "forbidden";
}

async function leaveAdminPages() {
  say(WORDS.noAdmin);
  await enterAt(HOME).then(arrive, fail);
}

// The login page ------------------------------------------------------------------------------------------------------------

function enterLogin() {
  enter(document.getElementById("login"), { send: signIn });
}

/** The address of the user who was signed in here last. */
let address = "";

/** Takes the seat and shows the page that was wanted. */
async function signIn({ email, password }) {
  const path = wanted();
  await takeSeat(email, password);
  address = email;
  say(...(seat.passwordChangeRecommended ? passwordIsOld() : []));
  // Replaced, not pushed: "back" must not lead to a login page without a form.
  await enterAt(path)
    .catch((error) => (error instanceof Problem && path !== HOME ? enterAt(HOME) : Promise.reject(error)))
    .then(() => arrive(), (error) => fail(error, path));
}

/** The message that the password is below today's rules, with a link to change it. */
function passwordIsOld() {
  const [before, words, after] = WORDS.passwordIsOld;
  return [before, Object.assign(document.createElement("a"), { href: `${HOME}#change-password`, textContent: words }), after];
}

/** Signs in, and asks first where the server wants that. */
async function takeSeat(email, password) {
  try {
    await seat.signIn(email, password);
  } catch (error) {
    if (error.code !== "seat_taken") throw error;
    const words = `You have been signed in with ${named(error.device)} since ${clock(new Date(error.since))}. Sign in here instead?`;
    if (!(await confirmed(words, { yes: "Sign in here" }))) throw new Cancelled();
    await seat.signIn(email, password, { takeover: true });
  }
}

function enterAt(path) {
  history.replaceState(null, "", path);
  return visit(path, { isChosen: true });
}

const HOME = "/dashboard";

/** The page that led to the login, if it is one of ours. */
function wanted() {
  const next = new URLSearchParams(location.search).get("next") ?? "";
  return isWanted(next) ? next : HOME;
}

/** Is it a page of ours that a sign-in does not lead to anyway? */
function isWanted(path) {
  return /^\/admin\/[a-z]+(\?|$)/.test(path) || path === `${HOME}#change-password`;
}

function enterSeat(signal) {
  countdown.enterSeat({
    signal,
    load: (options) => load(here(), options),
    isFilled: outage.isFilled,
    show: () => visit(here()).then(() => arrive()),
    lookAgain: () => visit(here(), { passive: true, may: outage.isIdle }).catch(fail),
    fail,
    failAction,
  });
}

function here() {
  return location.pathname + location.search;
}

/** Prepares the form for another password, and opens it if the address says so: a password manager may have led here. */
function enterChange(form) {
  // The address of the account may be another one than was typed at the sign-in.
  address = form.elements.username.value;
  enter(form, { send: changePassword });
  form.closest("details").open = location.hash === "#change-password";
}

async function changePassword({ currentPassword, newPassword }) {
  changesPassword = true;
  try {
    await seat.changePassword(currentPassword, newPassword);
  } finally {
    changesPassword = false;
  }
}

async function signOut() {
  if ((await seat.signOut()) || seat.user) return;
  say(WORDS.notTold);
  const isTold = await seat.told();
  if (notice.textContent === WORDS.notTold) say(isTold ? WORDS.told : WORDS.gaveUp);
}

// The connection --------------------------------------------------------------------------------------------------------------

/** A break that is over before this time is not mentioned. In milliseconds. */
const UNTOLD_BREAK = 2_000;
/** How long the page says that the connection is back. In milliseconds. */
const MOMENT = 4_000;

const connection = document.getElementById("connection");
let nextWords = 0;

/** Shows this message about the connection after `after` milliseconds. It replaces one that still waits to be shown. */
function sayOfConnection(words, after) {
  clearTimeout(nextWords);
  nextWords = setTimeout(() => { connection.textContent = words; }, after);
}

seat.onConnection((isConnected) => {
  if (!isConnected) return sayOfConnection(WORDS.reconnecting, UNTOLD_BREAK);
  outage?.wake();
  if (connection.textContent) connection.textContent = WORDS.connected;
  sayOfConnection("", MOMENT);
});

seat.onEnded(() => sayOfConnection("", 0));

// The server closes the stream of somebody who has become an admin, or is one no more.
seat.onConnection((isConnected) => { if (isConnected) lookAtRole().catch(fail); });

/** Shows the page again, without a message, if its links are not those of the user's role. */
async function lookAtRole() {
  const response = await seat.fetch("/auth/session", { passive: true });
  if (!response.ok) return;
  const { user } = await response.json();
  const isShown = nav.querySelector("a[href^='/admin/']") !== null;
  if ((user.role === "admin") !== isShown) await visit(here(), { passive: true, may: () => outage.isIdle() });
}

// Admin pages -----------------------------------------------------------------------------------------------------------------------

seat.onChanged(() => live?.refresh({
  isThere: () => seat.user !== null,
  here,
  load: (path) => load(path, { passive: true }),
  visit: (path, may) => visit(path, { passive: true, may }),
  isIdle: () => outage.isIdle(),
  isOver: isDemoted,
  dress,
  fail,
}));

/** Loads a list again after something was done by a button. If that is in a row, no row moves under the pointer. */
async function renew(button) {
  if (!button.closest("[data-row]") || !live.isPointedAt()) return visit(here());
  const path = here();
  const page = await load(path);
  if (path === here()) live.merge(page, { dress, isOurs: true });
}

/** To end more sessions than this, the user has to type their number. */
const MANY = 20;

/** Asks "are you sure?" and resolves to the answer. For many at once, `count` has to be typed. */
function confirmed(words, { yes = "End", count = "1" }) {
  const dialog = document.getElementById("confirm");
  const [no, button, typed] = ["no", "yes", "typed"].map((name) => document.getElementById(`confirm-${name}`));
  document.getElementById("confirm-words").textContent = words;
  document.getElementById("confirm-count").textContent = count;
  document.getElementById("confirm-number").hidden = Number(count) <= MANY;
  button.textContent = yes;
  button.disabled = Number(count) > MANY;
  typed.value = "";
  typed.oninput = () => { button.disabled = typed.value.trim() !== count; };
  no.onclick = () => dialog.close(no.value);
  dialog.returnValue = no.value;
  dialog.showModal();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"), { once: true });
  });
}

/** What the actions of a page need of it. */
function page() {
  return { main, lists, fetch: (...asked) => seat.fetch(...asked), confirmed, renew, show: reshow, say, fail, failAction };
}

/** Shows the page anew, from its top. A list that renews itself meanwhile does not overtake it. Resolves to whether it is shown. */
function reshow() {
  return visit(here(), { isChosen: true }).then(() => {
    outage.answered();
    arrive();
    return true;
  }, (error) => {
    fail(error);
    return false;
  });
}

// Moving and leaving ------------------------------------------------------------------------------------------------------------------

// A link would load a new page, and that would end the session.
document.addEventListener("click", (event) => {
  if (event.target.closest(".newer button") && seat.user) return visit(here()).then(() => lists.enterList(), fail);
  const button = event.target.closest("[data-delete], [data-post], [data-patch]");
  if (button && seat.user) actions.act(button, page());
  const link = event.target.closest("a[href]");
  if (!seat.user && link?.origin === location.origin) carry(document.getElementById("email")?.value ?? address);
  if (!seat.user || link?.target || link?.origin !== location.origin || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(link.pathname + link.search + link.hash, link.getAttribute("href"));
});

main.addEventListener("submit", (event) => {
  const form = event.target;
  if (!seat.user || form.method !== "get") return;
  event.preventDefault();
  go(outage.pathOf(form));
});

addEventListener("popstate", ({ state }) => {
  // The old page is still shown, and its scroll position must not be noted for this entry of the history.
  clearTimeout(resting);
  if (!seat.user) return;
  if (location.pathname === "/login") history.replaceState(null, "", "/dashboard");
  visit(here(), { isChosen: true }).then(() => {
    outage.answered();
    say("");
    arrive(state ?? {});
  }, (error) => fail(error, here()));
});

addEventListener("pageshow", ({ persisted }) => {
  if (!persisted) return;
  recall(LEFT);
  const brought = carried();
  const email = document.getElementById("email");
  if (email) email.value ||= brought;
});

show({ main: [...main.childNodes], nav: [...nav.childNodes] }, document.title);
if (recall(LEFT)) say(WORDS.left);
const typed = document.getElementById("email");
// It is taken even if there is no field for it, so that it does not stay in the browser.
const brought = carried();
if (typed) {
  typed.value ||= brought;
  document.getElementById(typed.value ? "password" : "email").focus();
}
