// What a person says of the tags of an image: accept, reject, add, take back. A part of a card.

import { oid, post, objectPath, path } from "./api.js";
import { make, say } from "./dom.js";
import * as feed from "./feed.js";
import { suggest } from "./filters.js";
import { follow } from "./following.js";
import { nearImages } from "./near.js";
import * as viewer from "./viewer.js";
import { likeAddress } from "./search.js";

let forms = 0;

// `beside(tag)`: the buttons of a tag. `about(record)` sets the image. `focused()` and `focus(it)` keep the focus while
// the tags are drawn again.
export function judging(card) {
  const id = `add-tag-${(forms += 1)}`;
  let object = null;
  let near = null;
  const options = make("datalist", { id: `${id}-tags` });
  const input = make("input", {
    id, list: options.id, required: true, maxlength: "100", autocomplete: "off", spellcheck: "false",
  });
  input.oninput = () => suggest(input.value, options);
  const add = make("button", { type: "submit", class: "quiet" }, "Add tag");
  const note = make("p", { class: "note", role: "status" });
  const rejected = make("ul", { class: "rejected", "aria-label": "Rejected tags" });
  const place = make("div", { class: "near-place" });
  const similar = make("a", { class: "button quiet" }, "More like this");
  const enlarge = () => viewer.open(object, card.element);
  const larger = make("button", { type: "button", class: "quiet", onclick: enlarge }, "Full size");
  const form = make("form", { class: "add-tag", onsubmit(event) {
    event.preventDefault();
    tell(input.value, true).then((good) => good && (input.value = ""));
  } }, make("label", { for: id }, "Add a tag"), make("p", { class: "with-button" }, input, add), options);
  const element = make("div", { class: "judging" }, rejected, form, note, place,
    make("p", { class: "buttons" }, larger, similar));

  // Returns whether it was stored.
  async function tell(label, accepted) {
    const early = new Map(); // records that come before the response
    const stop = feed.listen({ came: (record) => early.set(oid(record), record) });
    working(true);
    note.classList.remove("problem");
    note.textContent = "";
    try {
      const { record, near: found, problem } = await post(`${objectPath(object)}:tag`, { label, accepted });
      card.taught(record);
      const sentence = `${{ true: "Accepted", false: "Rejected", null: "Taken back" }[accepted]}: ${label.trim()}.`;
      note.textContent = problem ? `${sentence} But ${problem}.` : sentence;
      say(sentence);
      near?.end();
      near = accepted === null || !found.length ? null : nearImages(found, label.trim(), accepted, early);
      place.replaceChildren(...(near ? [near.element] : []));
      // the image is tagged again, too; what is shown stays until then
      follow(object, record.finished_at, (status) => (status.record || status.state === "gone") && card.status(status));
      return true;
    } catch (refused) {
      note.classList.add("problem");
      note.textContent = refused.status === 409 ? `${refused.message} Tag the image again first.` : refused.message;
      return false;
    } finally {
      stop();
      working(false);
    }
  }

  function working(so) {
    busy = so;
    const buttons = card.element.querySelectorAll(".judge, .add-tag button");
    for (const one of buttons) one.setAttribute("aria-disabled", String(so)); // `disabled` would lose the focus
  }
  let busy = false;

  const button = (words, label, name, accepted) => make("button", {
    type: "button", class: "judge", "aria-label": `${name} ${label}`, title: name, "data-judge": name, "data-label": label,
    onclick: () => busy || tell(label, accepted),
  }, words);

  return {
    element,
    beside(tag) {
      const marks = [];
      if (tag.source === "person") {
        return [make("span", { class: "said" }, "you"), button("Take back", tag.label, "Take back", null)];
      }
      if (tag.source === "example" && tag.example) {
        const [bucket, ...key] = tag.example.object_id.split("/");
        marks.push(make("span", { class: "said" }, "looks like ",
          make("a", {
            href: `#/image/${path(bucket, key.join("/"))}`, title: `Similarity ${tag.example.similarity.toFixed(2)}`,
          }, key.join("/"))));
      }
      return [...marks, button("✓", tag.label, "Accept", true), button("✗", tag.label, "Reject", false)];
    },
    about(record) {
      object = record;
      element.hidden = record.state !== "done";
      similar.href = likeAddress(record);
      larger.hidden = similar.hidden = viewer.shows(card.element); // it has its own
      rejected.replaceChildren(...(record.rejected ?? []).map((label) => make("li", {},
        make("s", {}, label), make("span", { class: "said" }, "you"), button("Take back", label, "Take back", null))));
    },
    // The part that has the focus, if it is drawn again.
    focused() {
      const active = document.activeElement;
      return card.element.contains(active) && active.dataset.judge ? { ...active.dataset } : null;
    },
    focus(it) {
      if (!it) return;
      const all = [...card.element.querySelectorAll(".judge")].filter((one) => one.dataset.label === it.label);
      (all.find((one) => one.dataset.judge === it.judge) ?? all[0] ?? input).focus();
    },
  };
}
