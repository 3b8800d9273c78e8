// Answers that did not come: what was wanted is shown when there are answers again, and nobody loses what they are typing meanwhile.

/** A pause before the page looks whether there are answers again, unless it hears so before. In milliseconds. */
const PAUSE = 5_000;

const main = document.getElementById("main");
const notice = document.getElementById("notice");

/** What is said while there are no answers; empty: there are. */
let lost = "";
/** The page that was wanted and did not come. */
let missed = "";
let isRecovering = false;
/** Ends a pause. */
let end = () => {};

/** Waits until there are answers again, and then shows what was wanted. `path`: of the page that did not come; `words`: what is said until
 * then. `visit` shows a page in place of this one, `isBusy` tells whether the user waits for another. */
export function lose(words, path, { visit, isBusy }) {
  lost = words;
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
      end = later;
      setTimeout(later, PAUSE);
    });
    if (!lost || isBusy()) continue;
    const path = wantedNow();
    await visit(path, { passive: true, may: () => path === wantedNow() }).then(recovered, () => {});
  }
  isRecovering = false;
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
