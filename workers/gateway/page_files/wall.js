// The list of recent images from all sources, newest first. It can be paused.

import { get, oid } from "./api.js";
import { byId, plural } from "./dom.js";
import * as feed from "./feed.js";
import { tile } from "./tiles.js";

const PAGE = 24;
const MOST = 240; // tiles
let held = false;
let missed = [];
let cursor = null;
let loading = null;
let again = false; // load once more: events may have been missed since the list was asked for
let meanwhile = []; // changes that came while the list was loaded, which may not have them

export function install() {
  byId("hold").onclick = hold;
  byId("older").onclick = older;
  feed.listen({
    came: (record) => changed(() => put(record)),
    went: (object) => changed(() => drop(object)),
    anew: load,
  });
}

function changed(change) {
  if (held) return keep(change);
  if (loading) meanwhile.push(change);
  change();
}

async function load() {
  again = loading !== null;
  loading ??= fill().finally(() => {
    loading = null;
    for (const change of meanwhile.splice(0)) change();
    if (again) load();
  });
  await loading;
}

async function fill() {
  const wall = byId("wall");
  try {
    const page = await get(`/v1/objects?limit=${PAGE}`);
    wall.replaceChildren(...page.objects.map((record) => tile(record)));
    cursor = page.cursor;
    say();
  } catch (refused) {
    byId("wall-note").textContent = `The images cannot be loaded. ${refused.message}`;
  }
  wall.setAttribute("aria-busy", "false");
}

async function older() {
  let page;
  try {
    page = await get(`/v1/objects?limit=${PAGE}&cursor=${cursor}`);
  } catch (refused) {
    byId("wall-note").textContent = refused.message;
    return;
  }
  const there = new Set([...byId("wall").children].map((one) => one.dataset.oid));
  const fresh = page.objects.filter((record) => !there.has(oid(record))).map((record) => tile(record));
  byId("wall").append(...fresh);
  fresh[0]?.querySelector("a").focus();
  cursor = page.cursor;
  say();
}

function find(object) {
  return [...byId("wall").children].find((one) => one.dataset.oid === oid(object));
}

function put(record) {
  const fresh = tile(record);
  const old = find(record);
  if (old?.contains(document.activeElement)) old.replaceWith(fresh);
  else old?.remove();
  if (!fresh.isConnected) byId("wall").prepend(fresh);
  fresh.classList.add("fresh");
  while (byId("wall").children.length > MOST) byId("wall").lastElementChild.remove();
  say();
}

function drop(object) {
  find(object)?.remove();
  say();
}

function say() {
  const empty = !byId("wall").children.length;
  byId("wall-note").textContent = held && missed.length
    ? `Paused: ${plural(missed.length, "change", "changes")} not shown.`
    : empty ? "No images yet. Drop an image on this page, or put files into the bucket." : "";
  byId("older").hidden = cursor === null || byId("wall").children.length >= MOST;
}

function keep(change) {
  missed.push(change);
  say();
}

function hold() {
  held = !held;
  byId("hold").setAttribute("aria-pressed", String(held));
  if (!held) for (const change of missed.splice(0)) change();
  say();
}
