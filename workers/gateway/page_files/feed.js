// The stream of finished and deleted objects, which all tabs share. It resumes where it was; if it cannot, `anew` is called.

import * as connection from "./connection.js";
import { at } from "./place.js";
import { Stream, later } from "./stream.js";

const PROTOCOL = 1; // of shared.js: a worker of an earlier version may still run
const PING_MS = 10_000;
const PONG_MS = 5000;
const listeners = new Set();
let hub = null; // {post, close} of the shared worker, or of this tab's own stream
let last = ""; // the id of the latest event
let alone = false; // whether this tab has its own stream
let begun = false; // whether `anew` was called: the lists are loaded, and events change them

// `came(record)`, `went({bucket, key})`, and `anew()`: events may have been missed, so reload. Returns a function that
// ends it.
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const all = (name, ...what) => listeners.forEach((listener) => listener[name]?.(...what));

function anew() {
  begun = true;
  all("anew");
}

function heard({ event, opened, failed, session }) {
  if (opened !== undefined && !(opened && begun)) anew();
  if (session) {
    begun = false; // what this session may see is loaded again
    connection.check();
  }
  if (failed !== undefined) trouble(failed);
  if (event) take(event);
}

function take({ id, name, data }) {
  if (name === "gap") {
    last = ""; // the ids may begin anew
    return anew();
  }
  if (last && later(id, last) <= 0) return; // repeated for another tab
  last = id;
  if (name === "removed") all("went", JSON.parse(data));
  else if (["done", "failed", "dead"].includes(name)) all("came", JSON.parse(data));
}

function trouble(status) {
  if (status === 401) connection.locked();
  else connection.check();
  if (!begun) anew(); // the lists can be loaded without the stream
}

// Tells the other tabs that this one has signed in or out.
export const changedSession = () => hub?.post({ session: true });

export function open() {
  connect();
  document.addEventListener("visibilitychange", () => hub?.post({ visible: visible() }));
  // a page that is kept for "back" or frozen gets nothing; afterwards it catches up
  addEventListener("pagehide", leave);
  document.addEventListener("freeze", leave);
  document.addEventListener("resume", connect);
  addEventListener("pageshow", ({ persisted }) => persisted && connect());
  connection.onChange(() => connection.current() === "online" && hub?.post({ visible: visible() }));
}

const visible = () => document.visibilityState === "visible";

function leave() {
  hub?.close();
  hub = null;
}

function connect() {
  leave();
  // some browsers of phones have no shared workers; they show one tab at a time
  hub = globalThis.SharedWorker && !alone ? shared() : own();
  hub.post({ hello: true, last, visible: visible() });
}

// The policy of the page's content allows only this script.
const scripts = globalThis.trustedTypes?.createPolicy("wildtag", { createScriptURL: () => at("/shared.js") });

function shared() {
  const address = scripts ? scripts.createScriptURL("") : at("/shared.js");
  const worker = new SharedWorker(address, { type: "module", name: `wildtag feed ${PROTOCOL}` });
  let answered = true;
  let waiting = null;
  worker.port.onmessage = ({ data }) => {
    if (data.pong) answered = true;
    else heard(data);
  };
  worker.onerror = () => {
    alone = true; // its script cannot be loaded or run
    connect();
  };
  const ping = () => {
    answered = false;
    worker.port.postMessage({ ping: true });
    clearTimeout(waiting);
    waiting = setTimeout(() => answered || connect(), PONG_MS); // it ended with the tab that started it
  };
  const pinging = setInterval(ping, PING_MS);
  return {
    post: (message) => worker.port.postMessage(message),
    close() {
      clearInterval(pinging);
      clearTimeout(waiting);
      worker.port.postMessage({ bye: true });
      worker.port.close();
    },
  };
}

// This tab's own stream, while the tab is visible.
function own() {
  const stream = new Stream(at("/v1/feed"), {
    event: (id, name, data) => heard({ event: { id, name, data } }),
    opened: (resumed) => heard({ opened: resumed }),
    failed(status) {
      if (status === 401) stream.stop();
      heard({ failed: status });
    },
  });
  return {
    post(message) {
      if (message.session) stream.stop();
      if (message.last) stream.last = message.last;
      if (!visible()) stream.stop();
      else if (!stream.run) stream.start();
    },
    close: () => stream.stop(),
  };
}
