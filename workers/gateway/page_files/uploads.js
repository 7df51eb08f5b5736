// Sends files, a few at a time. Each has an Idempotency-Key, so that a file sent again is never stored twice.

import { Refusal, pause, refusal } from "./api.js";
import * as connection from "./connection.js";

const AT_ONCE = 3;
const TRIES = 3; // of a connection that is cut although the server is there
let sending = 0;
const waiting = [];

// Gives where the image is. Throws Refusal for what the server will not take. `progress` hears from 0 to 1.
export async function send(file, progress) {
  if (sending >= AT_ONCE) await new Promise((then) => waiting.push(then));
  sending += 1;
  try {
    return await insist(file, progress);
  } finally {
    sending -= 1;
    waiting.shift()?.();
  }
}

async function insist(file, progress) {
  const key = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  for (let cut = 0; ; ) {
    await connection.ready();
    const request = await once(file, key, progress);
    if (request.status === 0) {
      if ((await connection.check()) && (cut += 1) >= TRIES) {
        throw new Refusal("cut", "the connection was cut while the file was sent; it may be too large, or have changed");
      }
      continue;
    }
    if (request.status < 300) return JSON.parse(request.responseText);
    const refused = refusal(request.status, request.responseText, request.getResponseHeader("Retry-After"));
    if (refused.status === 401) connection.locked();
    else if (refused.seconds) await pause(refused.seconds);
    else throw refused;
  }
}

function once(file, key, progress) {
  return new Promise((then) => {
    const request = new XMLHttpRequest(); // fetch tells nothing of how much has been sent
    request.open("POST", "/v1/images");
    request.setRequestHeader("Content-Type", file.type || "application/octet-stream");
    request.setRequestHeader("Idempotency-Key", key);
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onloadend = () => then(request);
    request.send(file);
  });
}
