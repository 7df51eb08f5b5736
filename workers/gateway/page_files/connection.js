// The state of the connection. Failed requests report here and wait until the server is available.

import { at } from "./place.js";

const PROBE_MS = 1500;
const changes = new EventTarget();
let state = "online"; // "away": no response; "ailing": the server is not ready; "locked": a key is required
let probing = false;

export const current = () => state;
export const onChange = (listener) => changes.addEventListener("change", listener);

function become(next) {
  if (state === next) return;
  state = next;
  changes.dispatchEvent(new Event("change"));
}

export function locked() {
  become("locked");
}

export function unlocked() {
  become("online");
}

// Resolves when requests can be sent.
export async function ready() {
  while (state !== "online") await new Promise((then) => changes.addEventListener("change", then, { once: true }));
}

// Checks the state, and repeats the check until the server is available. Resolves to whether it is.
let checking = null;
export function check() {
  checking ??= look().finally(() => (checking = null));
  return checking;
}

async function look() {
  try {
    const answer = await fetch(at("/v1/status"), { cache: "no-store", signal: AbortSignal.timeout(10_000) });
    // other errors, such as 429 or 403, mean that the server is available
    become(answer.status === 401 ? "locked" : answer.status >= 500 ? "ailing" : "online");
  } catch {
    become("away");
  }
  if (state === "away" || state === "ailing") probe();
  return state === "online";
}

function probe() {
  if (probing) return;
  probing = true;
  setTimeout(() => {
    probing = false;
    check();
  }, PROBE_MS);
}

addEventListener("offline", check);
addEventListener("online", check);
