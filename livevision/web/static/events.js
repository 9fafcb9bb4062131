// Events of the run's store with their pictures and clips, filtered by source, rule, class and day.
"use strict";
import { call } from "./api.js";

const KINDS = ["source", "rule", "class"];

export class Events {
  constructor(section, list) {
    this.section = section;
    this.list = list;
    this.shown = null;
    this.asked = 0;
    this.seen = { source: new Set(), rule: new Set(), class: new Set() };
    this.form = section.querySelector("form");
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("change", () => this.load());
  }

  // Called each second; asks each third.
  async refresh() {
    if (document.hidden || this.asked++ % 3) return;
    await this.load();
  }

  async load() {
    const query = new URLSearchParams({ limit: "50" });
    for (const kind of [...KINDS, "day"]) {
      const value = this.field(kind).value;
      if (value) query.set(kind, value);
    }
    const asked = query.toString();
    this.asking = asked;
    let events;
    try {
      events = await call("GET", `/events?${asked}`);
    } catch {
      return;
    }
    if (this.asking !== asked) return; // another choice was made meanwhile
    this.section.hidden = false;
    this.offer(events);
    const shown = asked + (events.length ? events[0].id + (events[0].picture || "") + (events[0].clip || "") : "");
    if (shown === this.shown) return;
    this.shown = shown;
    this.list.replaceChildren(...events.map(item));
    if (!events.length) this.list.append("Nothing has happened yet.");
  }

  field(kind) { return this.form.querySelector(`#event-${kind}`); }

  // Put what events name into the lists to choose from.
  offer(events) {
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
  const says = `${event.source}: ${event.rule} ${event.phase}${lasted}`;
  const files = `/api/v1/events/${encodeURIComponent(event.id)}`;
  if (event.picture) {
    const picture = document.createElement("img"), whole = document.createElement("a");
    picture.src = whole.href = `${files}/picture.jpg`;
    picture.alt = `Picture of ${says}`;
    picture.loading = "lazy";
    whole.append(picture);
    row.append(whole);
  }
  row.append(time, ` ${says} `);
  if (event.clip) {
    const clip = document.createElement("a");
    clip.href = `${files}/clip`;
    clip.textContent = "Clip";
    clip.setAttribute("aria-label", `Clip of ${says}`);
    row.append(clip);
  }
  return row;
}
