// One source: its picture, settings, figures and actions.
"use strict";
import { call } from "./api.js";
import { draw } from "./live.js";
import { Zones } from "./zones.js";

const byId = (id) => document.getElementById(id);

export class Detail {
  constructor(plots) {
    this.plots = plots;
    this.zones = new Zones((line, wrong) => this.message(line, wrong));
    this.id = null;
    this.touched = 0;
    for (const name of ["conf", "iou"]) {
      const input = byId(name);
      input.addEventListener("input", () => {
        this.touched = Date.now();
        byId(`${name}-shown`).textContent = Number(input.value).toFixed(2);
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.change({ [name]: Number(input.value) }), 120);
      });
    }
    byId("pause").addEventListener("click", () => this.change({ paused: !this.source.settings.paused }));
    byId("record").addEventListener("click", () => this.record());
    byId("remove").addEventListener("click", () => byId("remove-dialog").showModal());
    byId("remove-go").addEventListener("click", () => this.remove());
    byId("filter").addEventListener("input", () => this.filter());
    byId("all-classes").addEventListener("click", () => {
      this.touched = 0;
      this.change({ classes: [] });
    });
    byId("settings").addEventListener("submit", (event) => event.preventDefault());
  }

  async open(id) {
    this.id = id;
    this.source = null;
    this.message("");
    byId("filter").value = "";
    byId("classes").replaceChildren();
    byId("picture").getContext("2d").clearRect(0, 0, byId("picture").width, byId("picture").height);
    byId("snapshot").href = `/api/v1/sources/${id}/snapshot.jpg`;
    this.plots.clear();
    this.zones.open(id);
    try {
      const labels = await call("GET", `/sources/${id}/labels`);
      if (this.id === id) this.list(labels);
    } catch (error) {
      this.message(error.message, true);
    }
  }

  close() { this.id = null; this.plots.clear(); this.zones.close(); }

  list(labels) {
    const box = byId("classes");
    box.replaceChildren(...labels.map((name) => {
      const label = document.createElement("label"), input = document.createElement("input");
      input.type = "checkbox";
      input.value = name;
      input.addEventListener("change", () => {
        this.touched = Date.now();
        const chosen = [...box.querySelectorAll("input:checked")].map((one) => one.value);
        this.change({ classes: chosen });
      });
      label.append(input, name);
      return label;
    }));
    if (this.source) this.fillClasses();
  }

  filter() {
    const word = byId("filter").value.toLowerCase();
    for (const label of byId("classes").children) label.hidden = !label.textContent.toLowerCase().includes(word);
  }

  update(source) {
    const first = this.source === null;
    this.source = source;
    if (first) byId("name").textContent = source.name;
    const state = byId("state"), words = byId("words"), live = source.state === "live";
    // Screen readers announce a change of the state, not every second of it.
    if (state.dataset.state !== source.state || !live) {
      if (state.dataset.state !== source.state) state.setAttribute("aria-live", "polite");
      else state.setAttribute("aria-live", "off");
      state.textContent = source.words;
    }
    state.className = "state";
    state.dataset.state = source.state;
    byId("stage").classList.toggle("dim", !live);
    words.hidden = live;
    words.textContent = source.words;
    byId("picture").setAttribute("aria-label", `Picture of ${source.name}, ${source.words}`);
    const snapshot = byId("snapshot");
    snapshot.download = `${source.name.replace(/[^\w.-]+/g, "-")}.jpg`;
    const pause = byId("pause");
    pause.setAttribute("aria-pressed", source.settings.paused);
    pause.textContent = source.settings.paused ? "Resume" : "Pause";
    this.fillRecording(source);
    if (Date.now() - this.touched > 1500) {
      for (const name of ["conf", "iou"]) {
        byId(name).value = source.settings[name];
        byId(`${name}-shown`).textContent = source.settings[name].toFixed(2);
      }
    }
    this.fillClasses();
    this.fillFigures(source);
    this.plots.show(source.id);
  }

  fillRecording(source) {
    const record = byId("record"), active = source.recording && !source.recording.error;
    record.setAttribute("aria-pressed", Boolean(active));
    record.textContent = active ? `Stop recording, ${Math.round(source.recording.since_s)} s` : "Record";
    if (source.recording && source.recording.error) this.message(source.recording.error, true);
  }

  fillClasses() {
    const chosen = this.source.settings.classes.map(String);
    // News that left before a choice arrived would take it back for a moment.
    if (Date.now() - this.touched > 1500) {
      for (const input of byId("classes").querySelectorAll("input")) input.checked = chosen.includes(input.value);
    }
    byId("chosen").textContent = chosen.length ? `(${chosen.length} chosen)` : "(all)";
    byId("all-classes").disabled = chosen.length === 0;
  }

  fillFigures(source) {
    const rates = source.rates, number = (value, unit, digits = 1) => value === null ? "–" : `${value.toFixed(digits)} ${unit}`;
    const rows = [
      ["Size", source.size ? source.size.join(" × ") : "–"],
      ["Capture", number(rates.capture_fps, "fps")],
      ["Delivered", number(rates.delivered_fps, "fps")],
      ["Model", number(rates.model_fps, "fps")],
      ["Capture to delivery", number(rates.latency_ms, "ms", 0)],
      ["Lag", number(rates.lag_ms, "ms", 0)],
      ["Age of newest frame", source.age_s === null ? "–" : source.age_s < 2 ? `${(1000 * source.age_s).toFixed(0)} ms` : `${source.age_s.toFixed(0)} s`],
      ["Frames in / out", `${source.frames_in} / ${source.frames_out}`],
      ["Retries", String(source.retries)],
    ];
    const found = Object.entries(source.counts).sort().map(([name, count]) => `${count} ${name}`);
    if (source.record) {
      const { mode, file, segments, error } = source.record;
      const now = error ? `failed, retrying: ${error}` : file || (mode === "on-event" ? "waiting for an event" : "waiting for frames");
      rows.push(["Recording", `${mode}, ${segments} segments; ${now}`]);
    }
    rows.push(["Objects", found.join(", ") || "none"]);
    if (source.why && source.state !== "live") rows.push(["Cause", source.why]);
    if (source.error) rows.push(["Error", source.error]);
    const list = byId("figures");
    while (list.children.length > 2 * rows.length) list.lastChild.remove();
    rows.forEach(([name, value], n) => {
      if (list.children.length <= 2 * n) list.append(document.createElement("dt"), document.createElement("dd"));
      if (list.children[2 * n].textContent !== name) list.children[2 * n].textContent = name;
      if (list.children[2 * n + 1].textContent !== value) list.children[2 * n + 1].textContent = value;
    });
    const drops = Object.entries({ ...source.dropped, ...Object.fromEntries(Object.entries(source.losses).map(([cause, count]) => [`capture: ${cause}`, count])) });
    byId("drops").tBodies[0].replaceChildren(...drops.filter(([, count]) => count).map(([cause, count]) => {
      const row = document.createElement("tr"), [stage, reason] = cause.split(": ");
      for (const text of [stage, reason, String(count)]) row.insertCell().textContent = text;
      return row;
    }));
    byId("drops").hidden = drops.every(([, count]) => !count);
  }

  picture(bitmap) {
    byId("stage").style.setProperty("--ratio", draw(byId("picture"), bitmap));
  }

  widths() {
    return { [this.id]: Math.round(byId("picture").clientWidth * Math.min(2, devicePixelRatio)) || 640 };
  }

  async change(values) {
    try {
      const settings = await call("PATCH", `/sources/${this.id}/settings`, values);
      this.message("");
      if (this.source) this.update({ ...this.source, settings });
    } catch (error) {
      this.message(error.message, true);
      this.touched = 0;
      if (this.source) this.fillClasses();
    }
  }

  async record() {
    const active = byId("record").getAttribute("aria-pressed") === "true";
    try {
      const recording = await call(active ? "DELETE" : "POST", `/sources/${this.id}/recording`);
      this.message(active ? `Recorded ${recording.file}` : `Recording ${recording.file}`);
      if (active && recording.error) this.message(recording.error, true);
      this.source.recording = active ? null : recording;
      this.fillRecording(this.source);
    } catch (error) {
      this.message(error.message, true);
    }
  }

  async remove() {
    byId("remove-dialog").close();
    try {
      await call("DELETE", `/sources/${this.id}`);
      location.hash = "";
    } catch (error) {
      this.message(error.message, true);
    }
  }

  message(line, wrong = false) {
    byId("message").textContent = line;
    byId("message").classList.toggle("wrong", wrong);
  }
}
