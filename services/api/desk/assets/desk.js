// The desk works without any of this. It makes what changes change in place.

import htmx from "htmx.org";
import "./htmx_global.js";
import "htmx-ext-sse";

// No inline style and no eval: the content security policy forbids both.
htmx.config.includeIndicatorStyles = false;
htmx.config.allowEval = false;
htmx.config.scrollIntoViewOnBoost = false;
htmx.config.historyCacheSize = 0; // pages with people in them are not kept in the browser's storage

// --- A lost connection says so quietly, and goes away by itself --------------------------------------------------------

function say(id, isSo) {
  const line = document.getElementById(id);
  if (line) line.hidden = !isSo;
}
const lost = (isLost) => say("connection", isLost);

// A live page is asked to come again now and then: only what lasts is said. It lasts from the first error on, however
// often the browser has tried again since.
let soonLost = null;
function found() {
  clearTimeout(soonLost);
  soonLost = null;
  lost(false);
  say("signed-out", false);
}
document.addEventListener("htmx:sseError", () => {
  soonLost ??= setTimeout(async () => {
    // A stream is refused to whoever is signed out, and says no more than that it does not open.
    const ask = { method: "HEAD", headers: { "HX-Request": "true" } };
    const answer = await fetch(window.location.href, ask).catch(() => null);
    if (answer?.status === 401) signedOut();
    else if (soonLost !== null) lost(true);
  }, 4000);
});

document.addEventListener("htmx:sseOpen", found);

// What somebody has unfolded stays so when its part of the page changes.
let unfolded = [];
document.addEventListener("htmx:sseBeforeMessage", (event) => {
  unfolded = [...event.target.querySelectorAll("details[open][id]")].map((each) => each.id);
});
document.addEventListener("htmx:sseMessage", () => {
  for (const id of unfolded) document.getElementById(id)?.setAttribute("open", "");
});
document.addEventListener("htmx:sendError", () => lost(true));
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful) found();
});
window.addEventListener("offline", () => lost(true));
window.addEventListener("online", found);

// --- Who is signed out is led to the sign-in, but not away from what was typed -------------------------------------

let isTyped = false;
document.addEventListener("input", () => {
  isTyped = true;
});

function signedOut() {
  if (isTyped || document.querySelector("main [hx-post], .errors")) say("signed-out", true);
  else window.location.reload();
}

// A refusal is a page of its own, with words: it is shown like any other.
document.addEventListener("htmx:beforeSwap", (event) => {
  const status = event.detail.xhr.status;
  if (status === 401) {
    signedOut();
    event.detail.shouldSwap = false;
  } else if (status >= 400 && status < 500) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
});

// --- Countdowns: the time stands there in words; what is left of it is added, a number a second ----------------------------

const ends = new WeakMap(); // by our own clock: the server says how many seconds are left
setInterval(() => {
  for (const each of document.querySelectorAll("[data-seconds]")) {
    if (!ends.has(each)) ends.set(each, performance.now() + 1000 * Number(each.dataset.seconds));
    const left = Math.ceil((ends.get(each) - performance.now()) / 1000);
    each.textContent = left > 0 ? ` (${left} s)` : "";
  }
}, 250);

// --- Keys: an element with data-key is pressed by that key, in the row that has the focus if it is there; j and k move ----

const isShown = (each) => each.offsetParent !== null;

function move(by) {
  const rows = [...document.querySelectorAll("[data-row]")].filter(isShown);
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = rows[at < 0 ? 0 : Math.min(Math.max(at + by, 0), rows.length - 1)];
  next?.querySelector("a, button")?.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const at = event.target;
  if (at.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(at.tagName)) return;
  if (event.key === "j" || event.key === "k") return move(event.key === "j" ? 1 : -1);
  const pressed = [...document.querySelectorAll(`[data-key="${CSS.escape(event.key)}"]`)].filter(isShown);
  const meant = pressed.find((each) => each.closest("[data-row]")?.contains(at)) ?? pressed[0];
  if (!meant) return;
  event.preventDefault();
  if (meant.matches("input, textarea, select")) meant.focus();
  else meant.click();
});

// --- Copy to the clipboard ---------------------------------------------------------------------------------------------

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.dataset.copied = "";
  setTimeout(() => delete button.dataset.copied, 2000);
});
