// The view of duplicates: groups of copies of one picture. Nothing is deleted without being asked.

import { get, objectPath, oid, remove } from "./api.js";
import { make, plural, say } from "./dom.js";
import { agreed } from "./question.js";
import { nameOf, tile } from "./tiles.js";

const PAGE = 20;
const NAMED = 12; // files that the question names
const LOOK = "Look before deleting: pictures that differ in a few letters, such as two forms, can be in one group.";

export const size = (bytes) => {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  const at = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${at ? (bytes / 1000 ** at).toFixed(1) : bytes} ${units[at]}`;
};

export async function duplicates(_, current) {
  document.title = "Duplicates · wildtag";
  const note = make("p", { class: "note" });
  const outcome = make("p", { class: "note", role: "status" });
  const problems = make("ul", { class: "problem", "aria-label": "Problems" });
  const groups = make("div", { class: "groups" });
  const chosen = new Map(); // by bucket/key: the copies to delete
  let cursor = null;
  let total = 0;
  const erase = make("button", { type: "button", class: "delete", onclick: ask }, "");
  const none = make("button", { type: "button", class: "quiet", onclick: () => {
    for (const { box } of [...chosen.values()]) choose(box, false);
  } }, "Select none");
  const bar = make("p", { class: "buttons selected", hidden: true }, erase, none);
  const quiet = (words, work) =>
    make("button", { type: "button", class: "quiet", onclick: () => work().catch(failed) }, words);
  const more = quiet("Show more", add);
  const again = quiet("Compare again", afresh);
  more.hidden = true;

  async function add(refresh = false) {
    const query = new URLSearchParams({ limit: PAGE, refresh, ...(cursor && { cursor }) });
    const page = await get(`/v1/duplicates?${query}`);
    if (!current()) return;
    cursor = page.cursor;
    total = page.total;
    groups.append(...page.groups.map(group));
    more.hidden = cursor === null;
    note.textContent = total
      ? `${plural(total, "group", "groups")} of copies; all but the largest of each take ${size(page.wasted)}. ${LOOK}`
      : "No duplicates were found. Images are compared once they are tagged.";
  }

  async function afresh() {
    cursor = null;
    again.disabled = true;
    try {
      groups.replaceChildren();
      chosen.clear();
      selected();
      await add(true);
      outcome.textContent = "Compared again.";
    } finally {
      again.disabled = false;
    }
  }

  function failed(refused) {
    outcome.textContent = `${refused.message} Try again.`;
  }

  function group({ copies, wasted }) {
    const items = copies.map((copy, place) => drawn(copy, place));
    const rest = items.slice(1);
    const name = nameOf(copies[0]);
    return make("section", { class: "group", "aria-label": `Copies of ${name}` },
      make("div", { class: "heading" }, make("h3", {}, `${plural(copies.length, "copy", "copies")} of ${name}`),
        make("p", { class: "note" }, `${size(wasted)} in all but the largest`)),
      make("p", {}, make("button", {
        type: "button", class: "quiet", "aria-label": `Select all but the largest copy of ${name}`,
        onclick: () => rest.forEach(({ box }) => box.isConnected && choose(box, true)),
      }, "Select all but the largest")),
      make("ul", { class: "wall wide" }, ...items.map(({ element }) => element)));
  }

  function drawn(copy, place) {
    const element = tile({ ...copy, etag: "", state: "done", tags: [] });
    element.querySelector(".unknown")?.remove();
    const box = make("input", { type: "checkbox", onchange: () => choose(box, box.checked) });
    box.copy = copy;
    const change = copy.transform !== "same" ? copy.transform : copy.distance ? "resized or compressed" : "the same picture";
    const differs = copy.exact ? "the same bytes" : `${change}, ${copy.distance} of 256 bits of the hashes differ`;
    const how = place === 0 ? "the largest" : differs;
    element.querySelector(".frame").after(
      make("p", { class: "name" }, copy.file_name ?? copy.key),
      make("p", { class: "note" }, `${(copy.pixels / 1e6).toFixed(2)} megapixels, ${size(copy.bytes)}; ${how}`),
      make("label", { class: "pick" }, box, " Select", make("span", { class: "unseen" }, ` ${copy.file_name ?? copy.key}`)));
    return { element, box };
  }

  function choose(box, so) {
    box.checked = so;
    if (so) chosen.set(oid(box.copy), { copy: box.copy, box });
    else chosen.delete(oid(box.copy));
    selected();
  }

  function selected() {
    const bytes = [...chosen.values()].reduce((sum, { copy }) => sum + copy.bytes, 0);
    bar.hidden = !chosen.size;
    erase.textContent = `Delete ${plural(chosen.size, "selected copy", "selected copies")} (${size(bytes)})`;
  }

  async function ask() {
    const rows = [...chosen.values()];
    const whole = [...groups.children].filter((one) => !one.querySelector("[type=checkbox]:not(:checked)"));
    const names = rows.slice(0, NAMED).map(({ copy }) => copy.file_name ? `${copy.file_name} (${copy.key})` : copy.key);
    if (rows.length > NAMED) names.push(`and ${rows.length - NAMED} more`);
    const sentences = [LOOK, "The files are removed from the bucket. This cannot be undone here."];
    if (whole.length) {
      const pictures = plural(whole.length, "picture", "pictures");
      sentences.unshift(`Every copy of ${pictures} is selected: nothing of it is kept.`);
    }
    if (!(await agreed(`Delete ${plural(rows.length, "file", "files")}?`, sentences, names, "Delete"))) return;
    problems.replaceChildren();
    erase.disabled = none.disabled = true;
    let done = 0;
    for (const { copy, box } of rows) {
      outcome.textContent = `Deleting: ${done} of ${rows.length} …`;
      try {
        await remove(objectPath(copy));
        drop(copy, box);
        done += 1;
      } catch (refused) {
        problems.append(make("li", {}, `${copy.key} was not deleted. ${refused.message}`));
        if (refused.name === "away" || refused.status === 401) break; // it would fail for all
      }
    }
    erase.disabled = none.disabled = false;
    outcome.textContent = `Deleted ${plural(done, "file", "files")}.`;
    say(outcome.textContent);
    if (done && !more.hidden) {
      more.hidden = true; // its place in the list has changed
      outcome.textContent += " Compare again to see the other groups.";
    }
    if (bar.hidden) again.focus();
  }

  function drop(copy, box) {
    choose(box, false);
    const section = box.closest(".group");
    box.closest(".tile").remove();
    if (section.querySelectorAll(".tile").length < 2) section.remove();
  }

  await add();
  return [
    make("h2", { tabindex: "-1" }, "Duplicates"), note, make("p", { class: "buttons" }, again), bar, outcome, problems,
    groups, make("p", {}, more),
  ];
}
