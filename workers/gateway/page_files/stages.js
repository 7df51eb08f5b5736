// The stages of an image: its progress, and later the duration of each stage.

import { duration, make, plural } from "./dom.js";

const STAGES = ["embedding", "retrieval", "extraction", "scoring"];
const LAST = "segmentation"; // only with a segmentation
const DOING = {
  queued: "Waiting in the queue",
  embedding: "Encoding the image",
  retrieval: "Finding similar captions",
  extraction: "Extracting words from the captions",
  scoring: "Scoring the words",
  segmentation: "Segmenting the image",
};

export const doing = (status) =>
  status.state === "queued" && status.position ? `Waiting behind ${plural(status.position, "image", "images")}` : DOING[status.state];

export function thread() {
  const knots = [...STAGES, LAST].map((stage) => {
    const time = make("span", { class: "time" });
    return { stage, time, item: make("li", {}, make("span", { class: "name" }, stage === LAST ? "segmen\u00adtation" : stage), time) };
  });
  const last = knots.at(-1).item;
  const element = make("ol", { class: "thread", "aria-label": "Stages" }, ...knots.map((knot) => knot.item));

  // `drawn`: whether a segmentation is expected.
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
      const entered = (record ?? status).stages?.[stage];
      item.title = entered ? `since ${new Date(entered).toLocaleTimeString()}` : "";
    });
  }
  show({ state: "" });
  return { element, show };
}
