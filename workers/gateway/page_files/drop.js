// Adds images to the page: dropped, pasted or chosen.

import { oid } from "./api.js";
import { card } from "./card.js";
import { byId } from "./dom.js";
import { follow } from "./following.js";
import { send } from "./uploads.js";

let shown = 0;

export function install() {
  const files = byId("files");
  byId("choose").onclick = () => files.click();
  files.onchange = () => {
    take([...files.files]);
    files.value = ""; // so that the same file can be chosen again
  };
  document.addEventListener("paste", (event) => {
    const pasted = [...event.clipboardData.files];
    if (!pasted.length) return;
    event.preventDefault();
    take(pasted);
  });
  // text may be dropped into a field; the browser would navigate to anything else
  const forField = (event) => !event.dataTransfer?.types.includes("Files") && event.target.closest?.("input");
  document.addEventListener("dragover", (event) => {
    if (forField(event)) return;
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("dragging"));
  document.addEventListener("drop", (event) => {
    if (forField(event)) return;
    event.preventDefault();
    document.body.classList.remove("dragging");
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.());
    const dropped = [...event.dataTransfer.files];
    const whole = dropped.filter((_, place) => !entries[place]?.isDirectory);
    note(
      whole.length < dropped.length ? "Folders cannot be uploaded. Drop the files in the folder instead." :
      !dropped.length ? "This is not a file. Save the image, then drop the file." : "",
    );
    take(whole);
  });
}

function note(sentence) {
  byId("drop-note").textContent = sentence;
}

function take(files) {
  if (!files.length) return;
  if (!byId("view").hidden) location.hash = "#/";
  document.body.classList.add("busy");
  byId("cards").prepend(...files.map((file) => begin(file).element));
}

function begin(file) {
  shown += 1;
  const title = file.name || `Image ${shown}`;
  const one = card(title, { picture: URL.createObjectURL(file) });
  one.waiting();
  upload(file, one);
  return one;
}

async function upload(file, one) {
  try {
    const status = await send(file, one.sending);
    one.element.dataset.oid = oid(status);
    one.status(status);
    follow(status, 0, one.status);
  } catch (refused) {
    one.refused(refused.message);
  }
}
