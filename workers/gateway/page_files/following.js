// Follows images until they are final. Browsers limit the connections to a server: two images have their own event
// stream, which shows every stage; the others use the feed and polling.

import { get, objectPath, oid, post } from "./api.js";
import * as feed from "./feed.js";

const STREAMS = 2;
const ASK_EVERY_MS = 700;
const ASKED_AT_ONCE = 4;
const FINAL = new Set(["done", "failed", "dead", "skipped"]);
const followed = new Map(); // by bucket/key, oldest first
let asking = false;

// Calls `report` with every progress; the last is final or has the state "gone". Ignores records up to `since`, a time of
// a record; 0: none.
export function follow(object, since, report) {
  const name = oid(object);
  stop(name);
  followed.set(name, { address: objectPath(object), since, report, source: null });
  streams();
  ask();
}

// Processes an image again with `action` and follows it on its card. `how`: see the card's `again`.
export async function lookAgain(object, action, card, how) {
  const { previous } = await post(`${objectPath(object)}:${action}`);
  card.again(how);
  follow(object, previous?.finished_at ?? 0, card.status);
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
  one.report(status);
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
      one.source.close(); // poll instead
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
        followed.delete(name); // move to the end of the queue
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
    if (one && (!one.since || record.finished_at > one.since)) heard(oid(record), { ...record, record });
  },
  went(object) {
    heard(oid(object), { ...object, state: "gone", record: null });
  },
});
