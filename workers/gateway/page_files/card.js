// One image with everything that is known of it, from the moment in which it is dropped.

import { thumbnail } from "./api.js";
import { make, say } from "./dom.js";
import { reason, told, totalTime } from "./record.js";
import { doing, thread } from "./stages.js";
import { teaching } from "./teach.js";

let cards = 0;

// `heading`: the level of its title, h2 or h3. `picture`: the address of a picture to begin with.
export function card(title, { heading = "h3", picture = null } = {}) {
  const id = `card-${(cards += 1)}`;
  const image = make("img", { alt: "", decoding: "async", src: picture });
  const frame = make("div", { class: "picture" }, image);
  image.onerror = () => frame.classList.add("none");
  image.onload = () => frame.classList.remove("none");
  const state = make("p", { class: "state" });
  const progress = make("progress", { max: "1", value: "0", "aria-label": `Sending ${title}`, hidden: true });
  const stages = thread();
  const results = make("div", { class: "results" });
  const actions = make("div", { class: "actions" });
  const element = make(
    "article",
    { class: "card", "aria-labelledby": id, "data-state": "waiting" },
    frame,
    make("div", { class: "body" }, make(heading, { id, class: "title", title }, title), state, progress, stages.element,
      results, actions),
  );
  let before = null; // the record that came before the one that is shown or waited for
  let last = null;
  let lesson = null;

  function become(name, sentence) {
    element.dataset.state = name;
    state.textContent = sentence;
    progress.hidden = name !== "sending";
    stages.element.hidden = name === "refused" || name === "gone" || name === "failed" || name === "dead";
  }

  const self = {
    element,
    waiting: () => become("waiting", "Waiting to be sent"),
    sending(ratio) {
      become("sending", ratio < 1 ? `Sending, ${Math.floor(ratio * 100)} %` : "Sent; being stored");
      progress.value = ratio;
    },
    refused(sentence) {
      become("refused", "Not taken");
      results.replaceChildren(make("p", { class: "problem" }, sentence));
      say(`${title}: ${sentence}`);
    },
    // A status from the gateway; final ones come with the record.
    status(status) {
      stages.show(status);
      if (status.state === "gone") {
        become("gone", "Removed");
        results.replaceChildren(make("p", { class: "unknown" }, "This image is not there any more."));
        actions.replaceChildren();
        return;
      }
      if (!status.record) {
        become(status.state, doing(status) ?? status.state);
        if (status.fault) results.replaceChildren(make("p", { class: "note" }, `It waits: ${status.fault}`));
        else if (!before) results.replaceChildren();
        return;
      }
      final(status.record);
    },
    // The next record is shown beside the one there is.
    again() {
      before = last;
      become("queued", doing({ state: "queued" }));
      stages.show({ state: "queued" });
    },
  };

  function final(record) {
    const news = before && before.finished_at !== record.finished_at;
    const good = record.state === "done";
    const took = totalTime(record);
    become(record.state, good ? (took ? `Done in ${took}` : "Done") : record.state === "dead" ? "Given up" : "Not tagged");
    results.replaceChildren(
      ...(news ? [earlier(before), make("h4", { class: "now" }, "Now")] : []),
      ...told(record, news ? before.tags.map((tag) => tag.label) : null),
    );
    last = record;
    show(record);
    if (!lesson) actions.append((lesson = teaching(self, record)).element);
    lesson.about(record);
    const tags = record.tags.map((tag) => tag.label).join(", ");
    say(`${title}: ${good ? tags || "unknown" : reason(record)}`);
  }

  function show(record) {
    const blob = image.src.startsWith("blob:") ? image.src : null;
    const labels = record.tags.map((tag) => tag.label).join(", ");
    image.alt = labels ? `Image tagged ${labels}` : "The image";
    if (record.state !== "done") return;
    const small = make("img", { src: thumbnail(record) });
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
