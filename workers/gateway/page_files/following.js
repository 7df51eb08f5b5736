// Follows images to their end. A browser opens few connections to a server: two images are followed by streams of
// their own, which show every stage; the others by the feed's last words and by being asked after now and then.

import { get, objectPath, oid, post } from "./api.js";
import * as feed from "./feed.js";

const STREAMS = 2;
const ASK_EVERY_MS = 700;
const ASKED_AT_ONCE = 4;
const FINAL = new Set(["done", "failed", "dead", "skipped"]);
const followed = new Map(); // by bucket/key, in the order in which they came
let asking = false;

// `tell` hears every status, the last of which is final or has the state "gone". A record that was written by `since`
// is not the one that is waited for.
export function follow(object, since, tell) {
  const name = oid(object);
  stop(name);
  followed.set(name, { address: objectPath(object), since, tell, source: null });
  streams();
  ask();
}

// Has an image looked at once more, by `action` on it, and its card follow that. `how`: see the card's `again`.
export async function lookAgain(object, action, card, how) {
  const before = await post(`${objectPath(object)}:${action}`);
  card.again(how);
  follow(object, before.finished_at ?? 0, card.status);
}

function stop(name) {
  followed.get(name)?.source?.close();
  followed.delete(name);
}

function heard(name, status) {
  const one = followed.get(name);
  if (!one) return;
  if (FINAL.has(status.state) || status.state === "gone") {
    stop(name);
    streams();
  }
  one.tell(status);
}

function streams() {
  let open = [...followed.values()].filter((one) => one.source).length;
  for (const [name, one] of followed) {
    if (open >= STREAMS) return;
    if (one.source || one.refused) continue;
    open += 1;
    one.source = new EventSource(`${one.address}:events?since=${one.since}`);
    one.source.addEventListener("state", (event) => heard(name, JSON.parse(event.data)));
    one.source.onerror = () => {
      one.source.close(); // it is asked after instead
      one.source = null;
      one.refused = true;
    };
  }
}

async function ask() {
  if (asking) return;
  asking = true;
  while (followed.size) {
    await new Promise((then) => setTimeout(then, ASK_EVERY_MS));
    const round = [...followed].filter(([, one]) => !one.source).slice(0, ASKED_AT_ONCE);
    for (const [name, one] of round) {
      await look(name, one);
      if (followed.get(name) === one) {
        followed.delete(name); // to the end of the line
        followed.set(name, one);
      }
    }
  }
  asking = false;
}

async function look(name, one) {
  try {
    const status = await get(`${one.address}?since=${one.since}`);
    if (followed.get(name) === one) heard(name, status);
  } catch (refused) {
    if (refused.status === 404 && followed.get(name) === one) heard(name, { state: "gone", record: null });
  }
}

feed.listen({
  came(record) {
    const one = followed.get(oid(record));
    if (one && record.finished_at > one.since) heard(oid(record), { ...record, record });
  },
  went(object) {
    heard(oid(object), { ...object, state: "gone", record: null });
  },
});
