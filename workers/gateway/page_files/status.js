// The state of the system: a line of counts, and a banner during outages.

import { get } from "./api.js";
import * as connection from "./connection.js";
import { byId, duration, ended, make, plural } from "./dom.js";
import { at } from "./place.js";
import { open as openSignIn } from "./session.js";

const EVERY_MS = 4000;
const SILENT_S = 120; // seconds without progress while images wait

const BANNERS = {
  away: "wildtag does not answer. No data is lost. This page reconnects automatically.",
  ailing: "A part of wildtag is unavailable. This page continues automatically when it is back.",
  locked: "An API key is required.",
};

// Services that may be unavailable. Other faults are shown by their own name.
const SERVICES = { redis: "Redis", broker: "The message broker", store: "The image store", captions: "The caption server" };

let outages = [];
let holds = [];
let draining = null;
let spoken = "";

export function install() {
  connection.onChange(() => {
    banner();
    if (connection.current() === "ailing") ask();
  });
  banner();
  refresh();
}

function banner() {
  const state = connection.current();
  const element = byId("banner");
  const away = state === "online" || state === "ailing" ? outages.map(described) : [];
  const held = state === "online" ? holds.map(kept) : [];
  const drained = state === "online" && draining ? [paused(draining)] : [];
  const sentence = [BANNERS[state], ...away, ...held, ...drained].filter(Boolean).join(" ");
  element.hidden = !sentence;
  element.dataset.state = state === "online" && sentence ? "waiting" : state;
  if (sentence === spoken && state !== "locked") return; // screen readers would repeat it
  spoken = sentence;
  element.replaceChildren(sentence);
  if (state === "locked") element.append(" ", make("button", { type: "button", class: "quiet", onclick: openSignIn }, "Sign in"));
}

function described({ name, reason, since, waiting }) {
  if (!SERVICES[name]) return ended(`${name}: ${reason}`);
  const at = new Date(since).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const what = `${SERVICES[name]} has been unavailable since ${at}.`;
  return waiting ? `${what} ${plural(waiting, "image is", "images are")} waiting for it. No data is lost.` : what;
}

function paused(since) {
  const at = new Date(since).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return `Draining since ${at}: images are stored, and tagged when the drain ends.`;
}

function kept({ bucket, missing, known, reason }) {
  const count = `${missing.toLocaleString("en")} of ${plural(known, "image", "images")}`;
  return (
    `${count} in ${bucket} ${missing === 1 ? "is" : "are"} missing: ${ended(reason)} Their tags are kept. ` +
    "If they were really removed, run: wildtag reconcile --confirm-removals"
  );
}

// Reads the outages while the status cannot be read.
async function ask() {
  try {
    ({ outages } = await (await fetch(at("/readyz"), { cache: "no-store" })).json());
    banner();
  } catch {
    // no response at all; the connection reports that
  }
}

async function refresh() {
  try {
    if (!document.hidden) show(await get("/v1/status"));
  } catch {
    byId("counts").textContent = "";
  }
  setTimeout(refresh, EVERY_MS);
}

function show(status) {
  const { inbox, in_flight: under, done, failed, dead } = status.counts;
  outages = status.outages;
  holds = status.held_removals;
  draining = status.draining_since;
  banner();
  const parts = [plural(done, "image tagged", "images tagged")];
  if (inbox + under) parts.push(`${(inbox + under).toLocaleString("en")} in progress`);
  if (failed) parts.push(`${failed.toLocaleString("en")} failed`);
  if (dead) parts.push(`${dead.toLocaleString("en")} abandoned`);
  if (status.coverage.incomplete && done) parts.push(status.coverage.incomplete);
  const silent = Object.entries(status.seconds_since_progress).filter(([, seconds]) => inbox + under && seconds > SILENT_S);
  for (const [stage, seconds] of silent) parts.push(`no progress in ${stage} for ${duration(seconds * 1000)}`);
  byId("counts").textContent = parts.join(" · ");
  byId("flower").hidden = !status.flower;
  if (status.flower) byId("flower").href = status.flower;
}
