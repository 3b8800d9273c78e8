// The pages for users who cannot sign in: a forgotten password, a link from a mail.
//
// A link's token is in the fragment, which no server sees. It is removed from the address at once, so that it stays neither in the
// history nor on the screen. It is used only when the user presses the button.

import { carried, carry, enter, post, wordsFor } from "./form.js";

// Programs that show mails, and people who copy a link, leave a full stop or a bracket at its end.
const token = /^#([0-9a-f]{64})(?![0-9a-f])/.exec(location.hash)?.[1] ?? location.hash.slice(1);
if (token) history.replaceState(null, "", location.pathname);
// The browser does not reload the page by itself if only the fragment changes.
addEventListener("hashchange", () => location.reload());

const at = (selector) => document.querySelector(selector);

/** Replaces a finished form with a message. */
function replace(form, words) {
  form.hidden = true;
  words.hidden = false;
  words.tabIndex = -1;
  words.focus();
}

const forms = {
  forgot: (form) => enter(form, {
    send: ({ email }) => post("/auth/password/forgot", { email }),
    done: () => replace(form, at(".form-done")),
  }),
  choose: (form) => {
    if (!token) return replace(form, at(".form-no-link"));
    enter(form, {
      send: ({ newPassword }) => post("/auth/password/reset", { token, password: newPassword }),
      done: () => replace(form, at(".form-done")),
    });
  },
  verify: (form) => {
    form.hidden = !token;
    enter(form, {
      send: () => post("/auth/email/verify", { token }),
      done: () => {
        at("#resend")?.remove();
        replace(form, at("#verified"));
      },
      refused: ({ code }) => {
        const again = at("#resend");
        if (code !== "link_invalid" || !again) return false;
        again.hidden = false;
        return true;
      },
    });
  },
  "confirm-email": (form) => {
    if (!token) return replace(form, at(".form-no-link"));
    enter(form, {
      send: () => post("/auth/email/confirm", { token }),
      done: () => replace(form, at(".form-done")),
      // Only somebody who is signed in can ask for another link.
      refused: ({ code }) => {
        if (code === "email_taken") replace(form, at(".email-taken"));
        return code === "link_invalid";
      },
    });
  },
  resend: (form) => {
    form.hidden = Boolean(token);
    enter(form, {
      send: ({ email }) => post("/auth/email/resend", { email }),
      done: () => replace(form, at("#resent")),
    });
  },
};

for (const [id, prepare] of Object.entries(forms)) {
  const form = document.getElementById(id);
  if (form) prepare(form);
}

/** The forms that need a link. */
const LINKED = "#choose, #verify, #confirm-email";

/** Shows the address of the account that the link is for, or that the link is no longer valid. Without an answer, the button tells later. */
async function introduce() {
  try {
    const user = await (await post("/auth/link", { token })).json();
    known = user.email;
    const whom = at(".link-user");
    whom.querySelector("bdi").textContent = user.email;
    whom.hidden = false;
    const username = at("[name=username]");
    if (username) username.value = user.email;
  } catch (problem) {
    if (problem.code !== "link_invalid") return;
    const again = at("#resend");
    if (again) again.hidden = false;
    at(".link-over-words").textContent = wordsFor(problem);
    replace(at(LINKED), at(".link-over"));
  }
}

/** The address that the link belongs to, to sign in with next. */
let known;
if (token && at(LINKED)) introduce();

const email = at("[name=email]");
// It is taken even if there is no field for it, so that it does not stay in the browser.
const brought = carried();
if (email) email.value ||= brought;
at("form:not([hidden]) input:not([tabindex])")?.focus();
addEventListener("click", ({ target }) => {
  if (target.closest("a[href]")?.origin === location.origin) carry(email?.value || known);
});
