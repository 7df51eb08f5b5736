// Requests a segmentation: a button and a choice of the method.

import { make } from "./dom.js";
import { lookAgain } from "./following.js";

const METHODS = { dense: "dense", regions: "regions" };

// The part of a card that requests it. `about(record)` sets the image.
export function locating(card, record) {
  let object = record;
  const note = make("p", { class: "note problem", role: "status" });
  const button = make("button", { type: "button", class: "quiet", onclick: ask }, "Segment");
  const methods = make("select", { class: "quiet", "aria-label": "Segmentation method" },
    ...Object.entries(METHODS).map(([method, words]) => make("option", { value: method }, words)));

  async function ask() {
    button.disabled = true;
    note.textContent = "";
    try {
      await lookAgain(object, `segment?method=${methods.value}`, card, { drawing: true });
    } catch (refused) {
      note.textContent = refused.message;
      button.disabled = false;
    }
  }

  const element = make("div", { class: "locate" }, make("p", { class: "buttons" }, button, methods), note);
  return {
    element,
    about(record) {
      element.hidden = record.state !== "done";
      object = record;
      button.disabled = false;
      button.textContent = record.segmentation?.segments.length ? "Segment again" : "Segment";
      if (record.segmentation && record.segmentation.method in METHODS) methods.value = record.segmentation.method;
    },
  };
}
