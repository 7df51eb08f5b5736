// The state of the system: a line of counts, and a banner when something is in the way.

import { get } from "./api.js";
import * as connection from "./connection.js";
import { byId, duration, make, plural } from "./dom.js";
import { open as openSignIn } from "./session.js";

const EVERY_MS = 4000;
const SILENT_S = 120; // without a sign from a stage while images wait

const BANNERS = {
  away: "wildtag does not answer. Nothing is lost: this page goes on by itself once it is back.",
  ailing: "A part of wildtag does not answer. This page goes on by itself once it is back.",
  locked: "An API key is needed.",
};

export function install() {
  connection.onChange(banner);
  banner();
  refresh();
}

function banner() {
  const state = connection.current();
  const element = byId("banner");
  element.hidden = state === "online";
  element.dataset.state = state;
  element.replaceChildren(BANNERS[state] ?? "");
  if (state === "locked") element.append(" ", make("button", { type: "button", class: "quiet", onclick: openSignIn }, "Sign in"));
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
  const parts = [plural(done, "image tagged", "images tagged")];
  if (inbox + under) parts.push(`${(inbox + under).toLocaleString("en")} on the way`);
  if (failed) parts.push(`${failed.toLocaleString("en")} not tagged`);
  if (dead) parts.push(`${dead.toLocaleString("en")} given up`);
  const silent = Object.entries(status.seconds_since_progress).filter(([, seconds]) => inbox + under && seconds > SILENT_S);
  for (const [stage, seconds] of silent) parts.push(`${stage} silent for ${duration(seconds * 1000)}`);
  byId("counts").textContent = parts.join(" · ");
  byId("flower").hidden = !status.flower;
  if (status.flower) byId("flower").href = status.flower;
}
