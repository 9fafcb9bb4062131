// The page: the part of the address after "#" selects what is shown.
"use strict";
import { call } from "./api.js";
import { Detail } from "./detail.js";
import { Events } from "./events.js";
import { Live } from "./live.js";
import { History, Plots } from "./plots.js";
import { Recorded } from "./recorded.js";
import { Tiles } from "./tiles.js";
import { possible, Videos } from "./video.js";

const byId = (id) => document.getElementById(id);
const history = new History();
const plots = new Plots(history);
const tiles = new Tiles(byId("tiles"), byId("nothing"));
const detail = new Detail(plots);
const events = new Events(byId("events"), byId("event-list"));
const recorded = new Recorded(byId("recorded"), byId("segments"));
const videos = new Videos(picture, watch);
const codec = byId("codec");
let live = null;
let status = null;

function show() {
  const found = /^#source\/(\d+)$/.exec(location.hash);
  const id = found ? Number(found[1]) : null;
  byId("overview").hidden = id !== null;
  byId("detail").hidden = id === null;
  if (id === null) {
    detail.close();
    document.title = "livevision";
  } else if (detail.id !== id) {
    detail.open(id);
    byId("name").focus();
  }
  if (status) update();
  else watch();
}

function update() {
  tiles.update(status.sources);
  if (detail.id !== null) {
    const source = status.sources.find((one) => one.id === detail.id);
    if (source) {
      detail.update(source);
      document.title = `${source.name} – livevision`;
    } else {
      location.hash = "";
    }
  }
  watch();
}

// Request the visible pictures, as H.264 if chosen, otherwise as JPEG.
function watch() {
  if (!live) return;
  const widths = document.hidden ? {} : detail.id === null ? tiles.widths() : detail.widths();
  live.watch(videos.watch(widths, codec.value === "h264" && !byId("codec-label").hidden));
}

function figures(now) {
  status = now;
  history.add(now.sources);
  if (now.run.events) events.refresh();
  recorded.refresh(now.run.records);
  const run = now.run, models = run.models.map((model) => model.name).join(" + ");
  byId("facts").textContent = `${models} · ${run.engine || "loading"} ${run.device || ""} ${run.precision || ""}`;
  byId("codec-label").hidden = !(run.video && possible());
  const wrong = byId("settings-error");
  wrong.hidden = !run.settings_error;
  const line = `The settings could not be read again; the old ones still apply: ${run.settings_error}`;
  if (run.settings_error && wrong.textContent !== line) wrong.textContent = line;
  update();
}

function picture(source, bitmap) {
  if (detail.id === source) detail.picture(bitmap);
  else if (detail.id === null) tiles.picture(source, bitmap);
}

function connected(yes) {
  const line = byId("connection");
  line.textContent = yes ? "connected" : "no connection to livevision; retrying";
  line.classList.toggle("bad", !yes);
  document.body.classList.toggle("lost", !yes);
  if (!yes) {
    videos.watch({}, false);
    connect(true);
  }
}

let connecting = false;
async function connect(quietly = false) {
  if (connecting) return;
  connecting = true;
  try {
    const session = await call("GET", "/session");
    document.body.dataset.role = session.role;
    for (const one of document.querySelectorAll("[data-role]:not(body)")) one.hidden = session.role !== "operate";
    byId("settings").querySelectorAll("input, button").forEach((one) => { one.disabled = session.role !== "operate"; });
    byId("logout").hidden = session.open;
    if (byId("login-dialog").open) byId("login-dialog").close();
    if (!live) live = new Live({ figures, picture, connected });
  } catch (error) {
    if (error.status === 401 || error.status === 429) {
      if (live) { live.close(); live = null; }
      if (!byId("login-dialog").open) byId("login-dialog").showModal();
    } else if (!quietly || !live) {
      setTimeout(() => connect(true), 2000);
    }
  } finally {
    connecting = false;
  }
}

byId("login-dialog").addEventListener("cancel", (event) => event.preventDefault());
byId("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  byId("login-wrong").textContent = "";
  try {
    await call("POST", "/session", { token: byId("token").value });
    byId("token").value = "";
    await connect();
  } catch (error) {
    byId("login-wrong").textContent = error.message;
  }
});
byId("logout").addEventListener("click", async () => {
  await call("DELETE", "/session");
  location.reload();
});

byId("add").addEventListener("click", () => {
  byId("add-wrong").textContent = "";
  byId("add-dialog").showModal();
});
byId("add-cancel").addEventListener("click", () => byId("add-dialog").close());
byId("add-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  byId("add-wrong").textContent = "";
  byId("add-go").disabled = true;
  try {
    await call("POST", "/sources", { name: byId("add-name").value, uri: byId("add-uri").value });
    byId("add-form").reset();
    byId("add-dialog").close();
  } catch (error) {
    byId("add-wrong").textContent = error.message;
  } finally {
    byId("add-go").disabled = false;
  }
});

const theme = byId("theme");
theme.value = document.documentElement.dataset.theme;
theme.addEventListener("change", () => {
  document.documentElement.dataset.theme = theme.value;
  try { localStorage.setItem("theme", theme.value); } catch { /* storage is blocked */ }
  plots.clear();
  if (status) update();
});
try { codec.value = localStorage.getItem("pictures") || "jpeg"; } catch { /* storage is blocked */ }
if (!codec.value) codec.value = "jpeg";
codec.addEventListener("change", () => {
  try { localStorage.setItem("pictures", codec.value); } catch { /* storage is blocked */ }
  videos.tryAgain();
  watch();
});
byId("full").addEventListener("click", () => {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen();
});
document.addEventListener("fullscreenchange", () => {
  byId("full").setAttribute("aria-pressed", Boolean(document.fullscreenElement));
  document.body.classList.toggle("kiosk", Boolean(document.fullscreenElement) && detail.id === null);
  tiles.arrange();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || detail.id === null || document.querySelector("dialog[open]")) return;
  if (detail.zones.editing) detail.zones.end("No changes were made");
  else location.hash = "";
});
document.addEventListener("visibilitychange", watch);
addEventListener("hashchange", show);
show();
connect();
