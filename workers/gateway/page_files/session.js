// Signs in with an API key, which becomes a cookie that scripts cannot read.

import { call, post } from "./api.js";
import * as connection from "./connection.js";
import { byId } from "./dom.js";

const SIGNED_IN = "wildtag.signed-in"; // whether a cookie was set

export function install() {
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
    connection.unlocked();
  };
  out.onclick = async () => {
    await call("DELETE", "/v1/session");
    localStorage.removeItem(SIGNED_IN);
    location.reload();
  };
  connection.onChange(() => {
    if (connection.current() === "locked" && !dialog.open) open();
  });
}

export function open() {
  byId("sign-in").showModal();
}
