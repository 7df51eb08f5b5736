// Uploads files, a few at a time in all tabs. Each has an Idempotency-Key, so retries never duplicate an upload.

import { PASSING, Refusal, isJson, pause, refusal, stranger } from "./api.js";
import * as connection from "./connection.js";
import { at, base } from "./place.js";

const AT_ONCE = navigator.locks ? 3 : 2; // of six connections that a browser has to a server over HTTP/1.1
const LONGEST_NAME = 255; // bytes
const TRIES = 3; // after connections that close while the server is available
let sending = 0;
const waiting = [];

export const uploading = () => sending > 0;

// Returns the progress of the image. Throws Refusal. Calls `progress` with numbers from 0 to 1.
export async function send(file, progress) {
  if (sending >= AT_ONCE) await new Promise((then) => waiting.push(then));
  sending += 1;
  try {
    return await inTurn(() => insist(file, progress));
  } finally {
    sending -= 1;
    waiting.shift()?.();
  }
}

// Runs `work` when it has one of the places that all tabs share. Without HTTPS browsers have no locks, except for this machine.
function inTurn(work) {
  if (!navigator.locks) return work();
  return new Promise((then, failed) => {
    const others = new AbortController();
    let mine = false;
    for (let place = 0; place < AT_ONCE; place += 1) {
      const granted = async () => {
        if (mine) return;
        mine = true;
        others.abort();
        await work().then(then, failed);
      };
      navigator.locks.request(`wildtag upload ${place} ${base}`, { signal: others.signal }, granted).catch(() => {}); // aborted
    }
  });
}

async function insist(file, progress) {
  const key = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  for (let cut = 0; ; ) {
    await connection.ready();
    const request = await once(file, key, progress);
    if (request.status === 0) {
      if ((await connection.check()) && (cut += 1) >= TRIES) {
        throw new Refusal("cut", "the connection closed during the upload; the file may be too large or have changed");
      }
      continue;
    }
    if (request.status < 300) {
      if (!isJson(request.getResponseHeader("Content-Type"))) throw stranger();
      return JSON.parse(request.responseText);
    }
    const refused = refusal(request.status, request.responseText, request.getResponseHeader("Retry-After"));
    if (refused.status === 401) connection.locked();
    else if (refused.seconds) await pause(refused.seconds);
    else if (PASSING.includes(refused.status) && (cut += 1) < TRIES) {
      await connection.check(); // a proxy without a gateway behind it: wait until it is back
      await pause(1);
    } else throw refused;
  }
}

function once(file, key, progress) {
  return new Promise((then) => {
    const request = new XMLHttpRequest(); // fetch reports no upload progress
    request.open("POST", at(`/v1/images?file_name=${encodeURIComponent(storable(file.name))}`));
    request.setRequestHeader("Content-Type", file.type || "application/octet-stream");
    request.setRequestHeader("Idempotency-Key", key);
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onloadend = () => then(request);
    request.send(file);
  });
}

// A name without what the server refuses: control characters and halves of characters.
function storable(name) {
  const text = name.toWellFormed?.() ?? name;
  const letters = [...text.replace(/[\p{Cc}\p{Cs}\u2028\u2029]/gu, "\ufffd")];
  while (new TextEncoder().encode(letters.join("")).length > LONGEST_NAME) letters.pop();
  return letters.join("");
}
