// Answers that did not come: what was wanted is shown when there are answers again, and nobody loses what they are typing meanwhile.

/** A pause before the page looks whether there are answers again, unless it hears so before or the server wants a longer one. In milliseconds. */
const PAUSE = 5_000;
/** Pages that lost their answers together do not all ask again at once: they wait up to this much longer. In milliseconds. */
const SPREAD = 1_000;

const main = document.getElementById("main");
const notice = document.getElementById("notice");

/** What is said while there are no answers; empty: there are. */
let lost = "";
/** The page that was wanted and did not come. */
let missed = "";
let isRecovering = false;
/** The pause that the server asked for, in milliseconds. */
let wished = 0;
/** Ends a pause. */
let end = () => {};

/** Waits until there are answers again, and then shows what was wanted. `path`: of the page that did not come; `words`: what is said until
 * then; `retryAfter`: the seconds that a busy server asked for. `visit` shows a page in place of this one, `isBusy` tells whether the user
 * waits for another. */
export function lose(words, path, { retryAfter, visit, isBusy }) {
  lost = words;
  wished = pauseOf(retryAfter);
  missed = path || missed;
  if (!isRecovering) recover(visit, isBusy);
}

/** There are answers: nothing is missed any more. */
export function answered() {
  lost = "";
  missed = "";
}

/** Looks at once. */
export function wake() {
  end();
}

addEventListener("online", wake);

async function recover(visit, isBusy) {
  isRecovering = true;
  while (lost) {
    await new Promise((later) => {
      const more = Math.random() * SPREAD;
      end = () => setTimeout(later, more);
      setTimeout(later, Math.max(PAUSE, wished) + more);
    });
    if (!lost || isBusy() || isInUse()) continue;
    const path = wantedNow();
    const may = () => path === wantedNow() && !isInUse();
    await visit(path, { passive: true, may }).then(recovered, ({ retryAfter }) => { wished = pauseOf(retryAfter); });
  }
  isRecovering = false;
}

/** In milliseconds, of seconds if there are any. */
function pauseOf(seconds) {
  return (seconds ?? 0) * 1000;
}

/** The page that did not come, for what its search says by now; without one, this page. */
function wantedNow() {
  const form = main.querySelector("form[method=get]");
  const wanted = missed || location.pathname + location.search;
  return form && new URL(wanted, location).pathname === new URL(form.action).pathname ? pathOf(form) : wanted;
}

/** The page has come after all. */
function recovered() {
  if (notice.textContent === lost) notice.textContent = "";
  answered();
}

/** What has been typed or chosen there is lost with the page. The form of the sign-in has been sent. */
const FIELDS = ":is(input, select):not(#login *)";
/** A search is made anew as it says by then. */
const SEARCH = "form[method=get] *";

/** Is something typed or chosen in a field, and not sent? */
export function isFilled() {
  return [...main.querySelectorAll(FIELDS)].some(isChanged);
}

function isChanged(field) {
  if (field.type === "checkbox") return field.checked !== field.defaultChecked;
  if (!field.options) return field.value !== field.defaultValue;
  // Without a default the first one is chosen.
  return field.selectedIndex !== Math.max(0, [...field.options].findIndex((option) => option.defaultSelected));
}

function isOpen() {
  return document.querySelector("dialog[open]") !== null || main.querySelector(":popover-open") !== null;
}

/** Would somebody lose what they do, if the page were replaced? */
function isInUse() {
  // A password manager fills fields in that nobody has opened.
  const fields = [...main.querySelectorAll(`${FIELDS}:not(${SEARCH})`)].filter((field) => field.checkVisibility());
  return isOpen() || fields.some(isChanged) || document.activeElement.matches(`main ${FIELDS}:not([type=search])`);
}

/** Is nothing focused, selected, or filled in and not sent, and no dialog or menu open? */
export function isIdle() {
  const focused = document.activeElement;
  return !isOpen()
    && !(focused !== main && main.contains(focused))
    && (getSelection()?.isCollapsed ?? true)
    && !isFilled();
}

/** The page that a search leads to. */
export function pathOf(form) {
  const filled = [...new FormData(form)].filter(([, value]) => value !== "");
  const query = new URLSearchParams(filled).toString();
  return new URL(form.action).pathname + (query && `?${query}`);
}

/** The search that somebody is typing. */
export function typing() {
  const { id, value, selectionEnd } = document.activeElement;
  return document.activeElement.matches("main [type=search]") ? { id, value, at: selectionEnd } : null;
}

/** Gives somebody who is typing a search their box back, if it is there. */
export function goOnTyping({ id, value, at }) {
  const box = document.getElementById(id);
  if (!box) return;
  box.value = value;
  box.focus({ preventScroll: true });
  box.setSelectionRange(at, at);
}
