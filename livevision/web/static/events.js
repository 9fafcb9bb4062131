// The list of events with pictures and clips, filtered by source, rule, class and day.
"use strict";
import { call } from "./api.js";

const KINDS = ["source", "rule", "class"];

export class Events {
  constructor(section, list) {
    this.section = section;
    this.list = list;
    this.shown = null;
    this.ticks = 0;
    this.seen = { source: new Set(), rule: new Set(), class: new Set() };
    this.form = section.querySelector("form");
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("change", () => this.load());
  }

  // Called every second; loads every third time.
  async refresh() {
    if (document.hidden || this.ticks++ % 3) return;
    await this.load();
  }

  async load() {
    const query = new URLSearchParams({ limit: "50" });
    for (const kind of [...KINDS, "day"]) {
      const value = this.field(kind).value;
      if (value) query.set(kind, value);
    }
    const filter = query.toString();
    this.filter = filter;
    let events;
    try {
      events = await call("GET", `/events?${filter}`);
    } catch {
      return;
    }
    if (this.filter !== filter) return; // the filter has changed meanwhile
    this.section.hidden = false;
    this.addChoices(events);
const shown = filter + (events.length ? events[0].id + (events[0].picture || "") + (events[0].clip || "") : "");
    if (shown === this.shown) return;
    this.shown = shown;
    this.list.replaceChildren(...events.map(item));
    if (!events.length) this.list.append("No events.");
  }

  field(kind) { return this.form.querySelector(`#event-${kind}`); }

  // Add the sources, rules and classes of events to the filters.
  addChoices(events) {
    for (const event of events) {
      const named = { source: [event.source], rule: [event.rule], class: event.classes || [] };
      for (const kind of KINDS) {
        for (const name of named[kind]) {
          if (this.seen[kind].has(name)) continue;
          this.seen[kind].add(name);
          this.field(kind).append(new Option(name, name));
        }
      }
    }
  }
}

function item(event) {
  const row = document.createElement("li"), time = document.createElement("time");
  time.dateTime = event.time;
  time.textContent = new Date(event.time).toLocaleString();
  const lasted = event.lasted ? ` after ${event.lasted.toFixed(0)} s` : "";
  const title = `${event.source}: ${event.rule} ${event.phase}${lasted}`;
  const files = `/api/v1/events/${encodeURIComponent(event.id)}`;
  if (event.picture) {
    const picture = document.createElement("img"), link = document.createElement("a");
    picture.src = link.href = `${files}/picture.jpg`;
    picture.alt = `Picture of ${title}`;
    picture.loading = "lazy";
    link.append(picture);
    row.append(link);
  }
  row.append(time, ` ${title} `);
  if (event.clip) {
    const clip = document.createElement("a");
    clip.href = `${files}/clip`;
    clip.textContent = "Clip";
    clip.setAttribute("aria-label", `Clip of ${title}`);
    row.append(clip);
  }
  return row;
}
