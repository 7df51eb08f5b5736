// Asking what is where: a button and the methods in which it can be found.

import { make } from "./dom.js";
import { lookAgain } from "./following.js";

const METHODS = { dense: "in small cells", regions: "region by region" };

// The part of a card that asks. `about(record)` says which image it is about.
export function locating(card, record) {
  let object = record;
  const note = make("p", { class: "note problem", role: "status" });
  const button = make("button", { type: "button", class: "quiet", onclick: ask }, "Show where");
  const methods = make("select", { class: "quiet", "aria-label": "How to look" },
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
      button.textContent = record.segmentation?.segments.length ? "Show where anew" : "Show where";
      if (record.segmentation && record.segmentation.method in METHODS) methods.value = record.segmentation.method;
    },
  };
}
