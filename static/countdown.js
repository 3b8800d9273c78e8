// How long the session lasts: the countdown, on the dashboard and in the title, and the warning.

import { SITE, busy } from "./form.js";

/** Counts down and warns, until `signal`. `load` fetches this page; `show` and `lookAgain` show it anew, and only `show` counts as activity.
 * `isFilled` tells whether a form would lose its values by that. `fail` shows an error, `failAction` the error of an action. */
export function enterSeat({ signal, load, isFilled, show, lookAgain, fail, failAction }) {
  const warning = document.getElementById("warning");
  const countdown = document.getElementById("countdown");
  const { title } = document;
  let times = timesOf(warning);

  document.getElementById("stay")?.addEventListener("click", async (event) => {
    const stay = event.currentTarget;
    busy(stay, true);
    try {
      if (!isFilled()) return await show();
      take(await load());
      draw();
      document.getElementById("main").focus({ preventScroll: true });
    } catch (error) {
      failAction(error);
    } finally {
      busy(stay, false);
    }
  });

  const take = (page) => {
    const now = page.getElementById("warning");
    if (!now || signal.aborted) return;
    times = timesOf(now);
    // Perhaps the session cannot be extended any more.
    if (!now.querySelector("#stay")) warning.replaceChildren(...now.childNodes);
  };

  const draw = () => {
    const left = Math.max(0, Math.ceil((times.endsAt - performance.now()) / 1000));
    if (countdown) countdown.textContent = inWords(left);
    warning.hidden = left > times.warnBefore;
    document.title = warning.hidden ? title : `${inWords(left)} left · ${SITE}`;
    return left;
  };
  // The server decides. Asking does not extend the session.
  let asking = false;
  const ask = async () => {
    if (asking) return;
    asking = true;
    try {
      take(await load({ passive: true }));
    } catch (error) {
      fail(error);
    }
    setTimeout(() => { asking = false; }, 2_000);
  };
  const timer = setInterval(() => {
    if (draw() === 0 || hasDrifted(times)) ask();
  }, 1000);
  signal.addEventListener("abort", () => clearInterval(timer));
  // The content of the page may have changed while it was hidden.
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") lookAgain();
  }, { signal });
  draw();
}

/** The times of a session, by the clock of this page. */
function timesOf({ dataset }) {
  const now = performance.now();
  return {
    endsAt: now + Number(dataset.expiresIn) * 1000,
    warnBefore: Number(dataset.warnBefore),
    clocks: Date.now() - now,
  };
}

/** Do the two clocks disagree? One stands still while the machine sleeps, and people set the other. */
function hasDrifted({ clocks }) {
  return Math.abs(Date.now() - performance.now() - clocks) > 2_000;
}

/** As exact as it is of use: seconds in the last two minutes only. */
function inWords(seconds) {
  const minutes = Math.round(seconds / 60);
  if (seconds < 60) return `${seconds} s`;
  if (seconds <= 120) return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
  if (minutes < 10) return `about ${minutes} minutes`;
  if (minutes < 58) return `about ${5 * Math.round(minutes / 5)} minutes`;
  const halves = Math.round(minutes / 30);
  return `about ${Math.floor(halves / 2)}${halves % 2 ? "½" : ""} hour${halves > 2 ? "s" : ""}`;
}
