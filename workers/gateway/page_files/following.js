// Follows images until they are final, by polling and the feed. They have no event streams of their own: browsers allow six
// connections to a server for all tabs.

import { get, objectPath, oid, post } from "./api.js";
import * as feed from "./feed.js";

const ASK_EVERY_MS = 400;
const ASKED_AT_ONCE = 4;
const FINAL = new Set(["done", "failed", "dead", "skipped"]);
const followed = new Map(); // by bucket/key, oldest first
let asking = false;

// Calls `report` with every progress; the last is final or has the state "gone". Ignores records up to `since`, a time of
// a record; 0: none.
export function follow(object, since, report) {
  const name = oid(object);
  stop(name);
  followed.set(name, { address: objectPath(object), since, report });
  ask();
}

// Processes an image again with `action` and follows it on its card. `how`: see the card's `again`.
export async function lookAgain(object, action, card, how) {
  const { previous } = await post(`${objectPath(object)}:${action}`);
  card.again(how);
  follow(object, previous?.finished_at ?? 0, card.status);
}

function stop(name) {
  followed.delete(name);
}

function heard(name, status) {
  const one = followed.get(name);
  if (!one) return;
  if (FINAL.has(status.state) || status.state === "gone") stop(name);
  one.report(status);
}

async function ask() {
  if (asking) return;
  asking = true;
  while (followed.size) {
    await new Promise((then) => setTimeout(then, ASK_EVERY_MS));
    const round = [...followed].slice(0, ASKED_AT_ONCE);
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
