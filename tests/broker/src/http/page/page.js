// Polls the broker and shows what it says. While nobody looks nothing is asked, and a broker that is away is asked less
// and less often.

import { showFaults, startFaults } from "/faults.js";
import { showDeadLetters, showSnapshot } from "/sections.js";
import { setText } from "/table.js";

const PERIOD_MS = 1_000;
const LONGEST_WAIT_MS = 10_000;
const PATIENCE_MS = 5_000;

const element = (id) => document.querySelector(`#${id}`);
const [status, moment, semantics, storage] = ["status", "moment", "semantics", "storage"].map(element);
const [filter, pause, retry] = ["filter", "pause", "retry"].map(element);

let paused = false;
let failures = 0;
/** What the dead letters that are shown were asked for. */
let shownLetters = null;
/** Ends the wait for the next poll. */
let wake = () => {};
/** Whether a poll was asked for while one was under way. */
let asked = false;

function pollNow() {
  asked = true;
  wake();
}

function say(state, text) {
  status.dataset.state = state;
  setText(status, text);
}

async function get(path, wanted) {
  const answer = await fetch(`${path}?${new URLSearchParams({ filter: wanted })}`, {
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (!answer.ok) throw new Error(`The broker answers ${answer.status}`);
  return answer.json();
}

async function poll() {
  const wanted = filter.value.trim();
  const snapshot = await get("/snapshot", wanted);
  const filtered = wanted !== "";
  const died = snapshot.account.deadLettered;
  const letters = JSON.stringify([died, wanted]);
  // They are read from the logs, so only where there may be others.
  const newest = letters === shownLetters ? null : await get("/dead-letters", wanted);
  showSnapshot(snapshot, filtered);
  showFaults(snapshot.faults);
  if (newest) {
    showDeadLetters(newest, died, filtered);
    shownLetters = letters;
  }
  setText(semantics, snapshot.semantics);
  storage.hidden = snapshot.storageError === null;
  setText(storage, snapshot.storageError === null ? "" : `No writes are taken: ${snapshot.storageError}`);
  moment.dateTime = new Date(snapshot.now).toISOString();
  setText(moment, new Date(snapshot.now).toLocaleTimeString());
}

/** Polls once; returns how long to wait for the next. */
async function step() {
  try {
    await poll();
    failures = 0;
    retry.hidden = true;
    if (!paused) say("live", "Live");
    return PERIOD_MS;
  } catch (error) {
    const wait = Math.min(PERIOD_MS * 2 ** failures, LONGEST_WAIT_MS);
    failures += 1;
    // Another broker may be there next, with as many dead letters.
    shownLetters = null;
    retry.hidden = false;
    const reason = error.message.startsWith("The broker answers") ? error.message : "The broker does not answer";
    say("away", `${reason}. Next try in ${wait / 1_000} s.`);
    return wait;
  }
}

const woken = (ms) =>
  new Promise((resolve) => {
    const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });

async function run() {
  for (;;) {
    while ((paused || document.hidden) && !asked) {
      if (paused) say("paused", "Paused");
      await woken();
    }
    asked = false;
    const wait = await step();
    if (!asked && !paused) await woken(wait);
  }
}

pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  wake();
});
retry.addEventListener("click", pollNow);
filter.addEventListener("input", pollNow);
document.addEventListener("visibilitychange", () => wake());
startFaults(pollNow);
run();
