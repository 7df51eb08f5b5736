// Reads the stream of finished and deleted objects. Unlike EventSource it continues after any given event, and knows why a
// request was refused. It runs in the shared worker, or in the page where there is none.

const AGAIN_MS = 3000;
const SILENT_MS = 45_000; // the server sends a comment at least every 15 s

// `tell.event(id, name, data)`, `tell.opened(resumed)`, `tell.failed(status)`: 0 without a response. `start(last)` begins
// after an event, or with the next one; `stop()` ends it; `last` is the id of the latest event.
export class Stream {
  constructor(address, tell) {
    this.address = address;
    this.tell = tell;
    this.last = "";
    this.live = false;
    this.run = null; // the AbortController of the current run
  }

  start(last = this.last) {
    this.stop();
    this.last = last;
    this.run = new AbortController();
    this.keep(this.run);
  }

  stop() {
    this.run?.abort();
    this.run = null;
    this.live = false;
  }

  async keep(run) {
    while (!run.signal.aborted) {
      let wait = AGAIN_MS;
      try {
        wait = await this.read(run);
      } catch {
        // the connection broke, or was ended
        if (!run.signal.aborted) this.tell.failed(0);
      }
      if (run === this.run) this.live = false;
      if (!run.signal.aborted) await pause(wait, run.signal);
    }
  }

  // Returns the milliseconds to wait before the next request.
  async read(run) {
    const request = new AbortController();
    const silence = new Silence(() => request.abort());
    const ended = () => request.abort();
    run.signal.addEventListener("abort", ended);
    try {
      const answer = await fetch(this.address, {
        headers: this.last ? { "Last-Event-ID": this.last } : {},
        cache: "no-store",
        signal: request.signal,
      });
      if (!answer.ok || !answer.headers.get("Content-Type")?.startsWith("text/event-stream")) {
        await answer.body?.cancel();
        this.tell.failed(answer.ok ? 502 : answer.status); // a page of a proxy
        return Math.max(AGAIN_MS, 1000 * (Number(answer.headers.get("Retry-After")) || 0));
      }
      this.live = true;
      this.tell.opened(Boolean(this.last));
      await this.events(answer.body.getReader(), run, silence);
      return AGAIN_MS / 3; // the server ended it, as it does when it stops
    } finally {
      silence.end();
      run.signal.removeEventListener("abort", ended);
    }
  }

  async events(reader, run, silence) {
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done || run.signal.aborted) return;
      silence.broken();
      const blocks = (rest + decoder.decode(value, { stream: true })).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) this.one(block);
    }
  }

  one(block) {
    const fields = {};
    for (const line of block.split("\n")) {
      const [, name, value] = /^([a-z]+): ?(.*)$/.exec(line) ?? [];
      if (name) fields[name] = name === "data" && fields.data !== undefined ? `${fields.data}\n${value}` : value;
    }
    if (fields.id !== undefined) this.last = fields.id;
    if (fields.event && fields.data) this.tell.event(this.last, fields.event, fields.data);
  }
}

// Calls `end` for a request over which nothing comes: a connection may be gone without a word.
class Silence {
  constructor(end) {
    this.over = end;
    this.broken();
  }

  broken() {
    clearTimeout(this.timer);
    this.timer = setTimeout(this.over, SILENT_MS);
  }

  end() {
    clearTimeout(this.timer);
  }
}

function pause(ms, signal) {
  return new Promise((then) => {
    const timer = setTimeout(then, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), then()), { once: true });
  });
}

// Compares ids of events: positive if `one` is later.
export function later(one, other) {
  const [a, b] = [one, other].map((id) => (id || "0-0").split("-").map(Number));
  return a[0] - b[0] || a[1] - b[1];
}
