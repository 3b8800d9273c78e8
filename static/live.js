// Lists that renew themselves when what they show has changed. While somebody points at one, or works in it, no row moves: a row changes
// where it stands, one that is gone stays and says so, and how many are new is told above. So nobody hits another row than they aim at.

const main = document.getElementById("main");

const LISTS = ".people, .rows";

/** Has a finger been the last to point? It is over nothing before it touches. */
let isFinger = false;
addEventListener("pointerover", ({ pointerType }) => { isFinger = pointerType === "touch"; }, { passive: true });

/** Is the pointer over a list? With a finger, every list that can be seen. */
export function isPointedAt() {
  if (!isFinger) return main.querySelector(`:is(${LISTS}):hover`) !== null;
  return [...main.querySelectorAll(LISTS)].some((list) => {
    const { top, bottom } = list.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  });
}

let [isRunning, isDue, isUntold] = [false, false, false];

/** What the list shows has changed: looks at it again, at most once a second. `page` is what this needs of the page: whether somebody is
 * `isThere`, the path `here`, `load` and `visit` for a path, `isIdle`, `isOver` for an error that ends it, `dress` for a row, and `fail`. */
export async function refresh(page) {
  [isDue, isUntold] = [true, true];
  if (isRunning) return;
  isRunning = true;
  while (isDue && page.isThere() && main.querySelector("[data-live]")) {
    await new Promise((later) => setTimeout(later, 1000));
    const mayMove = () => page.isIdle() && !isPointedAt();
    if (!isUntold && !mayMove()) continue;
    try {
      await (mayMove() ? move(page, mayMove) : change(page));
    } catch (error) {
      isDue = isUntold = !page.isOver(error);
      if (!isDue) page.fail(error);
    }
  }
  isRunning = false;
}

/** Shows the list anew. */
async function move(page, mayMove) {
  [isDue, isUntold] = [false, false];
  const [place, path] = [scrollY, page.here()];
  await page.visit(path, () => mayMove() && path === page.here());
  scrollTo(0, place);
}

/** Brings the list up to date without moving a row. It is still shown anew later. */
async function change(page) {
  isUntold = false;
  const shown = main.firstElementChild;
  const path = page.here();
  const next = await page.load(path);
  if (shown?.isConnected && path === page.here()) merge(next, page);
}

/** Of each row, what the server wrote. */
const written = new WeakMap();

/** Notes what the server wrote of the rows below `root`, before anything else does. */
export function remember(root) {
  for (const row of root.querySelectorAll("[data-row]")) written.set(row, row.innerHTML);
}

/** Takes over from another `page` what can be without moving a row. `isOurs`: somebody has just done something in one of the rows. */
export function merge(page, { dress, isOurs = false }) {
  const fresh = new Map([...page.querySelectorAll("[data-row]")].map((row) => [row.dataset.row, row]));
  remember(page);
  const goesOn = page.querySelector("[rel=next]") !== null;
  for (const list of main.querySelectorAll(LISTS)) mergeRows(list, fresh, { goesOn: goesOn && list.matches(".people"), isOurs, dress });
  for (const figure of main.querySelectorAll("h2 .count, .figures strong")) copyText(figure, page);
  tellNewer(page);
  main.dispatchEvent(new Event("renewed"));
}

function mergeRows(list, fresh, { goesOn, isOurs, dress }) {
  const rows = [...list.querySelectorAll("[data-row]")];
  const last = rows.findLastIndex((row) => fresh.has(row.dataset.row));
  for (const [at, row] of rows.entries()) {
    const next = fresh.get(row.dataset.row);
    if (!next) {
      // Those at the end may only have moved on to the next page.
      if (at < last || !goesOn) leave(row, list.dataset.gone);
    } else if ("goneSince" in row.dataset || (written.get(row) !== written.get(next) && (isOurs || !isInUse(row)))) {
      dress(next);
      row.replaceWith(next);
    }
  }
}

/** Would somebody lose their place, if the row were replaced? */
function isInUse(row) {
  const selection = getSelection();
  return document.querySelector("dialog[open]") !== null
    || row.contains(document.activeElement)
    || row.querySelector(":popover-open, [aria-busy=true]") !== null
    || (!selection.isCollapsed && selection.containsNode(row, true));
}

/** Shows that a row is gone. It can be read, and nothing be done with it. */
function leave(row, words) {
  if ("goneSince" in row.dataset) return;
  row.dataset.goneSince = "";
  row.querySelector(".who").append(Object.assign(document.createElement("span"), { className: "badge gone", textContent: words }));
  for (const button of row.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
}

main.addEventListener("click", (event) => {
  if (!event.target.closest("[data-gone-since] button:not(.menu-close)")) return;
  event.preventDefault();
  event.stopPropagation();
}, { capture: true });

/** Copies the words of the same element of another page. */
function copyText(element, page) {
  const [selector, at] = element.matches(".count") ? ["h2 .count", 0] : [".figures strong", [...element.closest(".figures").querySelectorAll("strong")].indexOf(element)];
  const next = page.querySelectorAll(selector)[at];
  if (next) element.textContent = next.textContent;
}

/** Tells how many rows of another page stand before all that are shown here, and offers them. */
function tellNewer(page) {
  const line = main.querySelector(".newer");
  const list = main.querySelector(".people");
  if (!line || !list) return;
  // On a later page the server has counted.
  const counted = page.querySelector(".newer a");
  const shown = new Set([...list.querySelectorAll("[data-row]")].map((row) => row.dataset.row));
  const rows = [...page.querySelectorAll(".people [data-row]")];
  const known = rows.findIndex((row) => shown.has(row.dataset.row));
  const newer = known < 0 ? rows.length : known;
  if (counted) return line.replaceChildren(counted);
  const words = `${newer}${known < 0 ? " or more" : ""} new. Show ${newer === 1 ? "it" : "them"}`;
  if (newer === 0) return line.replaceChildren();
  if (line.textContent !== words) line.replaceChildren(Object.assign(document.createElement("button"), { type: "button", className: "button-inline", textContent: words }));
}
