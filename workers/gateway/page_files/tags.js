// A tag with its confidence, or its score where there is none; it links to the images with this tag.

import { make } from "./dom.js";

export const tagAddress = (label) => `#/tag/${encodeURIComponent(label)}`;

// `tag`: {label, score?, confidence?}. `fresh`: whether it is new.
export function tagChip(tag, { fresh = false, ...attributes } = {}) {
  const chip = make(
    "a",
    { class: fresh ? "tag fresh" : "tag", href: tagAddress(tag.label), ...attributes },
    make("span", { class: "label" }, tag.label),
    fresh && make("span", { class: "unseen" }, ", new"),
  );
  const value = tag.confidence ?? tag.score;
  if (value !== undefined) {
    const name = (tag.confidence ?? null) === null ? ", score " : ", confidence ";
    chip.append(make("span", { class: "unseen" }, name), make("span", { class: "score" }, value.toFixed(2)));
    chip.style.setProperty("--score", String(value));
  }
  return chip;
}

// `beside(tag)`: elements beside the tag.
export function tagList(tags, name, options = () => ({}), beside = () => []) {
  return make(
    "ul",
    { class: "tags", "aria-label": name },
    ...tags.map((tag, place) => make("li", {}, tagChip(tag, options(tag, place)), ...beside(tag))),
  );
}
