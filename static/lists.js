// Lists of people: times that say how long ago, texts that do not fit their column, menus, messages about actions, and where the focus
// goes when a row goes.

const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL("lists.css", import.meta.url).href });
document.head.append(style);
// If it cannot be loaded, a list is still legible.
await new Promise((done) => { style.onload = style.onerror = done; });

// Times -----------------------------------------------------------------------------------------------------------------------

/** The screens on which actions are in a menu, as in the stylesheet. */
const NARROW = "screen and (max-width: 58rem)";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How far a time is from `now`, in words. Null for a time so long ago that its date says more. `isSpan`: how long it is until then. */
export function relative(at, now, isSpan = false) {
  const away = Math.abs(at - now);
  const isAhead = at > now;
  if (isSpan) return `for ${spanOf(Math.max(MINUTE, away))}`;
  if (away < MINUTE) return isAhead ? "in a moment" : "just now";
  if (away >= 7 * DAY) return null;
  return isAhead ? `in ${spanOf(away)}` : `${spanOf(away, true)} ago`;
}

/** A span in minutes, in hours and minutes, or in days, with no-break spaces. `isRough`: in hours without minutes. */
function spanOf(span, isRough = false) {
  const [days, hours, minutes] = [span / DAY, (span % DAY) / HOUR, (span % HOUR) / MINUTE].map(Math.floor);
  if (days > 0) return `${days}\u00a0${days === 1 ? "day" : "days"}`;
  if (hours === 0) return `${minutes}\u00a0min`;
  return isRough || minutes === 0 ? `${hours}\u00a0h` : `${hours}\u00a0h\u00a0${minutes}\u00a0min`;
}

/** Shows a time relative to `now`. A screen reader and paper get it in full, and everybody else on demand. */
function showRelative(time, whole, now) {
  const isSpan = time.dataset.relative === "left";
  const words = relative(new Date(time.dateTime), now, isSpan);
  if (words === null || words === time.dataset.shown) return;
  time.dataset.shown = words;
  time.dataset.whole = isSpan ? `until ${whole}` : whole;
  const span = (textContent, className = "") => Object.assign(document.createElement("span"), { className, textContent });
  time.replaceChildren(span(words), span(`, ${time.dataset.whole}`, "visually-hidden"));
}

/** Keeps the relative times below `root` current, until `signal`. `whole` writes a time in full. */
export function keepTimes(root, whole, signal) {
  if (!root.querySelector("time[data-relative]")) return;
  // The server's clock decides. Of the browser's, only how much passes counts.
  const { now } = root.querySelector("[data-now]").dataset;
  const ahead = new Date(now) - Date.now();
  const draw = () => {
    // Rows may have changed meanwhile.
    for (const time of root.querySelectorAll("time[data-relative]")) showRelative(time, whole(new Date(time.dateTime)), new Date(Date.now() + ahead));
  };
  const timer = setInterval(draw, 15_000);
  signal.addEventListener("abort", () => clearInterval(timer));
  root.addEventListener("renewed", draw, { signal });
  draw();
}

// Texts that do not fit -------------------------------------------------------------------------------------------------------

/** Shows in full what is cut off or in short form. A screen reader has the whole text without it. */
const bubble = Object.assign(document.createElement("div"), { id: "whole", className: "whole", popover: "manual" });
bubble.setAttribute("aria-hidden", "true");
document.body.append(bubble);

/** The element whose text the bubble shows. */
let shown = null;
let leaving = 0;

function isCut(element) {
  return element.matches("[data-cut]") && element.scrollWidth > element.clientWidth;
}

function showWhole(element) {
  clearTimeout(leaving);
  if (element === shown) return;
  const whole = isCut(element) ? element.textContent : element.dataset.whole;
  if (!whole) return;
  shown = element;
  bubble.textContent = whole;
  bubble.dir = isCut(element) ? "auto" : "ltr";
  if (!bubble.matches(":popover-open")) bubble.showPopover();
  place();
}

/** Places the bubble below its element, or above where there is no room. */
function place() {
  if (!shown) return;
  const [at, size] = [shown.getBoundingClientRect(), bubble.getBoundingClientRect()];
  if (at.bottom < 0 || at.top > innerHeight) return hideWhole();
  const left = Math.max(8, Math.min(at.left - 8, document.documentElement.clientWidth - size.width - 8));
  const below = at.bottom + 4;
  const top = below + size.height > innerHeight ? at.top - size.height - 4 : below;
  Object.assign(bubble.style, { left: `${left}px`, top: `${top}px` });
}

function hideWhole() {
  clearTimeout(leaving);
  shown = null;
  bubble.hidePopover();
  bubble.textContent = "";
}

function leaveWhole() {
  clearTimeout(leaving);
  leaving = setTimeout(hideWhole, 150);
}

const WITH_MORE = "[data-cut], [data-whole]";

/** Lets mouse, keyboard and finger ask for texts that are cut off in `root`, until `signal`. */
export function showCutOff(root, signal) {
  if (!root.querySelector("[data-cut]")) return;
  const on = (name, listener) => root.addEventListener(name, listener, { signal });
  const about = (listener) => ({ target }) => {
    const element = target.closest?.(WITH_MORE);
    if (element) listener(element);
  };
  on("pointerover", about(showWhole));
  on("pointerout", about(leaveWhole));
  on("focusin", about(showWhole));
  on("focusout", about(hideWhole));
  on("click", about(showWhole));
  document.addEventListener("keydown", ({ key }) => { if (key === "Escape") hideWhole(); }, { signal });
  // The browser may scroll to the element that gets the focus.
  document.addEventListener("scroll", place, { signal, passive: true });
  signal.addEventListener("abort", hideWhole);
  // Only what is cut is a stop for the keyboard.
  const mark = () => {
    for (const element of root.querySelectorAll("[data-cut]")) {
      if (isCut(element)) element.tabIndex = 0;
      else element.removeAttribute("tabindex");
    }
  };
  on("renewed", mark);
  const look = new ResizeObserver(mark);
  look.observe(root);
  signal.addEventListener("abort", () => look.disconnect());
}

bubble.addEventListener("pointerenter", () => clearTimeout(leaving));
bubble.addEventListener("pointerleave", leaveWhole);

// Menus -----------------------------------------------------------------------------------------------------------------------

/** The button that opens the menu of an element, if it is in one. A menu may be in another one, and only one of their buttons is visible. */
export function openerOf(element) {
  for (let menu = element.closest("[popover]"); menu; menu = menu.parentElement.closest("[popover]")) {
    const opener = document.querySelector(`[popovertarget="${CSS.escape(menu.id)}"]`);
    if (opener?.checkVisibility()) return opener;
  }
  return null;
}

/** While a menu is open it is a dialog: it has the focus, and, where it takes the whole width, a button that closes it. */
function enterMenu(menu) {
  const close = Object.assign(document.createElement("button"), { type: "button", className: "button-inline menu-close", textContent: "Close" });
  close.addEventListener("click", () => menu.hidePopover());
  if (menu.matches(".menu")) menu.append(close);
  menu.setAttribute("role", "dialog");
  menu.setAttribute("aria-modal", "true");
  menu.setAttribute("aria-label", openerOf(menu)?.getAttribute("aria-label") ?? "");
  menu.querySelector("button")?.focus();
}

function leaveMenu(menu) {
  for (const name of ["role", "aria-modal", "aria-label"]) menu.removeAttribute(name);
  menu.querySelector(".menu-close")?.remove();
}

/** Moves the focus among the buttons of a menu, from the last to the first and back. */
function step(menu, event) {
  const buttons = [...menu.querySelectorAll("button:not([disabled])")].filter((button) => button.checkVisibility());
  const at = buttons.indexOf(document.activeElement);
  const next = event.shiftKey ? Math.max(at, 0) - 1 : at + 1;
  event.preventDefault();
  buttons.at(next % buttons.length)?.focus();
}

/** Keeps the focus in a menu that is open, until `signal`. If the focus goes elsewhere, the menu closes. When a menu closes, the browser
 * gives the focus back. */
export function enterMenus(root, signal) {
  const on = (name, listener, options) => root.addEventListener(name, listener, { signal, ...options });
  const opened = () => root.querySelector(":is(.menu, .more-menu):popover-open");
  // `toggle` does not bubble.
  on("toggle", ({ target, newState }) => {
    if (target.matches(".menu, .more-menu")) (newState === "open" ? enterMenu : leaveMenu)(target);
  }, { capture: true });
  on("keydown", (event) => {
    const menu = event.key === "Tab" && opened();
    if (menu) step(menu, event);
  });
  on("focusout", ({ relatedTarget }) => {
    const menu = relatedTarget && opened();
    if (!menu || menu.contains(relatedTarget)) return;
    menu.hidePopover();
    openerOf(menu)?.focus();
  });
  // A menu belongs to narrow screens; a wide one has its buttons in the row.
  matchMedia(NARROW).addEventListener("change", () => opened()?.hidePopover(), { signal });
}

// Messages about actions ------------------------------------------------------------------------------------------------------

/** The live regions of the messages. They are in the page before they have words: screen readers often skip a region that appears together
 * with its words. */
const toasts = Object.assign(document.createElement("div"), { className: "toasts" });
const [done, failed] = ["status", "alert"].map((role) => {
  const region = document.createElement("div");
  region.setAttribute("role", role);
  return region;
});
toasts.append(done, failed);
document.getElementById("main").after(toasts);
/** The path of the page that the message is about. */
let about = "";
/** The element that had the focus before the message got it. */
let before = null;
let ending = 0;

/** Says what was done, for a while, or until somebody dismisses it or leaves the page. With `undo` it has a button for that, and stays: nobody
 * has to hurry (WCAG 2.2.1). */
export function tell(words, undo) {
  const toast = put(words, done, undo);
  if (undo) return;
  // The message stays while the pointer or the focus is on it, because somebody may be reading it.
  const wait = () => setTimeout(() => {
    clearTimeout(ending);
    if (toast.isConnected && !toast.matches(":hover, :focus-within")) ending = setTimeout(untell, 12_000);
  });
  for (const name of ["pointerenter", "pointerleave", "focusin", "focusout"]) toast.addEventListener(name, wait);
  wait();
}

/** Says what was not done, until somebody dismisses it, does the next thing, or leaves the page. */
export function tellFailure(words) {
  put(words, failed).classList.add("toast-failure");
}

/** The key that leads to what was done from anywhere, and back. The words stand at the end of the page, far by Tab. */
const WAY = "F6";

document.addEventListener("keydown", (event) => {
  const button = toasts.querySelector("button");
  const isAsked = event.key === WAY && !(event.ctrlKey || event.altKey || event.metaKey || event.shiftKey);
  if (!isAsked || !button || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  if (toasts.contains(document.activeElement)) leaveToast();
  else button.focus();
});

/** Takes the focus back to where it was. */
function leaveToast() {
  (before?.isConnected ? before : document.getElementById("main")).focus({ preventScroll: true });
}

/** Puts a message in a region, in place of every earlier one. */
function put(words, region, undo) {
  const toast = Object.assign(document.createElement("div"), { className: "toast" });
  const button = (textContent, listener) => {
    const made = Object.assign(document.createElement("button"), { type: "button", className: "button-inline", textContent });
    made.addEventListener("click", listener);
    return made;
  };
  toast.append(Object.assign(document.createElement("p"), { textContent: words }));
  if (undo) {
    const hint = Object.assign(document.createElement("span"), { className: "visually-hidden", textContent: `Press ${WAY} to undo.` });
    const key = Object.assign(document.createElement("kbd"), { textContent: WAY, ariaHidden: "true" });
    toast.append(hint, button("Undo", () => { untell(); undo(); }), key);
  }
  toast.append(button("Dismiss", untell));
  toast.querySelector("button").setAttribute("aria-keyshortcuts", WAY);
  toast.addEventListener("focusin", ({ relatedTarget }) => { if (!toast.contains(relatedTarget)) before = relatedTarget; });
  clearTimeout(ending);
  (region === done ? failed : done).replaceChildren();
  region.replaceChildren(toast);
  about = location.pathname;
  return toast;
}

/** Removes the message, and moves the focus back to where it was. */
export function untell() {
  clearTimeout(ending);
  const hasFocus = toasts.contains(document.activeElement);
  for (const region of [done, failed]) region.replaceChildren();
  if (hasFocus) leaveToast();
}

/** Removes the message if it is about another page than this one. */
export function untellElsewhere() {
  if (location.pathname !== about) untell();
}

document.addEventListener("keydown", ({ key, defaultPrevented }) => {
  if (key === "Escape" && !defaultPrevented && !document.querySelector(":popover-open:not(.whole), dialog[open]")) untell();
});

/** Moves the focus to the list of this page, after a search or on another part of the list, so that nobody has to go through what comes
 * before it again. */
export function enterList() {
  const section = document.querySelector("section:has([role=search]):has(.people, .empty)");
  if (!section) return;
  const heading = document.getElementById(section.getAttribute("aria-labelledby"));
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
  section.scrollIntoView();
}

// Rows ------------------------------------------------------------------------------------------------------------------------

/** The place of the focus in a list, to restore it after the list was loaded anew. */
export class Place {
  #row;
  #menu;
  #heading;
  #scroll = scrollY;

  /** The place of a button; `isGone`: its row goes, and the next one takes its place. */
  constructor(button, isGone) {
    const row = button.closest("[data-row]");
    const next = row?.nextElementSibling ?? row?.previousElementSibling;
    this.#row = (isGone ? next : row)?.dataset.row;
    this.#menu = isGone ? null : button.closest("[popover]")?.id;
    this.#heading = button.closest("section")?.getAttribute("aria-labelledby");
    if (isGone) row?.remove();
  }

  /** Moves the focus there, unless somebody has moved it elsewhere, and scrolls as before. */
  restore() {
    scrollTo(0, this.#scroll);
    const main = document.getElementById("main");
    const focused = document.activeElement;
    // A dialog that has closed may keep the focus for a moment.
    if (![null, document.body, main].includes(focused) && focused.checkVisibility()) return;
    const buttons = this.#row ? document.querySelectorAll(`[data-row="${CSS.escape(this.#row)}"] button`) : [];
    const usable = [...buttons].filter((button) => button.checkVisibility() && !button.disabled);
    // The menu has closed, so the button that opens it gets the focus.
    const button = usable.find((button) => button.getAttribute("popovertarget") === this.#menu) ?? usable[0];
    (button ?? document.getElementById(this.#heading ?? "") ?? main).focus({ preventScroll: true });
  }
}
