// The thread of knots on which an image moves along; afterwards it shows how long each stage took.

import { duration, make } from "./dom.js";

const STAGES = ["embedding", "retrieval", "extraction", "scoring"];
const LAST = "segmentation"; // of those images alone whose segments are wanted
const DOING = {
  queued: "Waiting for its turn",
  embedding: "Looking at the image",
  retrieval: "Finding captions that fit",
  extraction: "Picking words from the captions",
  scoring: "Weighing the words",
  segmentation: "Finding what is where",
};

export const doing = (status) =>
  status.state === "queued" && status.position ? `Waiting behind ${status.position.toLocaleString("en")}` : DOING[status.state];

export function thread() {
  const knots = [...STAGES, LAST].map((stage) => {
    const time = make("span", { class: "time" });
    return { stage, time, item: make("li", {}, make("span", { class: "name" }, stage === LAST ? "segmen\u00adtation" : stage), time) };
  });
  const last = knots.at(-1).item;
  const element = make("ol", { class: "thread", "aria-label": "Stages" }, ...knots.map((knot) => knot.item));

  // `drawn`: whether its segments are wanted, as far as that is known.
  function show(status, drawn = false) {
    const record = status.record;
    const now = knots.findIndex(({ stage }) => stage === status.state);
    if (record ? LAST in record.timings_ms : drawn || status.state === LAST) element.append(last);
    else last.remove();
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
