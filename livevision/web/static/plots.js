// Plots of the last ten minutes of a source, kept for all sources while the page is open.
"use strict";

const KEPT = 600;
const INKS = ["#6cc0ff", "#ffb454", "#7fdc9a", "#ff9d94", "#c9a6ff", "#5fd7d7", "#f2e266", "#f39ad5"];
const DARK = ["#0a5aa8", "#9a5200", "#14652f", "#a3231a", "#5b2fa3", "#006666", "#6b5d00", "#8f1f6b"];

class Series {
  constructor() { this.times = []; this.values = new Map(); }

  add(time, row) {
    this.times.push(time);
    for (const name of Object.keys(row)) {
      if (!this.values.has(name)) this.values.set(name, new Array(this.times.length - 1).fill(null));
    }
    for (const [name, column] of this.values) column.push(name in row ? row[name] : null);
    if (this.times.length > KEPT) {
      this.times.shift();
      for (const [name, column] of this.values) {
        column.shift();
        if (column.every((value) => value === null)) this.values.delete(name);
      }
    }
  }
}

export class History {
  constructor() { this.sources = new Map(); }

  add(sources) {
    const time = Date.now() / 1000;
    const there = new Set();
    for (const source of sources) {
      there.add(source.id);
      if (!this.sources.has(source.id)) {
        this.sources.set(source.id, { rates: new Series(), age: new Series(), drops: new Series(), counts: new Series() });
      }
      const kept = this.sources.get(source.id), rates = source.rates;
      const flows = source.state === "live";
      kept.rates.add(time, { capture: flows ? rates.capture_fps : 0, delivered: flows ? rates.delivered_fps : 0 });
      kept.age.add(time, { "capture to delivery": rates.latency_ms, "newest picture": source.age_s === null ? null : 1000 * source.age_s });
      const drops = {};
      for (const [cause, total] of Object.entries(source.dropped)) {
        const before = (kept.before || {})[cause] || 0;
        drops[cause] = kept.at ? Math.max(0, (total - before) / (time - kept.at)) : 0;
      }
      kept.before = { ...source.dropped };
      kept.at = time;
      kept.drops.add(time, drops);
      const counts = {};
      for (const name of kept.counts.values.keys()) counts[name] = 0;
      kept.counts.add(time, { ...counts, ...(flows ? source.counts : {}) });
    }
    for (const id of this.sources.keys()) if (!there.has(id)) this.sources.delete(id);
  }
}

export class Plots {
  constructor(history) {
    this.history = history;
    this.plots = new Map();
    addEventListener("resize", () => {
      for (const { plot } of this.plots.values()) {
        plot.setSize({ width: Math.max(200, plot.root.parentNode.clientWidth), height: 170 });
      }
    });
    matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => this.clear());
  }

  clear() {
    for (const { plot } of this.plots.values()) plot.destroy();
    this.plots.clear();
  }

  show(id) {
    const kept = this.history.sources.get(id);
    if (!kept) return;
    for (const kind of ["rates", "age", "drops", "counts"]) this.draw(kind, kept[kind], id);
  }

  draw(kind, series, id) {
    const place = document.getElementById(`plot-${kind}`);
    const names = [...series.values.keys()].sort().slice(0, INKS.length);
    const data = [series.times, ...names.map((name) => series.values.get(name))];
    const key = `${id} ${names.join("\n")}`;
    const there = this.plots.get(kind);
    if (there && there.key === key) { there.plot.setData(data); return; }
    if (there) there.plot.destroy();
    const style = getComputedStyle(document.documentElement);
    const text = style.getPropertyValue("--text").trim(), line = style.getPropertyValue("--line").trim();
    const inks = style.colorScheme.includes("light") ? DARK : INKS;
    const axis = { stroke: text, grid: { stroke: line, width: .5 }, ticks: { stroke: line, width: .5 } };
    const plot = new uPlot({
      width: Math.max(200, place.clientWidth), height: 170, legend: { live: true },
      scales: { y: { range: (_, low, high) => [0, Math.max(1, (high || 0) * 1.1)] } },
      axes: [axis, { ...axis, size: 46 }],
      series: [{}, ...names.map((label, n) => ({ label, stroke: inks[n], width: 2, spanGaps: false }))],
    }, data, place);
    plot.root.setAttribute("role", "img");
    plot.root.setAttribute("aria-label", `Plot: ${names.join(", ") || "nothing yet"}`);
    this.plots.set(kind, { key, plot });
  }
}
