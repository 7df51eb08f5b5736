// The segments of an image as colours over its picture, with labels and a legend.

import { path } from "./api.js";
import { make, plural } from "./dom.js";
import { painting } from "./painting.js";
import { at } from "./place.js";
import { raster } from "./raster.js";
import { inWords, naming, percent, shares, unknown } from "./segments.js";

const SHOWN = 8; // labels before "more"
const HINT = "Point at a segment, or touch it, to see its label and its best caption.";

// `layers`: elements over the uncropped picture. `key`: elements below it.
export function overlay(record) {
  const { segments, labels } = record.segmentation;
  const colourOf = new Map(labels.map(({ label, colour }) => [label, colour]));
  const map = raster(segments.map(({ mask }) => mask));
  const canvas = make("canvas", {
    width: map.width, height: map.height, role: "img", tabindex: "0",
    "aria-label": `Segmentation: ${inWords(record.segmentation)}. Use the arrow keys to move between segments.`,
  });
  const tip = make("p", { class: "tip", "aria-hidden": "true", hidden: true });
  const selection = make("p", { class: "selection", role: "status" }, HINT);
  const paint = painting(canvas, map, segments.map(({ label }) => colourOf.get(label)));
  const chips = shares(record.segmentation).map((one) => ({ ...one, chip: chip(one) }));
  let pinned = []; // indexes of the segments that stay selected
  let walked = -1; // the segment selected with the arrow keys

  function choose(places, at = null) {
    paint(new Set(places));
    const first = segments[places[0]];
    selection.replaceChildren(...(first ? naming(places.map((place) => segments[place])) : [HINT]));
    for (const one of chips) one.chip.classList.toggle("chosen", one.places.some((place) => places.includes(place)));
    tip.hidden = !first;
    if (!first) return;
    const [x, y] = at ?? map.middles[places[0]].map((pixel, axis) => (pixel + 0.5) / (axis ? map.height : map.width));
    tip.textContent = first.label;
    tip.style.setProperty("--x", `${100 * x}%`);
    tip.style.setProperty("--y", `${100 * y}%`);
  }

  function pin(places) {
    const same = places.length === pinned.length && places.every((place) => pinned.includes(place));
    pinned = same ? [] : places;
    for (const one of chips) one.chip.setAttribute("aria-pressed", String(pinned.length > 0 && one.places === pinned));
  }

  function under(event) {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const at = [(event.clientX - left) / width, (event.clientY - top) / height];
    const [x, y] = [Math.floor(at[0] * map.width), Math.floor(at[1] * map.height)];
    const inside = x >= 0 && y >= 0 && x < map.width && y < map.height;
    const owner = inside ? map.owners[y * map.width + x] : 0;
    return { places: owner ? [owner - 1] : [], at };
  }

  canvas.onpointermove = (event) => {
    const { places, at } = under(event);
    if (event.pointerType !== "touch") choose(places.length ? places : pinned, places.length ? at : null);
  };
  canvas.onpointerleave = (event) => event.pointerType !== "touch" && choose(pinned);
  canvas.onclick = (event) => {
    const { places, at } = under(event);
    pin(places);
    choose(pinned, at);
  };
  canvas.onfocus = () => canvas.matches(":focus-visible") && walk(0);
  canvas.onblur = () => choose(pinned);
  canvas.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) walk(walked + step);
    else if (event.key === "Escape") {
      pin([]);
      choose(pinned);
    } else return;
    event.preventDefault();
  };

  function walk(place) {
    walked = (place + segments.length) % segments.length;
    choose([walked]);
  }

  function chip({ label, share, places }) {
    const show = () => choose(places);
    const rest = () => choose(pinned);
    const button = make(
      "button",
      {
        type: "button", class: "part", "aria-pressed": "false", onpointerenter: show, onpointerleave: rest, onfocus: show,
        onblur: rest,
        onclick() {
          pin(places);
          choose(pinned);
        },
      },
      ...words(label, share),
    );
    button.querySelector(".swatch").style.background = colourOf.get(label);
    return button;
  }

  choose([]);
  return { layers: [canvas, tip], key: [selection, legend(chips, unknown(record.segmentation)), controls(record, canvas)] };
}

const words = (label, share) => [
  make("span", { class: "swatch" }), make("span", { class: "label" }, label), make("span", { class: "share" }, ` ${percent(share)}`),
];

function legend(chips, rest) {
  const items = chips.map(({ chip }) => make("li", {}, chip));
  const more = items.splice(items.length > SHOWN + 1 ? SHOWN : items.length);
  if (rest) items.push(make("li", {}, make("span", { class: "part rest" }, ...words("unknown", rest))));
  return make(
    "div",
    { class: "legend" },
    make("ul", { "aria-label": "Segments" }, ...items),
    more.length > 0 && make("details", {}, make("summary", {}, plural(more.length, "smaller label", "smaller labels")),
      make("ul", { "aria-label": "Smaller labels" }, ...more)),
  );
}

function controls(record, canvas) {
  const hide = make("button", {
    type: "button", class: "quiet", "aria-pressed": "false",
    onclick() {
      canvas.hidden = !canvas.hidden;
      hide.setAttribute("aria-pressed", String(canvas.hidden));
    },
  }, "Hide colours");
  const link = (kind, words, end) => make("a", {
    href: at(`/v1/${kind}/${path(record.bucket, record.key)}`), download: `${record.key.split("/").at(-1)}${end}`,
  }, words);
  return make("p", { class: "buttons" }, hide,
    link("overlays", "Overlay with legend", ".overlay.jpg"), link("label-maps", "Label map", ".labels.png"));
}
