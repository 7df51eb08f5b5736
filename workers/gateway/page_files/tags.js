// A tag with its score; it links to the images with this tag.

import { make } from "./dom.js";

export const tagAddress = (label) => `#/tag/${encodeURIComponent(label)}`;

// `tag`: {label, score?}. `fresh`: whether it is new.
export function tagChip(tag, { fresh = false, ...attributes } = {}) {
  const chip = make(
    "a",
    { class: fresh ? "tag fresh" : "tag", href: tagAddress(tag.label), ...attributes },
    make("span", { class: "label" }, tag.label),
    fresh && make("span", { class: "unseen" }, ", new"),
  );
  if (tag.score !== undefined) {
    chip.append(make("span", { class: "unseen" }, ", score "), make("span", { class: "score" }, tag.score.toFixed(2)));
    chip.style.setProperty("--score", String(tag.score));
  }
  return chip;
}

export function tagList(tags, name, options = () => ({})) {
  return make(
    "ul",
    { class: "tags", "aria-label": name },
    ...tags.map((tag, place) => make("li", {}, tagChip(tag, options(tag, place)))),
  );
}
