// What forms share: reading values, waiting for the answer, and showing errors.

import { Problem, SessionEnded } from "./oneseat.js";

/** The name of the site, as its pages say it. */
export const SITE = document.querySelector("meta[name=application-name]").content;

export const WORDS = {
  offline: `${SITE} cannot be reached. Check your connection and try again.`,
  late: `${SITE} has not answered in time. If it is open in many tabs of this browser, close some of them, and try again.`,
  busy: `${SITE} is busy for a moment. Please try again.`,
};

/** After this time without an answer people are told so, in milliseconds. */
const PATIENCE = 30_000;

/** Thrown when the user has changed their mind. */
export class Cancelled extends Error {}

/** The name under which a typed address is kept for the next page of a tab. That page removes it. */
const CARRIED = "oneseat-email";

/** Takes an address along to the next page of this tab. */
export function carry(email) {
  remember(CARRIED, email);
}

/** The address that was taken along, once. */
export function carried() {
  return recall(CARRIED);
}

/** Keeps a word in this tab until it is recalled. It replaces an older one; an empty word only removes the older one. Never use it for a
 * secret: other scripts of this origin can read it. */
export function remember(name, word) {
  try {
    if (word) sessionStorage.setItem(name, word);
    else sessionStorage.removeItem(name);
  } catch {
    // The browser keeps nothing for this site. The page works without it.
  }
}

/** Returns the word that was remembered under this name, and forgets it. */
export function recall(name) {
  try {
    const word = sessionStorage.getItem(name) ?? "";
    sessionStorage.removeItem(name);
    return word;
  } catch {
    return "";
  }
}

/** Whether the server sends mails. Without mails nobody can ask for a link, and an administrator has to help. */
export const SENDS_MAIL = !("noMail" in document.body.dataset);

/** The link shown with an error, by the code of the problem. */
const WAYS_OUT = SENDS_MAIL ? {
  account_locked: ["Reset your password", "/forgot"],
  email_unverified: ["Get a new link", "/verify"],
  link_invalid: ["Ask for a new link", "/forgot"],
} : {};

/** Messages that replace the server's words: beside a link, or where the server sends no mails. */
const IN_WORDS = SENDS_MAIL ? {
  account_locked: "This address is locked after too many wrong passwords.",
  email_unverified: "Please verify your email before you sign in.",
} : {
  account_locked: "This address is locked. Please wait, or ask an administrator.",
  email_unverified: "This address is not verified yet. Please ask an administrator to verify it.",
};

/** The error message when there is no answer. */
export function wordsForLoss(error) {
  return (error.cause ?? error).name === "TimeoutError" ? WORDS.late : WORDS.offline;
}

/** The error message for a problem. */
export function wordsFor(problem) {
  if (problem.status >= 500) return WORDS.busy;
  if (problem.code === "account_locked" && problem.retryAfter) return lockedFor(problem.retryAfter);
  if (problem.code === "invalid_credentials") return "Email or password is wrong.";
  return IN_WORDS[problem.code] ?? problem.message;
}

function lockedFor(seconds) {
  const until = new Date(Date.now() + seconds * 1000);
  const time = new Intl.DateTimeFormat(undefined, { timeStyle: "short" }).format(until).replaceAll(" ", "\u00a0");
  const otherwise = SENDS_MAIL ? "choose a new password" : "ask an administrator";
  return `There were too many wrong passwords, so this address is locked until ${time}. Wait until then, or ${otherwise}.`;
}

const JSON_BODY = { method: "POST", headers: { "Content-Type": "application/json" }, credentials: "omit" };

/** Sends a `POST` and returns the answer. It has no token unless `fetch` adds one. Throws a problem if the answer is not a success. */
export async function post(path, body, fetch = globalThis.fetch) {
  const response = await fetch(path, { ...JSON_BODY, body: JSON.stringify(body), signal: AbortSignal.timeout(PATIENCE) });
  if (!response.ok) throw await Problem.from(response);
  return response;
}

export function busy(button, on) {
  button.disabled = on;
  button.setAttribute("aria-busy", String(on));
}

/** Shows what is wrong with a form, and in which field. Without words, clears the error. */
function refuse(form, words, { field, wayOut } = {}) {
  const error = form.querySelector(".form-error");
  error.textContent = words;
  const [label, href] = wayOut ?? [];
  if (href && href !== location.pathname) {
    const link = Object.assign(document.createElement("a"), { href, textContent: label });
    // Leaving this page would end the session that it holds.
    if (document.getElementById("sign-out")) Object.assign(link, { target: "_blank", rel: "noopener" });
    error.append(" ", link);
  }
  for (const input of form.querySelectorAll("input")) input.removeAttribute("aria-invalid");
  field?.setAttribute("aria-invalid", "true");
  field?.focus();
}

/** Hides or shows the text of a password field. */
function mask(button, hidden) {
  document.getElementById(button.dataset.reveals).type = hidden ? "password" : "text";
  button.textContent = hidden ? "Show" : "Hide";
  button.setAttribute("aria-label", hidden ? "Show password" : "Hide password");
  button.setAttribute("aria-pressed", String(!hidden));
}

/**
 * Checks a form and sends it with `send(values)`. That throws an error if something is wrong, and `Cancelled` if everything is to stay as
 * it was. Then calls `done(values)`, or, after an error, `refused(problem)`: it returns true if the page itself shows what to do next.
 */
export function enter(form, { send, done, refused }) {
  // Earlier, a press would have sent the form without this script.
  form.querySelector("[type=submit]").disabled = false;
  const reveals = [...form.querySelectorAll("[data-reveals]")];
  for (const button of reveals) {
    button.addEventListener("click", () => mask(button, button.getAttribute("aria-pressed") === "true"));
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("[type=submit]");
    if (button.disabled) return;
    const empty = [...form.querySelectorAll("input[required]")].find((input) => input.value.trim() === "");
    if (empty) return refuse(form, empty.dataset.empty ?? `Enter your ${empty.labels[0].textContent.toLowerCase()}.`, { field: empty });

    // Hide passwords before sending: browsers remember text fields, not password fields.
    for (const reveal of reveals) mask(reveal, true);
    refuse(form, "");
    const focused = document.activeElement;
    busy(button, true);
    const values = Object.fromEntries(new FormData(form));
    try {
      await send(values);
      done?.(values);
    } catch (error) {
      // The button cannot take the focus back while it is busy.
      if (error instanceof Cancelled) return setTimeout(() => focused.focus());
      if (!(error instanceof Problem || error instanceof SessionEnded)) return refuse(form, wordsForLoss(error));
      // A server that is too busy to look at a password has not refused it.
      const isRefused = error instanceof SessionEnded || (error.status < 500 && error.status !== 429);
      const passwords = isRefused ? form.querySelectorAll("[type=password]") : [];
      for (const input of passwords) input.value = "";
      // The form disappeared with the session, or the page was left: nobody sees a message.
      if (error instanceof SessionEnded) return;
      const wayOut = refused?.(error) ? undefined : WAYS_OUT[error.code];
      refuse(form, wordsFor(error), { field: form.elements[error.field] ?? passwords[0], wayOut });
    } finally {
      busy(button, false);
    }
  });
}
