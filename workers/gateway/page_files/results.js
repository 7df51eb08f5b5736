// The view of a search: its filters and the images that were found.

import { get, oid, path, post, sentence, thumbnail } from "./api.js";
import { byId, make, plural, say } from "./dom.js";
import { filterForm } from "./filters.js";
import { imageNumber } from "./search.js";
import { nameOf, tile } from "./tiles.js";

const PAGE = 48;
const LONGEST = 80; // characters of metadata in a reason
const STATES = { failed: "Failed", dead: "Abandoned", skipped: "Skipped" };
const SENT = ["q", "like", "tag", "not_tag", "after", "before", "prefix", "state"];

// `parameters`: URLSearchParams of the address. Throws Refusal.
export async function results(parameters, current) {
  const asked = Object.fromEntries(parameters);
  byId("query").value = asked.q ?? "";
  document.title = `${asked.q || "Search"} · wildtag`;
  const list = make("ul", { class: "wall wide found", "aria-label": "Images found" });
  const note = make("p", { class: "note", role: "status" });
  const next = () => add().catch(failed);
  const more = make("button", { type: "button", class: "quiet", hidden: true, onclick: next }, "Show more");
  const search = searching(parameters);
  const heading = make("h2", { tabindex: "-1" }, titled(asked));
  const parts = [heading, asked.like && original(asked.like), filterForm(parameters), note, list, make("p", {}, more)];

  async function add(first = false) {
    more.disabled = true;
    try {
      const page = await search.next();
      if (!current()) return;
      const tiles = page.images.map(({ record, ...found }) => tile(record, { found }));
      list.append(...tiles);
      more.hidden = !page.cursor;
      note.classList.remove("problem");
      note.textContent = counted(list.children.length, page, parameters);
      if (first) say(note.textContent);
      else tiles[0]?.querySelector("a").focus();
    } finally {
      more.disabled = false;
    }
  }
  function failed(refused) {
    note.classList.add("problem");
    note.textContent = refused.message;
    if (refused.name === "expired") more.hidden = true;
  }
  if (!search) {
    note.textContent = "Type what the images show, such as “a red car”, or choose a tag, a date or a state.";
    return parts.filter(Boolean);
  }
  try {
    await add(true);
  } catch (refused) {
    failed(refused);
    note.textContent = advice(refused, asked);
    const repeat = () => dispatchEvent(new Event("hashchange"));
    const again = make("button", { type: "button", class: "main", onclick: repeat }, "Search again");
    parts.splice(-2, 2, make("p", {}, again));
  }
  return parts.filter(Boolean);
}

function titled({ q, like, image, state }) {
  if (state) return `${STATES[state] ?? state} images`;
  if (q) return `Images for “${q}”`;
  if (like) return `More like ${nameOf({ key: like })}`;
  return image ? "Images like yours" : "Search";
}

function original(key) {
  return make("p", { class: "note" }, "Compared with ", make("q", {}, key));
}

function counted(count, { cursor, truncated, hint, incomplete }, parameters) {
  const missing = incomplete ? ` ${sentence(incomplete)}` : "";
  if (!count) {
    const filtered = ["tag", "not_tag", "prefix", "after", "before"].some((name) => parameters.has(name));
    if (hint) return `${sentence(hint)}${missing}`;
    if (incomplete) return `No image was found.${missing}`;
    return `No image was found. ${filtered ? "Remove a filter, or search for other words." : "Try other words."}`;
  }
  const all = cursor ? " and more" : truncated ? "; there may be more: add a filter" : "";
  // where nothing hovers, the reasons are always shown
  const why = matchMedia("(hover: none)").matches ? "" : " Hover or focus an image to see why it was found.";
  return `${hint ? `${sentence(hint)} ` : ""}${plural(count, "image", "images")}${all}.${why}${missing}`;
}

function advice(refused, { like }) {
  if (refused.status !== 404) return refused.message;
  const why = sentence(refused.detail);
  return like ? `${why} Open the image and tag it again, then search again.` : why;
}

// `next()` returns a page: {images, cursor, truncated, incomplete}; each image has a record and why it was found. Null if nothing
// is asked for.
function searching(parameters) {
  let cursor = null;
  const query = new URLSearchParams([...parameters].filter(([name, value]) => SENT.includes(name) && value));
  query.set("limit", PAGE);
  const number = parameters.get("image");
  if (number === null && query.size === 1) return null;
  return {
    async next() {
      const rest = cursor && `/v1/search?${new URLSearchParams({ cursor, limit: PAGE })}`;
      const page = rest ? await get(rest) : await first(number, query);
      cursor = page.cursor;
      return { ...page, images: page.images.map((hit) => ({ record: asRecord(hit), why: why(hit) })) };
    },
  };
}

async function first(number, query) {
  if (number === null) return get(`/v1/search?${query}`);
  const image = imageNumber(number);
  if (!image) throw new Error("The image of this search is not kept. Choose it again with “By image”.");
  return post(`/v1/search?${query}`, image);
}

const asRecord = (hit) => ({ ...hit, tags: hit.all_tags });

// Why an image was found, as a sentence.
function why({ similarity, tags, words, metadata }) {
  const parts = [
    similarity !== null && `Similarity ${similarity.toFixed(2)}`,
    tags.length > 0 && `${tags.length === 1 ? "tag" : "tags"} ${tags.map((tag) => `“${tag}”`).join(", ")}`,
    metadata.length > 0 && `metadata: ${metadata.map(shortened).join(", ")}`,
    words.length > 0 && `file name: ${words.join(", ")}`,
  ].filter(Boolean);
  return parts.length ? parts.join("; ") : "Passes the filters";
}

const shortened = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text);
