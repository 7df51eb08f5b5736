// The views by address: #/ the images, #/tags, #/tag/LABEL, #/image/BUCKET/KEY, #/search?…, #/duplicates.

import { get, objectPath, path, sentence } from "./api.js";
import { card } from "./card.js";
import { byId, make, plural } from "./dom.js";
import { duplicates } from "./duplicates.js";
import { follow } from "./following.js";
import { results } from "./results.js";
import { tagChip } from "./tags.js";
import { nameOf, tile } from "./tiles.js";
import * as viewer from "./viewer.js";

const PAGE = 48;
let turn = 0; // the number of the current view; late results of others are dropped

export function install() {
  addEventListener("hashchange", () => viewer.left() || show(true));
  show(false);
}

async function show(moved) {
  const mine = (turn += 1);
  const [route, query = ""] = location.hash.split("?");
  const [, name = "", ...rest] = route.split("/");
  const view = byId("view");
  const open = {
    tags: allTags, tag: tagged, image, duplicates, search: (_, current) => results(new URLSearchParams(query), current),
  }[name];
  byId("home").hidden = Boolean(open);
  view.hidden = !open;
  document.title = "wildtag";
  if (name !== "search") byId("query").value = "";
  for (const link of document.querySelectorAll("nav a[href^='#']")) {
    const here = link.hash === (name === "tags" || name === "duplicates" ? `#/${name}` : open ? "" : "#/");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (open) {
    view.replaceChildren(make("p", { class: "note" }, "Loading …"));
    try {
      const parts = await open(rest.map(decodeURIComponent), () => mine === turn);
      if (mine !== turn) return;
      view.replaceChildren(...parts);
    } catch (failed) {
      if (mine !== turn) return;
      const again = make("button", { type: "button", class: "main", onclick: () => show(true) }, "Try again");
      const sentence = failed instanceof URIError ? "This address is not valid." : failed.message;
      view.replaceChildren(make("p", { class: "problem" }, sentence), make("p", {}, again));
    }
  }
  if (!moved) return;
  scrollTo(0, 0);
  (open ? (view.querySelector("h2") ?? byId("main")) : byId("main")).focus({ preventScroll: true });
}

const title = (...parts) => make("h2", { tabindex: "-1" }, ...parts);

async function tagged([label]) {
  document.title = `${label} · wildtag`;
  const address = `/v1/tags/${path(label).replaceAll("/", "%2F")}/objects?limit=${PAGE}`;
  const list = make("ul", { class: "wall wide" });
  const shown = make("span", { class: "label" }, label);
  const more = make("button", { type: "button", class: "quiet", onclick: () => add().catch((refused) => (more.textContent = `${refused.message} Try again`)) }, "Show more");
  let none = "No image has this tag.";
  async function add(first = false) {
    const page = await get(more.dataset.cursor ? `${address}&cursor=${more.dataset.cursor}` : address);
    const tiles = page.objects.map(({ record, ...found }) => tile(record, { found }));
    list.append(...tiles);
    const meant = page.hint?.split("; ")[1];
    if (meant) none += ` ${sentence(meant)}`;
    shown.textContent = page.label; // in its most common spelling
    document.title = `${page.label} · wildtag`;
    more.textContent = "Show more";
    more.hidden = page.cursor === null;
    more.dataset.cursor = page.cursor ?? "";
    if (!first) tiles[0]?.querySelector("a").focus();
  }
  await add(true);
  const count = list.children.length;
  return [
    title("Tagged ", make("span", { class: "tag still" }, shown)),
    make("p", { class: "note" }, count ? `${plural(count, "image", "images")}${more.hidden ? "" : " and more"}, surest first.` : none),
    list,
    make("p", {}, more),
  ];
}

async function allTags(_, current) {
  document.title = "Tags · wildtag";
  const list = make("ul", { class: "tags cloud", "aria-label": "Tags, most frequent first" });
  const note = make("p", { class: "note", role: "status" });
  const input = make("input", { id: "prefix", type: "search", autocomplete: "off", spellcheck: "false" });
  async function fill() {
    const asked = input.value;
    const { tags, cursor } = await get(`/v1/tags?limit=200&prefix=${encodeURIComponent(asked)}`);
    if (asked !== input.value || !current()) return;
    list.replaceChildren(...tags.map(({ label, objects, implied }) => {
      const many = objects + implied;
      const title = plural(many, "image", "images") + (implied ? `, ${objects ? `${implied} of them ` : ""}by a narrower tag` : "");
      const one = tagChip({ label }, { title });
      one.append(make("span", { class: "many" }, make("span", { class: "unseen" }, ", "), many.toLocaleString("en"),
        make("span", { class: "unseen" }, many === 1 ? " image" : " images")));
      return make("li", {}, one);
    }));
    note.textContent = !tags.length
      ? asked ? `No tag starts with “${asked}”.` : "There are no tags yet. Drop an image first."
      : cursor === null ? plural(tags.length, "tag", "tags") : `The ${tags.length} most frequent tags`;
  }
  input.oninput = () => fill().catch((refused) => (note.textContent = refused.message));
  await fill();
  return [title("Tags"), make("p", { class: "find" }, make("label", { for: "prefix" }, "Starts with "), input), note, list];
}

async function image(parts) {
  const object = { bucket: parts[0], key: parts.slice(1).join("/") };
  const status = await get(objectPath(object));
  const name = nameOf({ ...object, file_name: (status.record ?? status.previous)?.file_name });
  const one = card(name, { heading: "h2" });
  one.element.classList.add("single");
  one.element.querySelector("h2").tabIndex = -1;
  document.title = `${name} · wildtag`;
  one.status(status);
  if (!status.record) follow(object, 0, one.status);
  return [one.element];
}
