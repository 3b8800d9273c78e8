// The pages that people reach who cannot sign in: a forgotten password, a link from a mail.
//
// A link's token stands in the fragment, which no server sees. Here it is taken out of the address at once, so that it stays neither
// in the history nor on the screen, and it is used only when somebody presses the button.

import { enter, post } from "./form.js";

const token = location.hash.slice(1);
if (token) history.replaceState(null, "", location.pathname);
// The same page with another link is not loaded anew by itself.
addEventListener("hashchange", () => location.reload());

const at = (selector) => document.querySelector(selector);

/** The form has done its work: the words after it take its place. */
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
