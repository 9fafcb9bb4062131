// Plots of a source's last ten minutes; the figures of all sources are kept while the page is open.
"use strict";

const KEPT = 600;
const COLOURS = ["#6cc0ff", "#ffb454", "#7fdc9a", "#ff9d94", "#c9a6ff", "#5fd7d7", "#f2e266", "#f39ad5"];
const DARK_COLOURS = ["#0a5aa8", "#9a5200", "#14652f", "#a3231a", "#5b2fa3", "#006666", "#6b5d00", "#8f1f6b"];

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
    const ids = new Set();
    for (const source of sources) {
      ids.add(source.id);
      if (!this.sources.has(source.id)) {
        this.sources.set(source.id, { rates: new Series(), age: new Series(), drops: new Series(), counts: new Series() });
      }
      const columns = this.sources.get(source.id), rates = source.rates;
      const live = source.state === "live";
      columns.rates.add(time, { capture: live ? rates.capture_fps : 0, delivered: live ? rates.delivered_fps : 0 });
      columns.age.add(time, { "capture to delivery": rates.latency_ms, "age of newest frame": source.age_s === null ? null : 1000 * source.age_s });
      const drops = {};
      for (const [cause, total] of Object.entries(source.dropped)) {
        const before = (columns.before || {})[cause] || 0;
        drops[cause] = columns.at ? Math.max(0, (total - before) / (time - columns.at)) : 0;
      }
      columns.before = { ...source.dropped };
      columns.at = time;
      columns.drops.add(time, drops);
      const counts = {};
      for (const name of columns.counts.values.keys()) counts[name] = 0;
      columns.counts.add(time, { ...counts, ...(live ? source.counts : {}) });
    }
    for (const id of this.sources.keys()) if (!ids.has(id)) this.sources.delete(id);
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
    const columns = this.history.sources.get(id);
    if (!columns) return;
    for (const kind of ["rates", "age", "drops", "counts"]) this.draw(kind, columns[kind], id);
  }

  draw(kind, series, id) {
    const box = document.getElementById(`plot-${kind}`);
    const names = [...series.values.keys()].sort().slice(0, COLOURS.length);
    const data = [series.times, ...names.map((name) => series.values.get(name))];
    const key = `${id} ${names.join("\n")}`;
    const drawn = this.plots.get(kind);
    if (drawn && drawn.key === key) { drawn.plot.setData(data); return; }
    if (drawn) drawn.plot.destroy();
    const style = getComputedStyle(document.documentElement);
    const text = style.getPropertyValue("--text").trim(), line = style.getPropertyValue("--line").trim();
    const colours = style.colorScheme.includes("light") ? DARK_COLOURS : COLOURS;
    const axis = { stroke: text, grid: { stroke: line, width: .5 }, ticks: { stroke: line, width: .5 } };
    const plot = new uPlot({
      width: Math.max(200, box.clientWidth), height: 170, legend: { live: true },
      scales: { y: { range: (_, low, high) => [0, Math.max(1, (high || 0) * 1.1)] } },
      axes: [axis, { ...axis, size: 46 }],
      series: [{}, ...names.map((label, n) => ({ label, stroke: colours[n], width: 2, spanGaps: false }))],
    }, data, box);
    plot.root.setAttribute("role", "img");
    plot.root.setAttribute("aria-label", `Plot: ${names.join(", ") || "no data"}`);
    this.plots.set(kind, { key, plot });
  }
}
