// The list of recordings: segments of --record, and files recorded by the button.
"use strict";
import { call } from "./api.js";

const byId = (id) => document.getElementById(id);

export class Recorded {
  constructor(section, list) {
    this.section = section;
    this.list = list;
    this.shown = null;
    this.ticks = 0;
    this.known = new Set();
    this.form = section.querySelector("form");
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("change", () => this.load());
    byId("player-close").addEventListener("click", () => this.close());
    byId("film").addEventListener("error", () => {
      if (byId("film").hasAttribute("src")) byId("playing").textContent = `This browser cannot play ${this.name}; download it`;
    });
  }

  // Called every second; loads every fifth time.
  async refresh(records) {
    this.records = records;
    if (document.hidden || this.ticks++ % 5) return;
    await this.load();
  }

  async load() {
    const source = byId("recorded-source").value, day = byId("recorded-day").value;
    const query = new URLSearchParams({ limit: "100" });
    if (source) query.set("source", source);
    if (day) query.set("day", day);
    const filter = this.filter = query.toString();
    let segments, files;
    try {
      [segments, files] = await Promise.all([
        this.records ? call("GET", `/segments?${filter}`) : [],
        source || day ? [] : call("GET", "/recordings"),
      ]);
    } catch {
      return;
    }
    if (this.filter !== filter) return; // the filter has changed meanwhile
    this.section.hidden = !this.records && !files.length;
    this.form.hidden = !this.records;
    for (const { source: name } of segments) {
      if (this.known.has(name)) continue;
      this.known.add(name);
      byId("recorded-source").append(new Option(name, name));
    }
    const rows = [
      ...segments.map(ofSegment),
      ...files.map(ofFile).reverse(),
    ];
    const shown = JSON.stringify([filter, rows]);
    if (shown === this.shown) return;
    this.shown = shown;
    const focused = this.list.contains(document.activeElement) ? document.activeElement.dataset.of : null;
    this.list.replaceChildren(...rows.map((row) => this.item(row)));
    if (focused) this.list.querySelector(`[data-of="${CSS.escape(focused)}"]`)?.focus();
    if (!rows.length) this.list.append("No recordings.");
  }

  item({ name, title, more, address }) {
    const row = document.createElement("li"), words = document.createElement("span");
    const play = document.createElement("button"), download = document.createElement("a");
    words.textContent = `${title}${more ? `, ${more}` : ""}`;
    play.type = "button";
    play.textContent = "Play";
    play.dataset.of = `play ${name}`;
    play.setAttribute("aria-label", `Play ${title}`);
    play.addEventListener("click", () => this.play(title, address));
    download.className = "button";
    download.href = address;
    download.download = name;
    download.dataset.of = `download ${name}`;
    download.textContent = "Download";
    download.setAttribute("aria-label", `Download ${title}`);
    row.append(play, download, words);
    return row;
  }

  play(title, address) {
    const film = byId("film");
    this.name = title;
    byId("playing").textContent = title;
    byId("player").hidden = false;
    film.src = address;
    film.play().catch(() => {});
    film.scrollIntoView({ block: "nearest" });
  }

  close() {
    const film = byId("film");
    film.pause();
    film.removeAttribute("src");
    film.load();
    byId("player").hidden = true;
  }
}

function ofSegment({ file, source, start, end, bytes, complete, events }) {
  const begin = new Date(start), until = new Date(end), name = file.split("/").at(-1);
  const seconds = Math.round((until - begin) / 1000);
  const rules = [...new Set(events.map((event) => event.rule))];
  const more = [`${seconds} s`, size(bytes), complete ? "" : "not finished", rules.length ? `events: ${rules.join(", ")}` : ""];
  return {
    name, title: `${source}, ${begin.toLocaleString()}`, more: more.filter(Boolean).join(", "),
    address: `/api/v1/segments/${file.split("/").map(encodeURIComponent).join("/")}`,
  };
}

function ofFile({ file, bytes, modified }) {
  return {
    name: file, title: file, more: `${size(bytes)}, until ${new Date(modified).toLocaleString()}`,
    address: `/api/v1/recordings/${encodeURIComponent(file)}`,
  };
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
