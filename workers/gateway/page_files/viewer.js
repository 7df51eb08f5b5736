// The full-size view of an image, over the view from which it was opened. Its address is that of the image, so that
// "back" closes it and a bookmark of it leads to the image.

import { get, objectPath, oid, original, remove } from "./api.js";
import { card } from "./card.js";
import { byId, make, say } from "./dom.js";
import { follow } from "./following.js";
import { agreed } from "./question.js";
import { likeAddress } from "./search.js";
import { nameOf, objectAddress } from "./tiles.js";

const SWIPE_PX = 50;
const FIELDS = "input, select, textarea, summary";
let open_ = null; // {list, names, at, base, title, opener, target, deleted}
let returned = false; // whether the next hashchange only closed this view
let turn = 0;

const stage = make("div", { class: "stage" });
const count = make("p", { class: "note" });
const note = make("p", { class: "problem", role: "alert" });
const button = (words, name, onclick, more = {}) =>
  make("button", { type: "button", class: "quiet", title: name, "aria-label": name, onclick, ...more }, words);
const previous = button("‹", "Previous image", () => step(-1), { "aria-keyshortcuts": "ArrowLeft" });
const next = button("›", "Next image", () => step(1), { "aria-keyshortcuts": "ArrowRight" });
const whole = make("a", { class: "button quiet", target: "_blank", rel: "noreferrer" }, "Original");
const saved = make("a", { class: "button quiet", download: "" }, "Download");
const similar = make("a", { class: "button quiet" }, "More like this");
const erase = make("button", { type: "button", class: "quiet delete", onclick: () => ask() }, "Delete");
const dialog = make("dialog", { class: "viewer", "aria-label": "Image in full size" },
  make("div", { class: "bar" }, previous, next, count, whole, saved, similar, erase,
    button("×", "Close", () => close(), { class: "quiet end" })),
  note, stage);

export const shows = (element) => dialog.contains(element);

export function install() {
  document.body.append(dialog);
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.(".tile .look");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const tile = link.closest(".tile");
    open(named(tile.dataset.oid), tile);
  });
  addEventListener("popstate", () => {
    if (!open_) return;
    const { base, address, deleted } = open_;
    returned = location.hash === base && address !== base && !(deleted && base.startsWith("#/image/"));
    hide();
    if (deleted && address === base) dispatchEvent(new Event("hashchange")); // the view below shows what is gone
  });
  dialog.oncancel = (event) => {
    event.preventDefault();
    close();
  };
  dialog.onclose = () => open_ && close();
  dialog.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const modified = event.altKey || event.ctrlKey || event.metaKey;
    if (!way || modified || event.defaultPrevented || event.target.closest(FIELDS)) return;
    event.preventDefault();
    step(way);
  });
  let from = null;
  stage.addEventListener("touchstart", ({ touches }) => {
    from = touches.length === 1 ? touches[0] : null;
  }, { passive: true });
  stage.addEventListener("touchend", ({ changedTouches: [to] }) => {
    if (!from) return;
    const [across, down] = [to.clientX - from.clientX, to.clientY - from.clientY];
    from = null;
    if (Math.abs(across) > SWIPE_PX && Math.abs(across) > 2 * Math.abs(down)) step(across < 0 ? 1 : -1);
  });
}

// Whether a hashchange only returned to the view below.
export function left() {
  const mine = returned;
  returned = false;
  return mine;
}

function named(name) {
  const [bucket, ...key] = name.split("/");
  return { bucket, key: key.join("/") };
}

// `element`: the tile or card that stands for the image; the others in its list are the next and previous ones.
export function open(object, element) {
  if (open_) return;
  const name = oid(object);
  const list = element.dataset.oid ? element.parentElement : null;
  const names = list ? [...list.children].map((one) => one.dataset.oid).filter(Boolean) : [name];
  open_ = {
    list, names, at: names.indexOf(name), base: location.hash, title: document.title,
    opener: document.activeElement, address: "",
  };
  history.pushState(null, "", objectAddress(object));
  dialog.showModal();
  show(true);
}

export function close(target = null) {
  if (!open_) return;
  open_.target = target;
  history.back();
}

function hide() {
  const { list, names, at, title, opener, target } = open_;
  open_ = null;
  turn += 1;
  dialog.close();
  stage.replaceChildren();
  document.title = title;
  const shown = list && [...list.children].find((one) => one.dataset.oid === names[at]);
  const place = target ?? (shown && !shown.contains(opener) ? shown.querySelector(".look, button") : null) ?? opener;
  (place?.isConnected ? place : byId("main")).focus();
}

function step(way) {
  if (!open_?.names[open_.at + way]) return;
  open_.at += way;
  show();
}

async function show(first = false) {
  const mine = (turn += 1);
  const { list, names, at } = open_;
  const object = named(names[at]);
  const tile = [...(list?.children ?? [])].find((one) => one.dataset.oid === names[at]);
  const name = tile?.querySelector(".look")?.title || nameOf(object);
  open_.address = objectAddress(object);
  history.replaceState(null, "", open_.address);
  document.title = `${name} · wildtag`;
  note.textContent = "";
  count.textContent = `${at + 1} of ${names.length}`;
  previous.setAttribute("aria-disabled", String(at === 0));
  next.setAttribute("aria-disabled", String(at === names.length - 1));
  whole.href = original(object);
  saved.href = original(object, true);
  similar.href = likeAddress(object);
  const small = tile?.querySelector("img")?.currentSrc;
  const one = card(name, { heading: "h2", picture: small || null, size: 1600 });
  one.element.classList.add("single");
  const inside = first || stage.contains(document.activeElement);
  stage.replaceChildren(one.element);
  stage.scrollTop = 0;
  const heading = one.element.querySelector("h2");
  heading.tabIndex = -1;
  if (inside) heading.focus();
  try {
    const status = await get(objectPath(object));
    if (mine !== turn) return;
    one.status(status);
    if (!status.record) follow(object, 0, one.status);
  } catch (refused) {
    if (mine === turn) note.textContent = refused.message;
  }
}

async function ask() {
  const object = named(open_.names[open_.at]);
  const sentence = "The file is removed from the bucket. This cannot be undone here.";
  if (!(await agreed("Delete this image?", [sentence], [object.key], "Delete"))) return;
  try {
    await remove(objectPath(object));
  } catch (refused) {
    note.textContent = `${object.key} was not deleted. ${refused.message}`;
    return;
  }
  say(`Deleted ${nameOf(object)}.`);
  if (!open_) return;
  open_.deleted = true;
  const name = oid(object);
  for (const tile of document.querySelectorAll(".tile")) if (tile.dataset.oid === name) tile.remove();
  open_.names.splice(open_.names.indexOf(name), 1);
  open_.at = Math.min(open_.at, open_.names.length - 1);
  if (open_.names.length) show();
  else close(byId("main"));
}
