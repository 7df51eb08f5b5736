// Sets up the page.

import { byId } from "./dom.js";
import * as drop from "./drop.js";
import * as feed from "./feed.js";
import * as search from "./search.js";
import * as session from "./session.js";
import * as status from "./status.js";
import * as viewer from "./viewer.js";
import * as views from "./views.js";
import * as wall from "./wall.js";

await session.install();
status.install();
drop.install();
wall.install();
search.install();
viewer.install();
views.install();
feed.open();

// keep the address: its fragment selects the view
document.querySelector(".skip").onclick = (event) => {
  event.preventDefault();
  byId("main").focus();
};
