// The stream of finished and deleted objects. It resumes automatically; if it cannot, `anew` is called.

import * as connection from "./connection.js";

const AGAIN_MS = 3000;
const listeners = new Set();
let source = null;

// `came(record)`, `went({bucket, key})`, and `anew()`: events may have been missed, so reload. Returns a function that
// ends it.
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const all = (name, ...what) => listeners.forEach((listener) => listener[name]?.(...what));

export function open() {
  source?.close();
  source = new EventSource("/v1/feed");
  for (const name of ["done", "failed", "dead"]) {
    source.addEventListener(name, (event) => all("came", JSON.parse(event.data)));
  }
  source.addEventListener("removed", (event) => all("went", JSON.parse(event.data)));
  source.addEventListener("gap", () => all("anew"));
  let received = false; // the stream resumes from the last id; before the first event there is none
  for (const name of ["done", "failed", "dead", "removed"]) source.addEventListener(name, () => (received = true));
  source.onopen = () => received || all("anew");
  source.onerror = async () => {
    const mine = source;
    await connection.check();
    if (mine.readyState !== EventSource.CLOSED) return; // the browser reconnects
    await connection.ready();
    if (mine === source) setTimeout(open, AGAIN_MS);
  };
}
