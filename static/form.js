// What forms have in common: reading, waiting, and saying what is wrong.

export const WORDS = {
  offline: "oneseat cannot be reached. Check your connection and try again.",
  busy: "oneseat is busy for a moment. Please try again.",
};

/** Where to go from a message, by the code of the problem. */
const WAYS_OUT = {
  account_locked: ["Reset your password", "/forgot"],
  email_unverified: ["Get a new link", "/verify"],
  link_invalid: ["Ask for a new link", "/forgot"],
};

export function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** What to say of an answer that is not the one hoped for. */
export function wordsFor({ status, text }) {
  const problem = parse(text);
  if (status === 503) return WORDS.busy;
  return problem.code === "invalid_credentials" ? "Email or password is wrong." : problem.detail ?? WORDS.busy;
}

/** `POST` without a token. */
export async function post(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    credentials: "omit",
  });
  return { ok: response.ok, status: response.status, text: await response.text() };
}

export function busy(button, on) {
  button.disabled = on;
  button.setAttribute("aria-busy", String(on));
}

/** Says what is wrong with a form, and of which field; nothing is wrong without words. */
export function refuse(form, words, { field, code } = {}) {
  const error = form.querySelector(".form-error");
  error.textContent = words;
  const [label, href] = WAYS_OUT[code] ?? [];
  if (href && href !== location.pathname) {
    const link = Object.assign(document.createElement("a"), { href, textContent: label });
    error.append(" ", link);
  }
  for (const input of form.querySelectorAll("input")) input.removeAttribute("aria-invalid");
  field?.setAttribute("aria-invalid", "true");
  field?.focus();
}

/** Hides what was typed into a password field, or shows it. */
function mask(button, hidden) {
  document.getElementById(button.dataset.reveals).type = hidden ? "password" : "text";
  button.textContent = hidden ? "Show" : "Hide";
  button.setAttribute("aria-label", hidden ? "Show password" : "Hide password");
  button.setAttribute("aria-pressed", String(!hidden));
}

/**
 * Has a form checked and sent by `send(values)`, which says what came back: `null` if that is nobody's business any more.
 * `done(values)` follows when all is well.
 */
export function enter(form, { send, done }) {
  const reveals = [...form.querySelectorAll("[data-reveals]")];
  for (const button of reveals) {
    button.addEventListener("click", () => mask(button, button.getAttribute("aria-pressed") === "true"));
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("[type=submit]");
    if (button.disabled) return;
    const empty = [...form.querySelectorAll("input[required]")].find((input) => input.value.trim() === "");
    if (empty) return refuse(form, `Enter your ${empty.labels[0].textContent.toLowerCase()}.`, { field: empty });

    // Hidden again before it is sent: browsers remember text fields, not password fields.
    for (const reveal of reveals) mask(reveal, true);
    refuse(form, "");
    busy(button, true);
    const values = Object.fromEntries(new FormData(form));
    try {
      const answer = await send(values);
      if (answer?.ok) done?.(values);
      else if (answer) {
        const field = form.querySelector("[type=password]");
        for (const input of form.querySelectorAll("[type=password]")) input.value = "";
        refuse(form, wordsFor(answer), { field, code: parse(answer.text).code });
      }
    } catch {
      refuse(form, WORDS.offline);
    } finally {
      busy(button, false);
    }
  });
}
