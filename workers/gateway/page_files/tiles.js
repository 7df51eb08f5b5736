// Tiles: thumbnails with tags, for the list of recent images and the views of tags.

import { oid, path, thumbnail } from "./api.js";
import * as connection from "./connection.js";
import { make } from "./dom.js";
import { reason } from "./record.js";
import { likeAddress } from "./search.js";
import { tagChip } from "./tags.js";

const SHOWN = 3;
let reasons = 0;

export function nameOf(record) {
  if (record.file_name) return record.file_name;
  const last = record.key.split("/").at(-1);
  return /^[0-9a-f]{32}(\.\w+)?$/.test(last) ? "Uploaded image" : last;
}

export const objectAddress = (record) => `#/image/${path(record.bucket, record.key)}`;

// `found`: how a search found the record: {why}, a sentence, or {tag, confidence, score, implied, segment}.
export function tile(record, { found } = {}) {
  const name = nameOf(record);
  const picture = record.state === "done"
    ? make("img", { src: thumbnail(record), alt: "", loading: "lazy", decoding: "async" })
    : null;
  const link = make("a", { class: "look", href: objectAddress(record), title: name }, make("span", { class: "unseen" }, name));
  if (picture) {
    picture.onload = () => link.classList.remove("none");
    picture.onerror = async () => {
      link.classList.add("none");
      if (await connection.check()) return; // the image has no thumbnail; otherwise the server is unavailable
      await connection.ready();
      picture.src = thumbnail(record);
    };
    link.prepend(picture);
  } else {
    link.classList.add("none");
  }
  const why = found?.why && make("p", { class: "why", id: `why-${(reasons += 1)}` }, found.why);
  if (why) link.setAttribute("aria-describedby", why.id);
  const words = record.state === "done"
    ? record.tags.length
      ? make("ul", { class: "tags" }, ...record.tags.slice(0, SHOWN).map((tag) => make("li", {}, tagChip(tag))))
      : make("p", { class: "unknown" }, "Unknown")
    : make("p", { class: "problem" }, reason(record));
  return make(
    "li",
    { class: "tile", "data-oid": oid(record), "data-state": record.state },
    make("div", { class: "frame" }, link, why),
    found && "tag" in found && make("p", { class: "note" }, how(found)),
    words,
    record.state === "done" &&
      make("p", { class: "like" },
        make("a", { href: likeAddress(record) }, "More like this", make("span", { class: "unseen" }, `: ${name}`))),
  );
}

function how({ tag, confidence, score, implied, segment }) {
  const value = confidence === null ? `Score ${score.toFixed(2)}` : `Confidence ${confidence.toFixed(2)}`;
  const where = segment ? ", a part of the image" : "";
  return implied ? `${value}, by “${tag}”${where}` : value + where;
}
