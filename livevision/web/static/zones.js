// The editor of a source's zones and lines: drawn on its picture by mouse, finger or keyboard.
"use strict";
import { call } from "./api.js";

const byId = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const STEP = .01;
const HANDLE = 13; // radius of a handle in pixels

function svg(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

export class Zones {
  constructor(message) {
    this.message = message;
    this.id = null;
    this.editing = null; // { kind, name, points, isNew }
    this.drawing = byId("drawing");
    this.drawing.addEventListener("click", (event) => this.addClicked(event));
    this.drawing.addEventListener("pointerdown", (event) => this.grab(event));
    this.drawing.addEventListener("pointermove", (event) => this.drag(event));
    for (const kind of ["pointerup", "pointercancel"]) this.drawing.addEventListener(kind, () => { this.held = null; });
    this.drawing.addEventListener("keydown", (event) => this.key(event));
    byId("new-zone").addEventListener("click", () => this.begin("zones"));
    byId("new-line").addEventListener("click", () => this.begin("lines"));
    byId("corner").addEventListener("click", () => this.addCorner());
    byId("save").addEventListener("click", () => this.save());
    byId("cancel").addEventListener("click", () => this.end("No changes were made"));
  }

  async open(id) {
    this.id = id;
    this.end("");
    this.scene = null;
    byId("shapes").replaceChildren();
    await this.refresh();
    clearInterval(this.timer);
    this.timer = setInterval(() => this.refresh(), 2000);
  }

  close() {
    clearInterval(this.timer);
    this.id = null;
    this.end("");
  }

  async refresh() {
    const id = this.id;
    if (id === null || document.hidden) return;
    try {
      const scene = await call("GET", `/sources/${id}/scene`);
      if (id !== this.id) return;
      this.scene = scene;
      this.list();
    } catch (error) {
      if (id === this.id && error.status !== 0) this.message(error.message, true);
    }
  }

  list() {
    const rows = [
      ...Object.entries(this.scene.zones).map(([name, one]) => ["zones", name, one, `zone, ${one.inside} inside`]),
      ...Object.entries(this.scene.lines).map(([name, one]) => ["lines", name, one, `line, ${one.crossed_in} in, ${one.crossed_out} out`]),
    ];
    const key = rows.map(([kind, name]) => `${kind} ${name}`).join("\n");
    const list = byId("shapes");
    if (key !== this.listed || list.children.length !== rows.length) {
      this.listed = key;
      list.replaceChildren(...rows.map(([kind, name]) => this.row(kind, name)));
    }
    rows.forEach(([, , , words], n) => { list.children[n].querySelector("span").textContent = words; });
    byId("saved-to").textContent = this.scene.file
      ? `Changes are saved in ${this.scene.file}.`
      : "Changes last until the run ends; to save them, start it with --scene FILE.yaml.";
  }

  row(kind, name) {
    const item = document.createElement("li"), title = document.createElement("strong"), words = document.createElement("span");
    title.textContent = name;
    item.append(title, words);
    if (document.body.dataset.role === "operate") {
      const edit = document.createElement("button"), remove = document.createElement("button");
      edit.type = remove.type = "button";
      edit.textContent = "Edit";
      edit.setAttribute("aria-label", `Edit ${name}`);
      remove.textContent = "Delete";
      remove.className = "danger";
      remove.setAttribute("aria-label", `Delete ${name}`);
      edit.addEventListener("click", () => this.begin(kind, name));
      remove.addEventListener("click", () => this.send({ [kind]: { [name]: null } }, `Deleted ${name}`));
      item.append(edit, remove);
    }
    return item;
  }

  begin(kind, name) {
    let points = [];
    if (name === undefined) {
      name = byId("shape-name").value.trim();
      if (!name) {
        this.message("Enter a name first", true);
        byId("shape-name").focus();
        return;
      }
      if (name in this.scene[kind]) {
        this.message(`${name} already exists`, true);
        return;
      }
    } else {
      points = this.scene[kind][name].points.map((point) => [...point]);
    }
    this.editing = { kind, name, points };
    byId("editing").hidden = false;
    byId("choosing").hidden = true;
    this.drawing.removeAttribute("hidden");
    this.message(points.length
      ? `Move the corners of ${name}: by mouse or finger, or with Tab and the arrow keys; then save`
      : `Click ${kind === "lines" ? "two ends" : "the corners"} of ${name} on the picture, or press "Add a corner"; then save`);
    this.draw();
    byId(points.length ? "save" : "corner").focus({ preventScroll: true });
    byId("stage").scrollIntoView({ block: "nearest" });
  }

  end(words) {
    this.editing = null;
    this.held = null;
    byId("editing").hidden = true;
    byId("choosing").hidden = false;
    this.drawing.setAttribute("hidden", "");
    this.drawing.replaceChildren();
    if (words) this.message(words);
  }

  get full() { return this.editing.kind === "lines" && this.editing.points.length === 2; }

  draw() {
    const { points, kind, name } = this.editing, box = this.drawing.getBoundingClientRect();
    const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.corner : undefined;
    const text = points.map(([x, y]) => `${1000 * x},${1000 * y}`).join(" ");
    const shapes = [svg(kind === "lines" ? "polyline" : "polygon", { points: text, class: "shape" })];
    points.forEach(([x, y], n) => {
      const handle = svg("ellipse", {
        cx: 1000 * x, cy: 1000 * y, rx: 1000 * HANDLE / box.width, ry: 1000 * HANDLE / box.height, tabindex: 0, role: "button", class: "handle",
        "aria-label": `Corner ${n + 1} of ${name}: ${Math.round(100 * x)} % from the left, ${Math.round(100 * y)} % from the top. Arrow keys move it, Delete removes it.`,
      });
      handle.dataset.corner = n;
      shapes.push(handle);
    });
    this.drawing.replaceChildren(...shapes);
    if (focused !== undefined && points[focused]) this.drawing.querySelector(`[data-corner="${focused}"]`).focus();
    byId("corner").disabled = this.full;
    byId("save").disabled = points.length < (kind === "lines" ? 2 : 3);
  }

  at(event) {
    const box = this.drawing.getBoundingClientRect();
    const share = (value) => Math.round(1e4 * Math.min(1, Math.max(0, value))) / 1e4;
    return [share((event.clientX - box.left) / box.width), share((event.clientY - box.top) / box.height)];
  }

  addClicked(event) {
    if (!this.editing || event.target.dataset.corner !== undefined || this.moved) { this.moved = false; return; }
    if (this.full) return;
    this.editing.points.push(this.at(event));
    this.draw();
  }

  grab(event) {
    const corner = event.target.dataset.corner;
    this.moved = false;
    if (corner === undefined) return;
    this.held = Number(corner);
    event.target.focus();
    this.drawing.setPointerCapture(event.pointerId);
    event.preventDefault();
  }

  drag(event) {
    if (this.held === null || this.held === undefined || !this.editing) return;
    this.moved = true;
    this.editing.points[this.held] = this.at(event);
    this.draw();
  }

  key(event) {
    const corner = event.target.dataset.corner;
    if (corner === undefined || !this.editing) return;
    const step = event.shiftKey ? 5 * STEP : STEP;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (event.key in moves) {
      const point = this.editing.points[corner], move = moves[event.key];
      this.editing.points[corner] = point.map((value, n) => Math.round(1e4 * Math.min(1, Math.max(0, value + move[n]))) / 1e4);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.editing.points.splice(Number(corner), 1);
    } else {
      return;
    }
    event.preventDefault();
    this.draw();
  }

  // A corner added by keyboard is placed midway between the last and the first one.
  addCorner() {
    const points = this.editing.points, start = [[.25, .25], [.75, .25], [.5, .75]];
    if (points.length < 3) points.push(start[points.length]);
    else points.push([0, 1].map((n) => Math.round(1e4 * (points[0][n] + points.at(-1)[n]) / 2) / 1e4));
    this.draw();
    this.drawing.querySelector(`[data-corner="${points.length - 1}"]`).focus();
  }

  async save() {
    const { kind, name, points } = this.editing;
    if (await this.send({ [kind]: { [name]: points } }, `Saved ${name}`)) {
      this.end("");
      byId("shape-name").value = "";
    }
  }

  async send(changes, words) {
    try {
      this.scene = await call("PATCH", `/sources/${this.id}/scene`, changes);
      this.listed = null;
      this.list();
      this.message(words);
      return true;
    } catch (error) {
      this.message(error.message, true);
      return false;
    }
  }
}
