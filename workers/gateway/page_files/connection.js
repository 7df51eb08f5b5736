// Whether the server is there and lets us in. Whoever meets a closed door says so here and waits until it opens.

const PROBE_MS = 1500;
const changes = new EventTarget();
let state = "online"; // "away": no answer; "ailing": it answers that it cannot serve; "locked": it wants a key
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

// Resolves when the server may be asked again.
export async function ready() {
  while (state !== "online") await new Promise((then) => changes.addEventListener("change", then, { once: true }));
}

// Finds out how it is; keeps asking while it is not well. True when it is. Many may ask at once.
let checking = null;
export function check() {
  checking ??= look().finally(() => (checking = null));
  return checking;
}

async function look() {
  try {
    const answer = await fetch("/v1/status", { cache: "no-store", signal: AbortSignal.timeout(10_000) });
    // too many requests, or a key for other things: it is there
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
