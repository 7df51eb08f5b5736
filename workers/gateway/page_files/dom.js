// Builds elements. Data becomes text or attributes, never markup.

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);

// Announces a sentence to screen readers. Simultaneous sentences are joined.
let saying = [];
export function say(sentence) {
  saying.push(sentence);
  if (saying.length > 1) return;
  setTimeout(() => {
    const text = saying.length > 5 ? `${saying.length} updates. ${saying.at(-1)}` : saying.join(" ");
    byId("announcements").textContent = text;
    saying = [];
  }, 300);
}

export function duration(ms) {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 120_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 60_000)} min`;
}

export const plural = (count, one, many) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

// A text with a full stop at its end.
export const ended = (words) => (/[.!?]$/.test(words) ? words : `${words}.`);
