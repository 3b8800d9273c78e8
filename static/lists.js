// Lists of people: times that say how long ago, texts that do not fit their column, what was done, and where the focus goes when a
// row goes.

const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL("lists.css", import.meta.url).href });
document.head.append(style);
// Without it a list is legible, too.
await new Promise((done) => { style.onload = style.onerror = done; });

// Times -----------------------------------------------------------------------------------------------------------------------

/** Where actions are in a menu, as in the stylesheet. */
const NARROW = "screen and (max-width: 58rem)";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How far off a time is, as `now` has it; null for one so long ago that its date says more. `isSpan`: for how long it is until then. */
export function relative(at, now, isSpan = false) {
  const away = Math.abs(at - now);
  const isAhead = at > now;
  if (isSpan) return `for ${spanOf(Math.max(MINUTE, away))}`;
  if (away < MINUTE) return isAhead ? "in a moment" : "just now";
  if (away >= 7 * DAY) return null;
  return isAhead ? `in ${spanOf(away)}` : `${spanOf(away, true)} ago`;
}

/** Minutes; hours and minutes, or only hours if that is enough; days. With no-break spaces. */
function spanOf(span, isRough = false) {
  const [days, hours, minutes] = [span / DAY, (span % DAY) / HOUR, (span % HOUR) / MINUTE].map(Math.floor);
  if (days > 0) return `${days}\u00a0${days === 1 ? "day" : "days"}`;
  if (hours === 0) return `${minutes}\u00a0min`;
  return isRough || minutes === 0 ? `${hours}\u00a0h` : `${hours}\u00a0h\u00a0${minutes}\u00a0min`;
}

/** Shows a time relative to `now`, and the whole of it to a screen reader, on paper and, when it is asked for, to everybody. */
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
  const times = [...root.querySelectorAll("time[data-relative]")];
  if (times.length === 0) return;
  // The server's clock decides. Of the browser's, only how much passes counts.
  const { now } = root.querySelector("[data-now]").dataset;
  const ahead = new Date(now) - Date.now();
  const draw = () => {
    for (const time of times) showRelative(time, whole(new Date(time.dateTime)), new Date(Date.now() + ahead));
  };
  const timer = setInterval(draw, 15_000);
  signal.addEventListener("abort", () => clearInterval(timer));
  draw();
}

// Texts that do not fit -------------------------------------------------------------------------------------------------------

/** Shows the whole of what is cut off or in short form. The text itself is all there for a screen reader. */
const bubble = Object.assign(document.createElement("div"), { id: "whole", className: "whole", popover: "manual" });
bubble.setAttribute("aria-hidden", "true");
document.body.append(bubble);

/** What the bubble is about. */
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

/** Below what it is about, or above where there is no room. */
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
}

function leaveWhole() {
  clearTimeout(leaving);
  leaving = setTimeout(hideWhole, 150);
}

const WITH_MORE = "[data-cut], [data-whole]";

/** Lets mouse, keyboard and finger ask for what is cut off below `root`, until `signal`. */
export function showCutOff(root, signal) {
  const cut = [...root.querySelectorAll("[data-cut]")];
  if (cut.length === 0) return;
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
  // The focus may scroll to what it is on.
  document.addEventListener("scroll", place, { signal, passive: true });
  signal.addEventListener("abort", hideWhole);
  // Only what is cut is a stop for the keyboard.
  const look = new ResizeObserver(() => {
    for (const element of cut) {
      if (isCut(element)) element.tabIndex = 0;
      else element.removeAttribute("tabindex");
    }
  });
  look.observe(root);
  signal.addEventListener("abort", () => look.disconnect());
}

bubble.addEventListener("pointerenter", () => clearTimeout(leaving));
bubble.addEventListener("pointerleave", leaveWhole);

// Menus -----------------------------------------------------------------------------------------------------------------------

/** The button that opens the menu that an element is in, if it is in one. A menu may stand in another, and only one of their buttons is
 * seen. */
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

/** Keeps the focus in a menu that is open, until `signal`. Whatever takes it elsewhere closes the menu. The browser brings it back when
 * the menu closes. */
export function enterMenus(root, signal) {
  const on = (name, listener, options) => root.addEventListener(name, listener, { signal, ...options });
  const opened = () => root.querySelector(":is(.menu, .more-menu):popover-open");
  // It does not bubble.
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

// What was done ---------------------------------------------------------------------------------------------------------------

/** It stands in the page before it has words: screen readers often skip one that comes with them. */
const toasts = Object.assign(document.createElement("div"), { className: "toasts" });
const [done, failed] = ["status", "alert"].map((role) => {
  const region = document.createElement("div");
  region.setAttribute("role", role);
  return region;
});
toasts.append(done, failed);
document.getElementById("main").after(toasts);
/** The page that it is about. */
let about = "";
/** What had the focus before the words did. */
let before = null;
let ending = 0;

/** Says what was done, for a while, or until somebody dismisses it or leaves the page. With `undo`, it can be taken back for longer. */
export function tell(words, undo) {
  const toast = put(words, done, undo);
  // Nobody is hurried who is just reading it.
  const wait = () => setTimeout(() => {
    clearTimeout(ending);
    if (toast.isConnected && !toast.matches(":hover, :focus-within")) ending = setTimeout(untell, undo ? 30_000 : 12_000);
  });
  for (const name of ["pointerenter", "pointerleave", "focusin", "focusout"]) toast.addEventListener(name, wait);
  wait();
}

/** Says what was not done, until somebody dismisses it, does the next thing, or leaves the page. */
export function tellFailure(words) {
  put(words, failed).classList.add("toast-failure");
}

/** Puts words in a region, in place of all that was told before. */
function put(words, region, undo) {
  const toast = Object.assign(document.createElement("div"), { className: "toast" });
  const button = (textContent, listener) => {
    const made = Object.assign(document.createElement("button"), { type: "button", className: "button-inline", textContent });
    made.addEventListener("click", listener);
    return made;
  };
  toast.append(Object.assign(document.createElement("p"), { textContent: words }));
  if (undo) toast.append(button("Undo", () => { untell(); undo(); }));
  toast.append(button("Dismiss", untell));
  toast.addEventListener("focusin", ({ relatedTarget }) => { if (!toast.contains(relatedTarget)) before = relatedTarget; });
  clearTimeout(ending);
  (region === done ? failed : done).replaceChildren();
  region.replaceChildren(toast);
  about = location.pathname;
  return toast;
}

/** Takes the words away, and the focus back to where it was. */
export function untell() {
  clearTimeout(ending);
  const hasFocus = toasts.contains(document.activeElement);
  for (const region of [done, failed]) region.replaceChildren();
  if (hasFocus) (before?.isConnected ? before : document.getElementById("main")).focus({ preventScroll: true });
}

/** Takes words away that are about another page than this one. */
export function untellElsewhere() {
  if (location.pathname !== about) untell();
}

document.addEventListener("keydown", ({ key, defaultPrevented }) => {
  if (key === "Escape" && !defaultPrevented && !document.querySelector(":popover-open:not(.whole), dialog[open]")) untell();
});

/** Begins at the list of this page, after a search or with another part of it. Nobody has to pass again what stands before it. */
export function enterList() {
  const section = document.querySelector(".people, .empty")?.closest("section:has([role=search])");
  if (!section) return;
  const heading = document.getElementById(section.getAttribute("aria-labelledby"));
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
  section.scrollIntoView();
}

// Rows ------------------------------------------------------------------------------------------------------------------------

/** Where somebody is in a list, so that they are still there when the list was loaded anew. */
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

  /** Takes the focus there, unless somebody has moved it elsewhere, and scrolls as before. */
  restore() {
    scrollTo(0, this.#scroll);
    const main = document.getElementById("main");
    const focused = document.activeElement;
    // A dialog that has closed may keep the focus for a moment.
    if (![null, document.body, main].includes(focused) && focused.checkVisibility()) return;
    const buttons = this.#row ? document.querySelectorAll(`[data-row="${CSS.escape(this.#row)}"] button`) : [];
    const usable = [...buttons].filter((button) => button.checkVisibility() && !button.disabled);
    // The menu has closed: what opens it is there.
    const button = usable.find((button) => button.getAttribute("popovertarget") === this.#menu) ?? usable[0];
    (button ?? document.getElementById(this.#heading ?? "") ?? main).focus({ preventScroll: true });
  }
}
