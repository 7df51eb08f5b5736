// The card of one image: its progress from the upload on, and its record.

import { thumbnail } from "./api.js";
import { ended, make, say } from "./dom.js";
import { overlay } from "./overlay.js";
import { judging } from "./judging.js";
import { details, reason, totalTime } from "./record.js";
import { inWords } from "./segments.js";
import { doing, thread } from "./stages.js";
import { teaching } from "./teach.js";
import { locating } from "./where.js";

let cards = 0;

// `heading`: the level of the title, h2 or h3. `picture`: the URL of the first picture. `size`: its largest side.
export function card(title, { heading = "h3", picture = null, size = null } = {}) {
  const id = `card-${(cards += 1)}`;
  const image = make("img", { alt: "", decoding: "async", src: picture });
  const frame = make("div", { class: "picture" }, image);
  const figure = make("div", { class: "figure" }, frame);
  image.onerror = () => frame.classList.add("none");
  image.onload = () => frame.classList.remove("none");
  const state = make("p", { class: "state" });
  const progress = make("progress", { max: "1", value: "0", "aria-label": `Uploading ${title}`, hidden: true });
  const stages = thread();
  const mark = make("p", { class: "note earlier", hidden: true });
  const results = make("div", { class: "results" });
  const actions = make("div", { class: "actions" });
  const element = make(
    "article",
    { class: "card", "aria-labelledby": id, "data-state": "waiting" },
    figure,
    make("div", { class: "body" }, make(heading, { id, class: "title", title }, title), state, progress, stages.element,
      mark, results, actions),
  );
  let before = null; // the record before the current or expected one
  let alone = false; // whether only a segmentation was requested since
  let last = null;
  let drawing = false; // whether a segmentation is expected
  let drawn = null; // the visible segmentation
  let lesson = null;
  let judge = null;
  let place = null;

  function become(name, sentence) {
    element.dataset.state = name;
    state.textContent = sentence;
    progress.hidden = name !== "sending";
    mark.hidden = true;
    stages.element.hidden = name === "refused" || name === "gone" || name === "failed" || name === "dead";
  }

  const self = {
    element,
    waiting: () => become("waiting", "Waiting to upload"),
    sending(ratio) {
      become("sending", ratio < 1 ? `Uploading, ${Math.floor(ratio * 100)} %` : "Uploaded, being stored");
      progress.value = ratio;
    },
    refused(sentence) {
      become("refused", "Not accepted");
      results.replaceChildren(make("p", { class: "problem" }, sentence));
      say(`${title}: ${sentence}`);
    },
    // Shows a progress of the gateway; a final one has a record.
    status(status) {
      stages.show(status, drawing);
      if (status.state === "gone") {
        become("gone", "Deleted");
        results.replaceChildren(make("p", { class: "unknown" }, "This image was deleted."));
        actions.replaceChildren();
        return;
      }
      if (!status.record) {
        if (!last && status.previous) final(status.previous);
        become(status.state, doing(status) ?? status.state);
        if (last) {
          mark.hidden = false;
          mark.textContent = `The result so far. ${status.fault ? `Waiting: ${ended(status.fault)}` : "The image is being tagged again."}`;
        } else results.replaceChildren(...(status.fault ? [make("p", { class: "note" }, `Waiting: ${status.fault}`)] : []));
        return;
      }
      final(status.record);
    },
    // Shows what a person said of the image.
    taught(record) {
      before = null;
      final(record);
    },
    // Shows the next record next to the current one, or instead of it if only its segmentation is new (`drawing`).
    again({ drawing: only = false } = {}) {
      before = last;
      alone = only;
      drawing = only || Boolean(last?.segmentation);
      become("queued", doing({ state: "queued" }));
      stages.show({ state: "queued" }, drawing);
    },
  };

  function final(record) {
    const news = before && !alone && before.finished_at !== record.finished_at;
    const good = record.state === "done";
    const took = totalTime(record);
    become(record.state, good ? (took ? `Done in ${took}` : "Done") : record.state === "dead" ? "Abandoned" : "Failed");
    judge ??= judging(self);
    const focused = judge.focused();
    results.replaceChildren(
      ...(news ? [earlier(before), make("h4", { class: "now" }, "Now")] : []),
      ...details(record, news ? before.tags.map((tag) => tag.label) : null, judge.beside),
    );
    judge.about(record);
    last = record;
    show(record);
    draw(record);
    if (!lesson) actions.append(judge.element, (lesson = teaching(self, record)).element, (place = locating(self, record)).element);
    lesson.about(record);
    place.about(record);
    judge.focus(focused);
    const tags = record.tags.map((tag) => tag.label).join(", ");
    say(`${title}: ${good ? tags || "unknown" : reason(record)}`);
    if (alone && drawn) say(`Segmentation: ${inWords(drawn)}`);
  }

  // Shows the segments over the uncropped picture.
  function draw(record) {
    drawn = record.segmentation?.segments.length ? record.segmentation : null;
    const parts = drawn ? overlay(record) : { layers: [], key: [] };
    element.classList.toggle("drawn", drawn !== null);
    if (drawn) element.style.setProperty("--ratio", String(drawn.width / drawn.height));
    frame.replaceChildren(image, ...parts.layers);
    figure.replaceChildren(frame, ...parts.key);
  }

  function show(record) {
    const blob = image.src.startsWith("blob:") ? image.src : null;
    const labels = record.tags.map((tag) => tag.label).join(", ");
    image.alt = labels ? `Image tagged ${labels}` : "The image";
    if (record.state !== "done") return;
    const small = make("img", { src: thumbnail(record, size ?? (record.segmentation ? 640 : 320)) });
    small.onload = () => {
      image.src = small.src;
      if (blob) URL.revokeObjectURL(blob);
    };
  }
  return self;
}

function earlier(record) {
  const labels = record.tags.map((tag) => tag.label);
  return make(
    "p",
    { class: "before" },
    make("strong", {}, "Before "),
    labels.length ? labels.join(", ") : record.state === "done" ? "unknown" : "not tagged",
  );
}
