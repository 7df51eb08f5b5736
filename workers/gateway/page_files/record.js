// Shows a record: its tags, the captions that are their evidence, and its duration.

import { duration, ended, make, plural } from "./dom.js";
import { tagList } from "./tags.js";

const SHOWN = 3; // captions before "more"

// `before`: the labels of the earlier record; other tags are marked as new. `beside(tag)`: elements beside a tag.
export function details(record, before = null, beside = undefined) {
  if (record.state !== "done") return [make("p", { class: "problem" }, reason(record)), written(record)].filter(Boolean);
  const parts = [];
  if (record.retag_error) {
    const why = ended(record.retag_error.reason);
    parts.push(make("p", { class: "problem" }, `Tagging it again failed, so these are the earlier tags: ${why}`));
  }
  if (record.unknown) {
    parts.push(make("p", { class: "unknown" }, because(record.unknown_because)));
  } else if (!record.tags.length) {
    parts.push(make("p", { class: "unknown" }, "No tags found. You can add a caption that names the image."));
  }
  for (const { reason: why } of record.media?.warnings ?? []) {
    parts.push(make("p", { class: "unknown" }, `Warning: ${ended(why)}`));
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
    parts.push(tagList(record.tags, before === null ? "Tags" : "Tags now", options, beside));
  }
  if (captions) parts.push(captions.element);
  if (written(record)) parts.push(written(record));
  const where = record.segmentation;
  if (where?.error) parts.push(make("p", { class: "problem" }, `Segmentation failed: ${ended(where.error.reason)}`));
  else if (where && !where.segments.length) {
    parts.push(make("p", { class: "unknown" }, "Segmentation found no labels: no part of the image is sure enough."));
  }
  return parts;
}

// A value and the minimum that it misses, with as many digits as tell them apart.
function below({ value, least }) {
  let digits = 2;
  while (digits < 6 && value.toFixed(digits) === least.toFixed(digits)) digits += 1;
  return [value.toFixed(digits), least.toFixed(digits)];
}

// `why`: null in records of older versions.
function because(why) {
  const add = "You can add a caption that names the image.";
  const best = why?.label ? `The best is “${why.label}” with ${below(why).join("; the minimum is ")}. ` : "";
  switch (why?.code) {
    case "featureless": return "Unknown: the image shows nothing but a colour, blur or noise.";
    case "no-captions": return `Unknown: there are no captions. ${add}`;
    case "low-score": return `Unknown: no tag has a high enough score. ${best}${add}`;
    case "low-evidence": return `Unknown: no tag rests on a caption that is close enough. ${best}${add}`;
    case "low-confidence": return `Unknown: no tag is sure enough. ${best}${add}`;
    case "rejected": return "Unknown: its tags were rejected. You can type one.";
    default: return "Unknown: no caption is close enough to this image. You can add one.";
  }
}

function heading({ unknown, unknown_because: why }) {
  if (!unknown) return "Based on these captions";
  return (why?.code ?? "no-near-caption") === "no-near-caption" ? "The nearest captions, not close enough" : "The nearest captions";
}

// What its owner wrote beside the image.
function written({ file_name: name, client_id: id, metadata }) {
  const rows = [name && ["file", name], id && ["id", id], ...Object.entries(metadata ?? {})].filter(Boolean);
  if (!rows.length) return null;
  return make("details", { class: "written" },
    make("summary", {}, "Your metadata"),
    make("dl", {}, ...rows.flatMap(([term, text]) => [make("dt", {}, term), make("dd", {}, text)])));
}

export function reason(record) {
  const why = ended(record.error?.reason ?? "unknown reason");
  return record.state === "dead"
    ? `Abandoned after several attempts: ${why}`
    : `Tagging failed: ${why}`;
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
    make("h4", {}, heading(record)),
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
