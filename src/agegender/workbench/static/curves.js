// Curves of one or several runs: points arrive in any order, only the minimum and maximum of a pixel column are drawn.
"use strict";
window.Curves = class {
  static COLOURS = ["#3f6ad8", "#d9822b", "#2f9e62", "#a94fc7", "#c23b4b"];

  constructor(holder, maxIteration) {
    this.holder = holder;
    this.maxIteration = maxIteration;
    this.runs = []; // {name, series: {label: Map(iteration -> value)}, snapshots: Set, best}
    this.log = false;
    this.smoothing = 0;
    this.chart = null;
    this.pending = 0;
    new ResizeObserver(() => this.schedule()).observe(holder);
  }

  addRun(name, best) {
    const run = { name, best, series: {}, snapshots: new Set() };
    this.runs.push(run);
    return run;
  }

  add(run, points) {
    for (const [label, rows] of Object.entries(points)) {
      if (!Array.isArray(rows)) continue;
      if (label === "snapshots") { for (const row of rows) run.snapshots.add(row[0]); continue; }
      const values = (run.series[label] = run.series[label] || new Map());
      for (const [iteration, value] of rows) values.set(iteration, value);
    }
    this.schedule();
  }

  clear(run) { run.series = {}; run.snapshots.clear(); this.schedule(); }

  schedule() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => { this.pending = 0; this.draw(); });
  }

  // min and max of every column, in their order: no peak is lost, unlike with every n-th point
  static reduce(rows, columns) {
    if (rows.length <= 2 * columns) return rows;
    const first = rows[0][0], width = (rows[rows.length - 1][0] - first) / columns || 1, kept = [];
    let column = -1, low = null, high = null;
    const close = () => { if (low) kept.push(...(low === high ? [low] : low[0] < high[0] ? [low, high] : [high, low])); };
    for (const row of rows) {
      const at = Math.min(columns - 1, Math.floor((row[0] - first) / width));
      if (at !== column) { close(); column = at; low = high = row; continue; }
      if (row[1] < low[1]) low = row;
      if (row[1] > high[1]) high = row;
    }
    close();
    return kept;
  }

  static smooth(rows, weight) { // exponential mean without the bias of its start
    let mean = 0, norm = 0;
    return weight ? rows.map(([x, y]) => {
      mean = weight * mean + (1 - weight) * y;
      norm = weight * norm + (1 - weight);
      return [x, mean / norm];
    }) : rows;
  }

  lines(width) {
    const lines = [];
    this.runs.forEach((run, number) => {
      for (const [label, values] of Object.entries(run.series)) {
        if (label === "lr") continue;
        const test = label.startsWith("test "), right = /accuracy|top/i.test(label);
        let rows = [...values].filter(([, y]) => y !== null && (!this.log || right || y > 0)).sort((a, b) => a[0] - b[0]);
        if (!test) rows = Curves.smooth(rows, this.smoothing);
        rows = Curves.reduce(rows, width);
        if (rows.length) lines.push({ rows, right, test, number, label: this.runs.length > 1 ? `${run.name}: ${label}` : label });
      }
    });
    return lines;
  }

  draw() {
    const width = Math.max(260, this.holder.clientWidth), lines = this.lines(width);
    if (!lines.length) return;
    const data = uPlot.join(lines.map((line) => [line.rows.map((row) => row[0]), line.rows.map((row) => row[1])]));
    const shape = JSON.stringify([lines.map((line) => line.label), this.log]);
    if (this.chart && this.shape === shape) {
      this.chart.setSize({ width, height: this.height(width) });
      this.chart.setData(data);
      return;
    }
    if (this.chart) this.chart.destroy();
    this.shape = shape;
    this.chart = new uPlot(this.options(lines, width), data, this.holder);
  }

  height(width) { return width < 500 ? 280 : 380; }

  options(lines, width) {
    const style = getComputedStyle(document.body), text = style.color, grid = style.getPropertyValue("--line");
    const axis = { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid } };
    const value = (u, v) => (v === null || v === undefined ? "–" : Math.abs(v) >= 1e-3 ? v.toPrecision(4) : v.toExponential(2));
    return {
      width, height: this.height(width),
      scales: {
        x: { time: false, range: (u, low, high) => [Math.min(low, 0), Math.max(high, this.maxIteration || high, 1)] },
        y: this.log ? { distr: 3 } : { range: (u, low, high) => [Math.min(0, low), high * 1.05 || 1] },
        right: { range: [0, 1] },
      },
      axes: [axis, { ...axis, label: "loss", labelSize: 18, size: 52, values: (u, ticks) => ticks.map((tick) => (tick === null ? "" : Number(tick.toPrecision(3)))) }, { ...axis, scale: "right", side: 1, label: "accuracy", labelSize: 18, size: 44, grid: { show: false } }],
      series: [{ label: "iteration" }, ...lines.map((line, at) => ({
        label: line.label, scale: line.right ? "right" : "y", spanGaps: true, value,
        stroke: Curves.COLOURS[(this.runs.length > 1 ? line.number : at) % Curves.COLOURS.length],
        width: line.test ? 2 : 1.3, dash: line.test && !line.right ? [6, 4] : undefined,
        points: { show: line.test, size: 6 },
      }))],
      hooks: { drawClear: [(u) => this.marks(u, text)] },
    };
  }

  marks(u, colour) {
    const context = u.ctx;
    context.save();
    context.strokeStyle = colour;
    for (const run of this.runs) for (const iteration of run.snapshots) {
      const x = Math.round(u.valToPos(iteration, "x", true));
      if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) continue;
      const best = iteration === run.best;
      context.globalAlpha = best ? 0.9 : 0.3;
      context.lineWidth = best ? 3 : 1;
      context.beginPath();
      context.moveTo(x, u.bbox.top);
      context.lineTo(x, u.bbox.top + u.bbox.height);
      context.stroke();
    }
    context.restore();
  }
};
