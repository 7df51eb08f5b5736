// A shared worker: one event stream for all tabs of this browser, which allows six connections to a server over HTTP/1.1.
// The stream is open while at least one tab is visible. Afterwards it continues behind the last event that was sent.
//
// From a tab: {hello: true, last, visible}, {visible}, {session: true} after signing in or out, {ping: true}, {bye: true}.
// To a tab: {event: {id, name, data}}, {opened: resumed}, {failed: status}, {session: true}, {pong: true}.

import { Stream, later } from "./stream.js";

const LINGER_MS = 2000; // while the user goes from one tab to another
const VISIBLE_MS = 40_000; // without a word from a visible tab, which pings every 10 s, it has crashed
const GONE_MS = 300_000; // hidden tabs may run once a minute
const BARRED_MS = 10_000; // between two requests without access
const tabs = new Map(); // by port: {visible, heard, caught: whether it has all events up to the last}
let closing = null;
let barred = 0; // until then no request is sent

const send = (message, except = null) => {
  for (const port of tabs.keys()) if (port !== except) port.postMessage(message);
};

const stream = new Stream(new URL("v1/feed", self.location.href).href, {
  event: (id, name, data) => send({ event: { id, name, data } }),
  opened(resumed) {
    for (const [port, tab] of tabs) {
      port.postMessage({ opened: resumed && tab.caught });
      tab.caught = true;
    }
  },
  failed(status) {
    if (status === 401) {
      stream.stop(); // until somebody signs in
      barred = Date.now() + BARRED_MS;
    }
    send({ failed: status });
  },
});

function settle() {
  const now = Date.now();
  for (const [port, tab] of tabs) if (now - tab.heard > (tab.visible ? VISIBLE_MS : GONE_MS)) tabs.delete(port);
  const seen = [...tabs.values()].some((tab) => tab.visible);
  if (seen) {
    clearTimeout(closing);
    closing = null;
    if (!stream.run && now >= barred) stream.start();
  } else if (stream.run && closing === null) {
    closing = setTimeout(() => {
      closing = null;
      stream.stop();
    }, LINGER_MS);
  }
}

function heard(port, message) {
  let tab = tabs.get(port);
  if (message.bye) tabs.delete(port);
  else if (message.hello) {
    // a worker that was ended is replaced: it continues where the tab is
    if (!stream.last && message.last) stream.last = message.last;
    tab = { visible: message.visible, heard: 0, caught: Boolean(message.last) && later(message.last, stream.last) >= 0 };
    tabs.set(port, tab);
    if (stream.live) {
      port.postMessage({ opened: tab.caught });
      tab.caught = true;
    }
  }
  if (tab) {
    tab.heard = Date.now();
    if (message.visible !== undefined) tab.visible = message.visible;
    if (message.ping) port.postMessage({ pong: true });
  }
  if (message.session) {
    stream.stop(); // it has the access of the session before
    barred = 0;
    send({ session: true }, port);
  }
  settle();
}

self.onconnect = ({ ports: [port] }) => {
  port.onmessage = ({ data }) => heard(port, data);
};
setInterval(settle, 10_000);
