// Asks the gateway. What it refuses becomes a Refusal whose message is a sentence for people.

import * as connection from "./connection.js";
import { ended } from "./dom.js";

const PREFIX = "urn:wildtag:problem:";
const TRIES = 5;
const PATIENCE_MS = 30_000;
const SENTENCES = {
  "bad-key": () => "The name of this image cannot be read as text.",
  forbidden: (detail) => `This is not allowed: ${detail}.`,
  "not-found": () => "It is not there any more.",
  "too-large": (detail) => `This file is too large: ${detail}.`,
  "not-an-image": () => "This file is no image that wildtag can read.",
  "too-many": () => "That was too much at once. Please try again in a moment.",
  busy: () => "So many images are waiting that no more are taken at the moment.",
  unavailable: () => "A part of wildtag does not answer at the moment. Please try again.",
  internal: () => "Something went wrong on the server; its log says what.",
};

export class Refusal extends Error {
  constructor(name, detail, status = 0, seconds = 0) {
    super(SENTENCES[name]?.(detail) ?? sentence(detail));
    this.name = name;
    this.status = status;
    this.seconds = seconds; // after which it may be tried again
  }
}

function sentence(text) {
  const trimmed = text.trim();
  return ended(`${trimmed.charAt(0).toUpperCase()}${trimmed.slice(1)}`);
}

export function refusal(status, body, retryAfter) {
  let problem = {};
  try {
    problem = JSON.parse(body);
  } catch {
    // from something between us and the gateway
  }
  const reasons = problem.errors?.map((error) => error.reason).join("; ");
  const name = String(problem.type ?? "").replace(PREFIX, "");
  return new Refusal(name, reasons || problem.detail || `the server answered ${status}`, status, Number(retryAfter) || 0);
}

export const path = (...parts) => parts.map((part) => part.split("/").map(encodeURIComponent).join("/")).join("/");
export const objectPath = ({ bucket, key }) => `/v1/objects/${path(bucket, key)}`;
export const thumbnail = ({ bucket, key, etag }, size = 320) =>
  `/v1/thumbnails/${path(bucket, key)}?size=${size}&v=${encodeURIComponent(etag ?? "")}`;
export const oid = ({ bucket, key }) => `${bucket}/${key}`;
export const pause = (seconds) => new Promise((then) => setTimeout(then, seconds * 1000));

// One request. Throws Refusal; while the server is away, or wants a key, a GET waits and anything else is refused.
export async function call(method, address, json) {
  for (let tries = 1; ; tries += 1) {
    if (method === "GET") await connection.ready();
    let answer;
    try {
      answer = await fetch(address, {
        method,
        signal: AbortSignal.timeout(PATIENCE_MS),
        headers: json === undefined ? {} : { "Content-Type": "application/json" },
        body: json === undefined ? undefined : JSON.stringify(json),
      });
      if (answer.ok) return answer.status === 204 ? null : await answer.json();
    } catch {
      const there = await connection.check();
      if (method === "GET" && (!there || tries < TRIES)) continue;
      throw new Refusal("away", "the server does not answer");
    }
    const refused = refusal(answer.status, await answer.text(), answer.headers.get("Retry-After"));
    if (refused.status === 401 && address !== "/v1/session") connection.locked();
    if (refused.status === 503) await connection.check();
    const passes = refused.status === 401 || (refused.seconds && tries < TRIES);
    if (method !== "GET" || !passes) throw refused;
    if (refused.seconds) await pause(refused.seconds);
  }
}

export const get = (address) => call("GET", address);
export const post = (address, json) => call("POST", address, json);
export const remove = (address) => call("DELETE", address);
