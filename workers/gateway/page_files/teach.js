// Adds a caption that describes an image, then tags the image again.

import { post, remove } from "./api.js";
import { make } from "./dom.js";
import { lookAgain } from "./following.js";

let forms = 0;

// The part of a card that adds captions. `about(record)` sets the image.
export function teaching(card, record) {
  const id = `caption-${(forms += 1)}`;
  let object = record;
  let taught = []; // ids of the new captions
  let lesson = null; // the caption whose effect is shown next
  const input = make("input", {
    id, name: "caption", required: true, maxlength: "1000", autocomplete: "off", "aria-describedby": `${id}-hint`,
  });
  const note = make("p", { class: "note", role: "status" });
  const undo = make("button", { type: "button", class: "quiet", hidden: true, onclick: takeBack }, "Remove the caption");
  const submit = make("button", { type: "submit", class: "main" }, "Add and tag again");
  const form = make(
    "form",
    { class: "teach", id: `${id}-form`, hidden: true, onsubmit: teach },
    make("label", { for: id }, "Caption"),
    input,
    make("p", { class: "note", id: `${id}-hint` }, "A few words, such as “a photo of a moka pot”. It is used for later images too."),
    make("p", { class: "buttons" }, submit, undo),
  );
  const toggle = make(
    "button",
    { type: "button", class: "quiet", "aria-expanded": "false", "aria-controls": form.id, onclick: show },
    "Add a caption",
  );
  const again = make("button", { type: "button", class: "quiet", onclick: () => working(() => look("")) }, "Tag again");

  function show() {
    form.hidden = !form.hidden;
    toggle.setAttribute("aria-expanded", String(!form.hidden));
    if (!form.hidden) input.focus();
  }

  async function teach(event) {
    event.preventDefault();
    await working(async () => {
      const [caption] = (await post("/v1/captions", { captions: [input.value], source: "page" })).captions;
      taught = caption.added ? [caption.id] : [];
      undo.hidden = !caption.added;
      lesson = caption.caption;
      await look(caption.added ? "Caption added. Tagging again …" : "This caption exists already. Tagging again …");
      input.value = "";
    });
  }

  async function takeBack() {
    await working(async () => {
      for (const caption of taught) await remove(`/v1/captions/${caption}`);
      taught = [];
      undo.hidden = true;
      await look("Caption removed. Tagging again …");
    });
  }

  async function look(sentence) {
    await lookAgain(object, "retag", card);
    note.textContent = sentence;
  }

  async function working(work) {
    for (const button of [submit, undo, again]) button.disabled = true;
    note.classList.remove("problem");
    try {
      await work();
    } catch (refused) {
      lesson = null;
      note.textContent = refused.message;
      note.classList.add("problem");
    } finally {
      for (const button of [submit, undo, again]) button.disabled = false;
    }
  }

  return {
    element: make("div", {}, make("p", { class: "buttons" }, toggle, again), form, note),
    about(record) {
      object = record;
      if (lesson) note.textContent = effect(record, lesson);
      lesson = null;
      const lost = record.state === "done" && (record.unknown || !record.tags.length);
      toggle.classList.toggle("main", lost);
    },
  };
}

function effect(record, caption) {
  return record.evidence.some((one) => one.caption === caption)
    ? `“${caption}” is now part of the evidence.`
    : `“${caption}” was added, but other captions are closer to this image. Try another wording.`;
}
