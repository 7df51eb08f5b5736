// Describes a segmentation in words and numbers.

import { make } from "./dom.js";

const FEW = 0.005; // unknown shares of the image up to this are not shown

export const percent = (share) => (share < 0.01 ? "under 1 %" : `${Math.round(share * 100)} %`);

// Labels with their share of the image and the indexes of their segments, largest first.
export function shares({ segments }) {
  const found = new Map();
  segments.forEach(({ label, area }, place) => {
    const one = found.get(label) ?? { label, share: 0, places: [] };
    found.set(label, { label, share: one.share + area, places: [...one.places, place] });
  });
  return [...found.values()].sort((one, other) => other.share - one.share);
}

// A sentence for screen readers.
export function inWords(segmentation) {
  const parts = shares(segmentation).map(({ label, share }) => `${label} ${percent(share)}`);
  const rest = unknown(segmentation);
  return [...parts, ...(rest ? [`unknown ${percent(rest)}`] : [])].join(", ");
}

// The share of the image without a label.
export function unknown({ segments }) {
  const rest = 1 - segments.reduce((sum, { area }) => sum + area, 0);
  return rest > FEW ? rest : 0;
}

// The description of segments with one label: size, highest score and nearest caption.
export function naming(segments) {
  const area = segments.reduce((sum, one) => sum + one.area, 0);
  const score = Math.max(...segments.map((one) => one.score));
  const [caption] = segments.flatMap((one) => one.evidence).sort((one, other) => other.similarity - one.similarity);
  const many = segments.length > 1 ? ` in ${segments.length} segments` : "";
  return [
    make("strong", {}, segments[0].label),
    make("span", { class: "figures" }, ` ${percent(area)}${many}, score ${score.toFixed(2)}`),
    ...(caption ? [", based on ", make("q", {}, caption.caption)] : []),
  ];
}
