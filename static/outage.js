// Outages. If an answer did not come, the page that was wanted is shown when there are answers again, and nobody loses what they are typing
// meanwhile.

/** The pause before the page asks again, unless the connection comes back earlier or the server wants a longer pause. In milliseconds. */
const PAUSE = 5_000;
/** Pages that lost their answers together do not all ask again at once: they wait up to this much longer. In milliseconds. */
const SPREAD = 1_000;

const main = document.getElementById("main");
const notice = document.getElementById("notice");

/** The message while there are no answers. Empty if there are answers. */
let lost = "";
/** The page that was wanted and did not come. */
let missed = "";
let isRecovering = false;
/** The pause that the server asked for, in milliseconds. */
let wished = 0;
/** Ends the present pause. */
let end = () => {};

/** Waits until there are answers again, and then shows what was wanted. `path`: the path of the page that did not come; `words`: the message
 * until then; `retryAfter`: the seconds that a busy server asked for. `visit` shows a page in place of this one, `isBusy` tells whether the
 * user waits for another one. */
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

/** Asks again soon, without the rest of the pause. */
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

/** The pause in milliseconds, of seconds if there are any. */
function pauseOf(seconds) {
  return (seconds ?? 0) * 1000;
}

/** The path of the page that did not come, or else of this page, with the present words of its search. */
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

/** The fields whose values are lost with the page. The form of the sign-in is not among them, because it has been sent. */
const FIELDS = ":is(input, select):not(#login *)";
/** The fields of a search, which lose nothing: the search is made anew with their values. */
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
  // Only visible fields count: a password manager also fills in fields that nobody has opened.
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

/** The path of the page that a search leads to. */
export function pathOf(form) {
  const filled = [...new FormData(form)].filter(([, value]) => value !== "");
  const query = new URLSearchParams(filled).toString();
  return new URL(form.action).pathname + (query && `?${query}`);
}

/** The search box that somebody is typing in, or null. `at` is the place of the cursor. */
export function typing() {
  const { id, value, selectionEnd } = document.activeElement;
  return document.activeElement.matches("main [type=search]") ? { id, value, at: selectionEnd } : null;
}

/** Puts the typed words, the focus and the cursor back into a search box, if the page has it. */
export function goOnTyping({ id, value, at }) {
  const box = document.getElementById(id);
  if (!box) return;
  box.value = value;
  box.focus({ preventScroll: true });
  box.setSelectionRange(at, at);
}
