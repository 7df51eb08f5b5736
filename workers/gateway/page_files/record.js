// What a record says: its tags, the captions that are the evidence for them, and its timings.

import { duration, ended, make, plural } from "./dom.js";
import { tagList } from "./tags.js";

const SHOWN = 3; // captions before "more"

// `before`: the labels that it had earlier, of which new tags are told apart.
export function told(record, before = null) {
  if (record.state !== "done") return [make("p", { class: "problem" }, reason(record))];
  const parts = [];
  if (record.unknown) {
    parts.push(make("p", { class: "unknown" }, "Unknown: no caption is near enough to say what this is. You can teach one."));
  } else if (!record.tags.length) {
    parts.push(make("p", { class: "unknown" }, "No word stood out. You can teach a caption that names it."));
  }
  const captions = evidence(record);
  if (record.tags.length) {
    const options = (tag, place) => ({
      fresh: before !== null && !before.includes(tag.label),
      onmouseenter: () => captions?.cited(record.tags[place].evidence),
      onmouseleave: () => captions?.cited([]),
      onfocus: () => captions?.cited(record.tags[place].evidence),
      onblur: () => captions?.cited([]),
    });
    parts.push(tagList(record.tags, before === null ? "Tags" : "Tags now", options));
  }
  if (captions) parts.push(captions.element);
  const where = record.segmentation;
  if (where?.error) parts.push(make("p", { class: "problem" }, `What is where cannot be said: ${ended(where.error.reason)}`));
  else if (where && !where.segments.length) {
    parts.push(make("p", { class: "unknown" }, "No caption is near enough to say what is where in it."));
  }
  return parts;
}

export function reason(record) {
  const why = ended(record.error?.reason ?? "no reason is known");
  return record.state === "dead"
    ? `It was begun several times and never finished: ${why}`
    : `It cannot be tagged: ${why}`;
}

function evidence(record) {
  if (!record.evidence.length) return null;
  const items = record.evidence.map(({ caption, similarity }) =>
    make(
      "li",
      {},
      make("q", {}, caption),
      make("span", { class: "similarity" }, make("span", { class: "unseen" }, " similarity "), similarity.toFixed(2)),
    ),
  );
  const more = items.slice(SHOWN);
  const element = make(
    "div",
    { class: "evidence" },
    make("h4", {}, record.unknown ? "The nearest captions, which are too far" : "Because of these captions"),
    make("ol", {}, ...items.slice(0, SHOWN)),
    more.length > 0 &&
      make("details", {}, make("summary", {}, plural(more.length, "more caption", "more captions")),
        make("ol", { start: SHOWN + 1 }, ...more)),
  );
  const cited = (places) => items.forEach((item, place) => item.classList.toggle("cited", places.includes(place)));
  return { element, cited };
}

export function totalTime(record) {
  const total = record.timings_ms.total;
  return total === undefined ? "" : duration(total);
}
