// Calls the gateway. An error response becomes a Refusal with a message for people.

import * as connection from "./connection.js";
import { ended } from "./dom.js";
import { at } from "./place.js";

const PREFIX = "urn:wildtag:problem:";
const TRIES = 5;
const PATIENCE_MS = 30_000;
const SENTENCES = {
  "bad-key": () => "The name of this image is not valid text.",
  forbidden: (detail) => `Not allowed: ${detail}.`,
  "not-found": () => "Not found. It may have been deleted.",
  "too-large": (detail) => `This file is too large: ${detail}.`,
  "not-an-image": () => "This file is not an image in a supported format.",
  "too-many": () => "Too many requests. Try again in a moment.",
  busy: () => "Too many images are waiting. Try again later.",
  unavailable: () => "A part of wildtag is unavailable. Try again later.",
  expired: () => "This list is too old to continue. Search again.",
  internal: () => "An error occurred on the server. See its log.",
};

// Errors of a proxy, which are no problem documents.
const BETWEEN = {
  413: { type: `${PREFIX}too-large`, detail: "a server in between refuses files of this size" },
  502: { type: `${PREFIX}unavailable` },
  503: { type: `${PREFIX}unavailable` },
  504: { type: `${PREFIX}unavailable` },
};
export const PASSING = [502, 503, 504];

export class Refusal extends Error {
  constructor(name, detail, status = 0, seconds = 0) {
    super(SENTENCES[name]?.(detail) ?? sentence(detail));
    this.name = name;
    this.detail = detail; // what the server says
    this.status = status;
    this.seconds = seconds; // to wait before a retry
  }
}

export function sentence(text) {
  const trimmed = text.trim();
  return ended(`${trimmed.charAt(0).toUpperCase()}${trimmed.slice(1)}`);
}

export function refusal(status, body, retryAfter) {
  let problem = {};
  try {
    problem = JSON.parse(body);
  } catch {
    problem = BETWEEN[status] ?? { detail: `a server in between answered ${status}` };
  }
  const reasons = problem.errors?.map((error) => error.reason).join("; ");
  const name = String(problem.type ?? "").replace(PREFIX, "");
  return new Refusal(name, reasons || problem.detail || `the server answered ${status}`, status, Number(retryAfter) || 0);
}

export const isJson = (type) => Boolean(type?.startsWith("application/json"));

// A success that is not the gateway's.
export const stranger = () =>
  new Refusal("stranger", "another page answers in place of wildtag, such as a login page in between; reload this page");

export const path = (...parts) => parts.map((part) => part.split("/").map(encodeURIComponent).join("/")).join("/");
export const objectPath = ({ bucket, key }) => `/v1/objects/${path(bucket, key)}`;
export const thumbnail = ({ bucket, key, etag }, size = 320) =>
  at(`/v1/thumbnails/${path(bucket, key)}?size=${size}&v=${encodeURIComponent(etag ?? "")}`);
export const oid = ({ bucket, key }) => `${bucket}/${key}`;
export const pause = (seconds) => new Promise((then) => setTimeout(then, seconds * 1000));

export const original = (object, download = false) => at(`${objectPath(object)}:content${download ? "?download=true" : ""}`);

// Sends one request, with `body` as JSON or, if it is a file, as it is. Throws Refusal. A GET waits while the server is unavailable or requires a key; others fail.
export async function call(method, address, body) {
  const file = body instanceof Blob;
  for (let tries = 1; ; tries += 1) {
    if (method === "GET") await connection.ready();
    let answer;
    try {
      answer = await fetch(at(address), {
        method,
        signal: AbortSignal.timeout(PATIENCE_MS),
        headers: body === undefined || (file && !body.type) ? {} : { "Content-Type": file ? body.type : "application/json" },
        body: body === undefined || file ? body : JSON.stringify(body),
      });
      if (answer.status === 204) return null;
      if (answer.ok && isJson(answer.headers.get("Content-Type"))) return await answer.json();
    } catch {
      const there = await connection.check();
      if (method === "GET" && (!there || tries < TRIES)) continue;
      throw new Refusal("away", "the server does not answer");
    }
    if (answer.ok) throw stranger();
    const refused = refusal(answer.status, await answer.text(), answer.headers.get("Retry-After"));
    if (refused.status === 401 && address !== "/v1/session") connection.locked();
    const passing = PASSING.includes(refused.status);
    if (passing) await connection.check();
    const passes = refused.status === 401 || ((passing || refused.seconds) && tries < TRIES);
    if (method !== "GET" || !passes) throw refused;
    if (passing || refused.seconds) await pause(refused.seconds || 1);
  }
}

export const get = (address) => call("GET", address);
export const post = (address, body) => call("POST", address, body);
export const remove = (address) => call("DELETE", address);
