// The search field of every view. A search is an address, #/search?q=…, so that bookmarks and "back" work.

import { byId } from "./dom.js";
import * as viewer from "./viewer.js";

const images = []; // images that were searched by; an address names them by number
const TYPED = "input, textarea, select, [contenteditable]";

export const searchAddress = (parameters) => `#/search?${new URLSearchParams(parameters)}`;
export const likeAddress = ({ key }) => searchAddress({ like: key });
export const imageNumber = (number) => images[number];

export function install() {
  const form = byId("search");
  const field = byId("query");
  const chosen = byId("query-image");
  form.onsubmit = (event) => {
    event.preventDefault();
    const asked = field.value.trim();
    if (!asked) return;
    const address = searchAddress([...filters(), ["q", asked]]);
    if (address === location.hash) dispatchEvent(new Event("hashchange")); // search again
    else location.hash = address;
  };
  field.onkeydown = (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault(); // keeps the text
    field.blur();
    byId("main").focus({ preventScroll: true });
  };
  byId("by-image").onclick = () => chosen.click();
  chosen.onchange = () => {
    byImage(chosen.files[0]);
    chosen.value = "";
  };
  form.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation(); // dropped elsewhere on the page, images are uploaded
    document.body.classList.remove("dragging");
    form.classList.add("over");
  });
  form.addEventListener("dragleave", () => form.classList.remove("over"));
  form.addEventListener("drop", (event) => {
    form.classList.remove("over");
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    event.stopPropagation();
    document.body.classList.remove("dragging");
    byImage(event.dataTransfer.files[0]);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest(TYPED)) return;
    const dialog = document.querySelector("dialog[open]:not(.viewer)");
    if (dialog) return;
    event.preventDefault();
    viewer.close(field);
    field.focus();
    field.select();
  });
}

// The filters of the current search, which a new text keeps.
function filters() {
  const [route, query = ""] = location.hash.split("?");
  if (route !== "#/search") return [];
  const now = new URLSearchParams(query);
  for (const name of ["q", "like", "image", "state"]) now.delete(name);
  return [...now];
}

function byImage(file) {
  if (file) location.hash = searchAddress({ image: images.push(file) - 1 });
}
