// The thread of four knots on which an image moves along; afterwards it shows how long each stage took.

import { duration, make } from "./dom.js";

const STAGES = ["embedding", "retrieval", "extraction", "scoring"];
const DOING = {
  queued: "Waiting for its turn",
  embedding: "Looking at the image",
  retrieval: "Finding captions that fit",
  extraction: "Picking words from the captions",
  scoring: "Weighing the words",
};

export const doing = (status) =>
  status.state === "queued" && status.position ? `Waiting behind ${status.position.toLocaleString("en")}` : DOING[status.state];

export function thread() {
  const knots = STAGES.map((stage) => {
    const time = make("span", { class: "time" });
    return { stage, time, item: make("li", {}, make("span", { class: "name" }, stage), time) };
  });
  const element = make("ol", { class: "thread", "aria-label": "Stages" }, ...knots.map((knot) => knot.item));

  function show(status) {
    const record = status.record;
    const now = STAGES.indexOf(status.state);
    knots.forEach(({ stage, time, item }, place) => {
      const at = record ? "done" : place < now ? "done" : place === now ? "now" : "todo";
      item.dataset.at = record && !(stage in record.timings_ms) ? "todo" : at;
      if (at === "now") item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
      const ms = record?.timings_ms[stage];
      time.textContent = ms === undefined ? "" : ` ${duration(ms)}`;
    });
  }
  show({ state: "" });
  return { element, show };
}
