// The overview: a tile for each source.
"use strict";
import { draw } from "./live.js";

export class Tiles {
  constructor(list, nothing) {
    this.list = list;
    this.nothing = nothing;
    this.tiles = new Map();
    this.visible = new Set();
    this.observer = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const id = Number(entry.target.dataset.id);
        if (entry.isIntersecting) this.visible.add(id); else this.visible.delete(id);
      }
    });
    addEventListener("resize", () => this.arrange());
  }

  update(sources) {
    const ids = new Set(sources.map((source) => source.id));
    for (const [id, tile] of this.tiles) {
      if (!ids.has(id)) {
        this.observer.unobserve(tile.item);
        this.visible.delete(id);
        tile.item.remove();
        this.tiles.delete(id);
      }
    }
    for (const source of sources) {
      if (!this.tiles.has(source.id)) this.tiles.set(source.id, this.make(source));
      this.fill(this.tiles.get(source.id), source);
    }
    this.nothing.hidden = sources.length > 0;
    this.arrange();
  }

  make(source) {
    const item = document.createElement("li");
    item.className = "tile";
    item.dataset.id = source.id;
    item.innerHTML = `<a><div class="frame"><canvas role="img" width="320" height="180"></canvas>
      <p class="over" aria-hidden="true" hidden></p></div>
      <div class="line"><h2></h2><p class="state"></p><p class="rate"></p></div></a>`;
    item.querySelector("a").href = `#source/${source.id}`;
    item.querySelector("h2").textContent = source.name;
    this.list.append(item);
    this.observer.observe(item);
    return {
      item, canvas: item.querySelector("canvas"), over: item.querySelector(".over"),
      frame: item.querySelector(".frame"), state: item.querySelector(".state"), rate: item.querySelector(".rate"),
    };
  }

  fill(tile, source) {
    const live = source.state === "live";
    tile.state.textContent = source.words;
    tile.state.dataset.state = source.state;
    tile.frame.classList.toggle("dim", !live);
    tile.over.hidden = live;
    tile.over.textContent = source.words;
    const rate = source.rates.delivered_fps;
    const parts = [];
    if (live && rate !== null) parts.push(`${rate.toFixed(1)} fps`);
    if (live && source.rates.latency_ms !== null) parts.push(`${source.rates.latency_ms.toFixed(0)} ms`);
    if (source.record && source.record.error) parts.push("recording stopped");
    else if ((source.recording && !source.recording.error) || (source.record && source.record.file)) parts.push("recording");
    tile.rate.textContent = parts.join(" · ");
    tile.canvas.setAttribute("aria-label", `Picture of ${source.name}, ${source.words}`);
  }

  picture(id, bitmap) {
    const tile = this.tiles.get(id);
    if (tile) draw(tile.canvas, bitmap);
  }

  // Visible sources and their widths in device pixels.
  widths() {
    const widths = {};
    for (const id of this.visible) {
      const tile = this.tiles.get(id);
      if (tile) widths[id] = Math.round(tile.canvas.clientWidth * Math.min(2, devicePixelRatio)) || 320;
    }
    return widths;
  }

  // Choose the columns that give the largest tiles with all of them on the screen, if they fit.
  arrange() {
    const width = this.list.clientWidth, count = this.tiles.size;
    if (!width || !count) return;
    const height = Math.max(200, innerHeight - this.list.getBoundingClientRect().top - scrollY - 12);
    let best = 1, most = 0;
    for (let columns = 1; columns <= Math.min(count, Math.max(1, Math.floor(width / 220))); columns++) {
      const rows = Math.ceil(count / columns);
      const size = Math.min(width / columns, (height / rows - 44) * 16 / 9);
      if (size > most) { most = size; best = columns; }
    }
    this.list.style.setProperty("--columns", width < 560 ? 1 : best);
    this.list.style.setProperty("--tile", width < 560 ? "1fr" : `${Math.floor(Math.max(200, most - 12))}px`);
  }
}
