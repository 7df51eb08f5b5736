// The filters of a search. A change of one is a new address.

import { get } from "./api.js";
import { make } from "./dom.js";
import { searchAddress } from "./search.js";

const STATES = { "": "Tagged", failed: "Failed", dead: "Abandoned", skipped: "Skipped" };
const CHIPS = { tag: "", not_tag: "not ", prefix: "name begins with " };
const SUGGESTED = 12;
let forms = 0;

export function filterForm(parameters) {
  const id = `filters-${(forms += 1)}`;
  const go = (change) => {
    const next = new URLSearchParams([...parameters].filter(([, value]) => value));
    change(next);
    const address = searchAddress(next);
    if (address !== location.hash) location.hash = address;
  };
  const chips = Object.keys(CHIPS).flatMap((name) => parameters.getAll(name).map((label) =>
    make("li", { class: "chosen" }, make("span", {}, CHIPS[name] + label),
      make("button", {
        type: "button", class: "quiet", "aria-label": `Remove the filter ${CHIPS[name]}${label}`,
        onclick: () => go((next) => next.delete(name, label)),
      }, "×"))));
  const options = make("datalist", { id: `${id}-tags` });
  const tag = make("input", {
    id: `${id}-tag`, list: options.id, maxlength: "200", autocomplete: "off", spellcheck: "false",
  });
  tag.oninput = () => suggest(tag.value, options);
  const without = make("input", { id: `${id}-not`, type: "checkbox" });
  const state = make("select", { id: `${id}-state`, onchange: () => go((next) => {
    // what is not tagged has only a name
    for (const name of state.value ? [...next.keys()] : []) if (name !== "prefix") next.delete(name);
    next.delete("state");
    if (state.value) next.set("state", state.value);
  }) }, ...Object.entries(STATES).map(([value, words]) =>
    make("option", { value, selected: value === (parameters.get("state") ?? "") }, words)));
  const date = (name, words) => {
    const field = make("input", { id: `${id}-${name}`, type: "date", value: parameters.get(name) ?? "", onchange() {
      if (field.value && field.value < "1000") return; // the year is being typed
      go((next) => {
        next.delete("state");
        if (field.value) next.set(name, field.value);
        else next.delete(name);
      });
    } });
    return make("p", {}, make("label", { for: field.id }, words), field);
  };
  const form = make(
    "form",
    { class: "filters", "aria-label": "Filters", onsubmit(event) {
      event.preventDefault();
      const label = tag.value.trim();
      if (label) go((next) => {
        next.delete("state");
        next.append(without.checked ? "not_tag" : "tag", label);
      });
    } },
    make("p", { class: "by-tag" }, make("label", { for: tag.id }, "Tag"), tag, options),
    make("p", { class: "without" }, without, make("label", { for: without.id }, "without it")),
    make("p", {}, make("button", { type: "submit", class: "quiet" }, "Add filter")),
    date("after", "Taken from"),
    date("before", "to"),
    make("p", {}, make("label", { for: state.id }, "State"), state),
    chips.length > 0 && make("ul", { class: "chips", "aria-label": "Filters in use" }, ...chips),
  );
  return form;
}

// Fills a datalist with tags that begin with a text.
export async function suggest(text, options) {
  if (!text.trim()) return;
  try {
    const { tags } = await get(`/v1/tags?limit=${SUGGESTED}&prefix=${encodeURIComponent(text.trim())}`);
    options.replaceChildren(...tags.map(({ label }) => make("option", { value: label })));
  } catch {
    // suggestions only; the field works without them
  }
}
