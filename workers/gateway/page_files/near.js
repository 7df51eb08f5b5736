// The images that look like one of which a person said something: accept or reject the label for them, too.

import { objectPath, oid, post, thumbnail } from "./api.js";
import { make, plural } from "./dom.js";
import * as feed from "./feed.js";
import { nameOf, objectAddress } from "./tiles.js";

const SHOWN = 48;
let grids = 0;

// `found`: {bucket, key, similarity}, nearest first. `early`: records that came already. `end()` ends its updates.
export function nearImages(found, label, accepted, early) {
  const id = `near-${(grids += 1)}`;
  const rows = found.map((object) => ({ object, said: undefined, has: null, element: null }));
  const byName = new Map(rows.map((row) => [oid(row.object), row]));
  const counted = make("p", { class: "note", role: "status" });
  const progress = make("p", { class: "note", role: "status" }); // answers to clicks, which no count may replace
  const problems = make("ul", { class: "problem", "aria-label": "Problems" });
  const list = make("ul", { class: "near", "aria-labelledby": id });
  const all = () => show(rows.length);
  const more = make("button", { type: "button", class: "quiet", onclick: all }, `Show all ${rows.length}`);
  const chosen = () => rows.filter((row) => row.box?.checked);
  const action = (words, pick, verdict) => make("button", {
    type: "button", class: "quiet", onclick: () => tell(pick(), verdict),
  }, words);
  const buttons = [
    accepted ? action("Accept all", () => rows, true) : action("Reject all", () => rows, false),
    action("Accept selected", chosen, true),
    action("Reject selected", chosen, false),
  ];
  const effect = accepted
    ? `They gain “${label}” by themselves, as examples. Accept it to make it a statement about each image.`
    : `“${label}” is withheld from those that are nearer to this image than to one that was accepted.`;
  const element = make("section", { class: "likes" },
    make("h4", { id }, `${plural(rows.length, "more looks", "more look")} like this`),
    make("p", { class: "note" }, effect), list, more, make("p", { class: "buttons" }, ...buttons), progress, counted, problems);

  function show(count) {
    list.replaceChildren(...rows.slice(0, count).map((row) => (row.element ??= drawn(row))));
    more.hidden = count >= rows.length;
  }

  function drawn(row) {
    const name = nameOf(row.object);
    row.box = make("input", { type: "checkbox" });
    row.mark = make("span", { class: "mark" });
    mark(row);
    const picture = make("img", { src: thumbnail(row.object, 160), alt: "", loading: "lazy", decoding: "async" });
    const address = objectAddress(row.object);
    return make("li", {}, make("label", {}, picture, make("span", {}, row.box, " ", name)),
      make("p", { class: "note" }, make("a", { href: address }, "Open", make("span", { class: "unseen" }, ` ${name}`)),
        ` · ${row.object.similarity.toFixed(2)} `, row.mark));
  }

  function mark(row) {
    if (!row.mark) return;
    const said = { true: "accepted", false: "rejected" }[row.said];
    row.mark.textContent = said ?? (row.has ? "has it now" : "");
  }

  function came(record) {
    const row = byName.get(oid(record));
    if (!row) return;
    row.has = record.tags.some((tag) => tag.label === label);
    mark(row);
    count();
  }

  function count() {
    const having = rows.filter((row) => row.has).length;
    const known = rows.filter((row) => row.has !== null).length;
    counted.textContent = known ? `${having} of ${rows.length} have “${label}” now.` : "";
  }

  let drawnOnce = false;
  let tellings = 0; // statements that are being sent
  async function tell(targets, verdict) {
    if (tellings) return;
    problems.replaceChildren();
    if (!targets.length) {
      progress.textContent = "Select images first.";
      return;
    }
    tellings = targets.length;
    let done = 0;
    for (const row of targets) {
      progress.textContent = `${verdict ? "Accepting" : "Rejecting"}: ${done} of ${targets.length} …`;
      try {
        await post(`${objectPath(row.object)}:tag`, { label, accepted: verdict });
        row.said = verdict;
        if (row.box) row.box.checked = false;
        mark(row);
      } catch (refused) {
        problems.append(make("li", {}, `${row.object.key}: ${refused.message}`));
        if (refused.name === "away" || refused.status === 401) break; // it would fail for all
      }
      done += 1;
    }
    tellings = 0;
    const good = targets.filter((row) => row.said === verdict).length;
    progress.textContent = `${verdict ? "Accepted" : "Rejected"} for ${plural(good, "image", "images")}.`
      + (good < targets.length ? ` ${targets.length - good} failed: try again.` : "");
  }

  show(SHOWN);
  for (const record of early.values()) came(record);
  const stop = feed.listen({
    came(record) {
      if (drawnOnce && !element.isConnected) stop(); // the view was left
      else came(record);
      drawnOnce ||= element.isConnected;
    },
  });
  return { element, end: stop };
}
