// Asks before something is deleted.

import { make } from "./dom.js";

let questions = 0;

// Resolves to whether the person agrees. `sentences`: paragraphs. `names`: what it concerns.
export function agreed(title, sentences, names, action) {
  const id = `question-${(questions += 1)}`;
  return new Promise((then) => {
    const no = make("button", { type: "submit", value: "no", class: "main" }, "Cancel");
    const yes = make("button", { type: "submit", value: "yes", class: "delete" }, action);
    const dialog = make("dialog", { class: "question", "aria-labelledby": id },
      make("form", { method: "dialog" }, make("h2", { id }, title), ...sentences.map((one) => make("p", {}, one)),
        names.length > 0 && make("ul", { class: "names" }, ...names.map((name) => make("li", {}, name))),
        make("p", { class: "buttons" }, no, yes)));
    dialog.onclose = () => {
      dialog.remove();
      then(dialog.returnValue === "yes");
    };
    document.body.append(dialog);
    dialog.showModal();
    no.focus();
  });
}
