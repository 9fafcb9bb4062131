// The newest events of the run, where it keeps any.
"use strict";
import { call } from "./api.js";

export class Events {
  constructor(section, list) {
    this.section = section;
    this.list = list;
    this.newest = null;
    this.asked = 0;
  }

  // Called each second; asks each third.
  async refresh() {
    if (document.hidden || this.asked++ % 3) return;
    let events;
    try {
      events = await call("GET", "/events?limit=20");
    } catch {
      return;
    }
    this.section.hidden = false;
    const newest = events.length ? events[0].id : "";
    if (newest === this.newest) return;
    this.newest = newest;
    this.list.replaceChildren(...events.map((event) => {
      const item = document.createElement("li"), time = document.createElement("time");
      time.dateTime = event.time;
      time.textContent = new Date(event.time).toLocaleString();
      const lasted = event.lasted ? ` after ${event.lasted.toFixed(0)} s` : "";
      item.append(time, ` ${event.source}: ${event.rule} ${event.phase}${lasted}`);
      return item;
    }));
    if (!events.length) this.list.append("Nothing has happened yet.");
  }
}
