// Signs in with an API key, which begins a session. Its cookie is not the key, and scripts cannot read it.

import { call, post } from "./api.js";
import * as connection from "./connection.js";
import { byId } from "./dom.js";
import * as feed from "./feed.js";
import { base } from "./place.js";
import { uploading } from "./uploads.js";

const SIGNED_IN = `wildtag.signed-in ${base}`; // whether a cookie was set

// A link that `wildtag up` prints has a key in its fragment, which is not sent anywhere. It leaves the address at once.
async function fromAddress() {
  if (!location.hash.startsWith("#key=")) return;
  const key = location.hash.slice(5);
  history.replaceState(null, "", `${location.pathname}${location.search}#/`);
  try {
    await post("/v1/session", { key });
  } catch (refused) {
    byId("sign-in-note").textContent = refused.status === 401 ? "The key of this link is not valid." : refused.message;
    if (!byId("sign-in").open) open();
    return;
  }
  localStorage.setItem(SIGNED_IN, "yes");
  byId("sign-out").hidden = false;
  byId("sign-in").close();
  feed.changedSession();
  connection.unlocked();
}

// Another tab has signed in or out. What this one shows goes with the session, unless it would lose files.
function session() {
  const out = byId("sign-out");
  const ended = !out.hidden && !localStorage.getItem(SIGNED_IN);
  out.hidden = !localStorage.getItem(SIGNED_IN);
  if (ended && !uploading()) location.reload();
}

// Resolves when requests may be sent: after signing in with the key of the address, if it has one.
export async function install() {
  const dialog = byId("sign-in");
  const form = dialog.querySelector("form");
  const out = byId("sign-out");
  out.hidden = !localStorage.getItem(SIGNED_IN);
  form.onsubmit = async (event) => {
    event.preventDefault();
    byId("sign-in-note").textContent = "";
    try {
      await post("/v1/session", { key: byId("key").value.trim() });
    } catch (refused) {
      byId("sign-in-note").textContent = refused.status === 401 ? "Unknown API key." : refused.message;
      byId("key").select();
      return;
    }
    byId("key").value = "";
    localStorage.setItem(SIGNED_IN, "yes");
    out.hidden = false;
    dialog.close();
    feed.changedSession();
    connection.unlocked();
  };
  out.onclick = async () => {
    try {
      await call("DELETE", "/v1/session");
    } catch {
      out.textContent = "Sign-out failed: try again"; // the session is still open
      return;
    }
    localStorage.removeItem(SIGNED_IN);
    feed.changedSession();
    location.reload();
  };
  connection.onChange(() => {
    if (connection.current() === "locked" && !dialog.open) open();
    if (connection.current() === "online" && dialog.open) dialog.close(); // another tab has signed in
  });
  addEventListener("storage", ({ key }) => key === SIGNED_IN && session());
  addEventListener("hashchange", fromAddress);
  await fromAddress();
}

export function open() {
  byId("sign-in").showModal();
}
