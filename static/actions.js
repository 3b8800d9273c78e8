// The actions of pages behind the sign-in: the buttons of a list, the dialogs for another name and another address, and forms that are
// sent. `page` has what they need of the page: its `main`, `lists`, `fetch` with the token, `confirmed`, `renew` to load it again, `show`
// to load it again and begin at its top, `say`, `fail`, and `failAction` to tell that an action failed.

import { Problem } from "./oneseat.js";
import { busy, enter } from "./form.js";

/** Performs a button's action: `data-delete`, `data-post` or `data-patch` with a path, and `data-body`; `data-confirm`, `data-yes` and
 * `data-done` with texts; `data-count` with the number of things that it is about; `data-undo` with the path that takes it back,
 * `data-undo-body` and `data-undone`. If a deletion answers with the user's address, the message names it. */
export async function act(button, page) {
  const { delete: gone, patch, post: path = gone ?? patch, body, confirm: words, done = "Done.", undo, undoBody, undone } = button.dataset;
  if (words && !(await page.confirmed(words, button.dataset))) return focusOn(button, page);
  busy(button, true);
  page.lists.untell();
  try {
    const response = await (gone ? page.fetch(path, { method: "DELETE" }) : change(path, body, page));
    // 404: it is gone already, as wanted.
    if (!response.ok && !(gone && response.status === 404)) throw await Problem.from(response);
    const { ended, email } = response.status === 200 ? await response.json() : {};
    const sessions = `${ended} ${ended === 1 ? "session" : "sessions"} ended.`;
    page.say("");
    const told = gone && email ? `Your address is ${isolated(email)}.` : done;
    page.lists.tell(ended === undefined ? told : sessions, undo && (() => takeBack(undo, undoBody, undone, page)));
    await reload(button, /^\/api\/admin\/(sessions|users)\/[^/]+$/.test(gone), page).catch(page.fail);
  } catch (error) {
    // An open menu would cover the words.
    button.closest(":popover-open")?.hidePopover();
    page.failAction(error);
    if (error.code === "number_changed") await askAgain(page);
  } finally {
    busy(button, false);
    if (button.isConnected) focusOn(button, page);
  }
}

/** There are more by now than were to end: shows them, and asks about that number. */
async function askAgain(page) {
  const isShown = await page.show();
  const button = page.main.querySelector("[data-count]");
  // The button of the page before would ask about the number before.
  if (isShown && button) await act(button, page);
}

/** Moves the focus back to a button, or to the button of its menu, unless somebody has moved it elsewhere. */
function focusOn(button, { lists }) {
  const focused = document.activeElement;
  // A dialog that has just been closed still has it.
  if (focused !== document.body && focused.checkVisibility()) return;
  (button.checkVisibility() ? button : lists.openerOf(button))?.focus({ preventScroll: true });
}

/** `PATCH` if there is a body, else `POST`. */
function change(path, body, page) {
  if (!body) return page.fetch(path, { method: "POST" });
  return page.fetch(path, { method: "PATCH", headers: { "Content-Type": "application/json" }, body });
}

/** Loads the page again, and keeps the focus and the scroll position. `isGone`: the row of the button goes. */
async function reload(button, isGone, page) {
  const menu = button.closest(":popover-open");
  menu?.hidePopover();
  const place = new page.lists.Place(button, isGone);
  place.restore();
  await page.renew(button);
  place.restore();
}

/** Takes back what was done to a user. */
async function takeBack(path, body, done, page) {
  const [, row] = /^\/api\/admin\/users\/([^/]+)/.exec(path);
  try {
    const response = await change(path, body, page);
    if (!response.ok) throw await Problem.from(response);
    page.lists.tell(done);
    const button = page.main.querySelector(`[data-row="${row}"] button`);
    if (button) await reload(button, false, page).catch(page.fail);
  } catch (error) {
    page.failAction(error);
  }
}

/** Prepares the forms and dialogs of a page, until `signal`. */
export function enterForms(signal, page) {
  for (const form of page.main.querySelectorAll("form[data-done]")) enterSaved(form, page);
  const [rename, readdress] = ["rename", "readdress"].map((id) => document.getElementById(id));
  if (rename) enterRename(rename, signal, page);
  if (readdress) enterAddresses(readdress, signal, page);
}

/** A form that is sent as `data-method` says (`POST`). Then the page is shown anew, and says `data-done`. */
function enterSaved(form, page) {
  enter(form, {
    send: (values) => save(form.getAttribute("action"), values, form.dataset.method ?? "POST", page),
    done: async () => {
      page.lists.untell();
      await page.show();
      page.say(form.dataset.done);
    },
  });
}

/** Sends values; throws a problem if the answer is not a success. */
async function save(path, values, method, page) {
  const headers = { "Content-Type": "application/json" };
  const response = await page.fetch(path, { method, headers, body: JSON.stringify(values) });
  if (!response.ok) throw await Problem.from(response);
}

/** Lets the buttons with `data-` and the id of a dialog open it, until `signal`. `fill` prepares it for one of them. Returns a function that
 * tells which button opened it. */
function openBy(dialog, fill, signal, page) {
  const form = dialog.querySelector("form");
  let button = null;
  page.main.addEventListener("click", ({ target }) => {
    const pressed = target.closest(`[data-${dialog.id}]`);
    if (!pressed) return;
    button = pressed;
    form.querySelector(".form-error").textContent = "";
    for (const field of form.elements) field.removeAttribute("aria-invalid");
    dialog.querySelector("bdi").textContent = button.dataset.name;
    dialog.showModal();
    fill(button);
  }, { signal });
  dialog.querySelector("button[type=button]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    // A filled field would keep the list from renewing itself.
    form.reset();
    focusOn(button, page);
  });
  return () => button;
}

/** Prepares the dialog in which an admin gives a user another address. A button with `data-readdress` opens it. */
function enterAddresses(dialog, signal, page) {
  const form = dialog.querySelector("form");
  const { email, verified } = form.elements;
  const opener = openBy(dialog, () => email.focus(), signal, page);
  const words = () => {
    const { words: known, wordsUnverified, wordsDisabled } = form.dataset;
    return verified.checked ? known : "isDisabled" in opener().dataset ? wordsDisabled : wordsUnverified;
  };
  enter(form, {
    send: (values) => save(opener().dataset.readdress, { ...values, verified: verified.checked }, "PUT", page),
    done: () => {
      page.lists.tell(words());
      dialog.close();
      reload(opener(), false, page).catch(page.fail);
    },
  });
}

/** Prepares the dialog for another name of a user, until `signal`. A button with `data-rename` opens it. */
function enterRename(dialog, signal, page) {
  const [form, typed] = [dialog.querySelector("form"), document.getElementById("rename-name")];
  const fill = ({ value }) => {
    typed.value = value;
    typed.select();
  };
  const opener = openBy(dialog, fill, signal, page);
  enter(form, {
    // The name that it was is no change.
    send: ({ name }) => name.trim() === opener().value || save(opener().dataset.rename, { name }, "PATCH", page),
    done: ({ name }) => {
      dialog.close();
      if (name.trim() !== opener().value) tellOfName(opener(), name.trim(), page);
    },
  });
}

function tellOfName(button, name, page) {
  const [path, earlier] = [button.dataset.rename, button.value];
  const undone = `${isolated(earlier)} has their earlier name again.`;
  const undo = () => takeBack(path, JSON.stringify({ name: earlier }), undone, page);
  page.lists.tell(`${isolated(earlier)} is now called ${isolated(name)}.`, undo);
  reload(button, false, page).catch(page.fail);
}

/** Puts the words between marks that keep their direction from the text around them. */
function isolated(words) {
  return `\u2068${words}\u2069`;
}
