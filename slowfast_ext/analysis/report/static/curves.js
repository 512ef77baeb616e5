// Training curves of all runs: validation solid, training dashed or, where every step is known, faint.

const HIDDEN_CURVES = /undecoded|bad_samples|bad_steps|^(train|val)\/(epoch|iter)/;
const FIRST_CURVES = ["top1_acc", "loss", "mean_class_acc", "map", "lr", "top5_acc", "clips_per_second", "data_wait"];

function showCurves(data) {
  const runs = data.runs.filter((run) => Object.keys(run.curves).length);
  if (!runs.length) return;
  const host = section("curves", "Training curves", "How each run got there. Move over a chart to read its values; drag to zoom in, double-click to zoom out.");
  const names = new Set(runs.flatMap((run) => Object.keys(run.curves)).filter((name) => !HIDDEN_CURVES.test(name)).map((name) => name.split("/")[1]));
  const place = (name) => (FIRST_CURVES.indexOf(name) + 1 || 99);
  const ordered = [...names].sort((a, b) => place(a) - place(b) || (a < b ? -1 : 1));
  const legend = el("div", { class: "bar curve-key" });
  const shades = data.comparison.rows;
  const shade = (run) => shades.findIndex((row) => row.runs.includes(data.runs.indexOf(run)));
  if (data.runs.length > 1) {
    for (const [index, row] of shades.entries()) legend.append(el("span", {}, el("i", { class: "key", style: `background:var(--s${index % 8})` }), row.name));
  }
  legend.append(el("span", {}, el("i", { class: "stroke" }), "validation"), el("span", {}, el("i", { class: "stroke dashed" }), "training"));
  const grid = el("div", { class: "charts" });
  host.append(legend, grid);
  const show = (list) => { for (const name of list) curveChart(grid, name, runs, shade); };
  show(ordered.slice(0, 4));
  if (ordered.length > 4) {
    const more = el("button", { type: "button" }, `Show ${ordered.length - 4} more charts`);
    more.addEventListener("click", () => { more.remove(); show(ordered.slice(4)); });
    host.append(el("div", { class: "bar" }, more));
  }
}

function curveChart(grid, name, runs, shade) {
  const told = el("span", { class: "readout" });
  const plotted = el("div", { class: "plot" });
  grid.append(el("div", { class: "chart" }, el("h3", {}, metricName(name), " ", told), plotted));
  const lines = [];
  for (const run of runs) {
    const epoch = run.curves[`train/${name}`];
    const step = run.curves[`step/${name}`];
    const usesSteps = step && (!epoch || name === "loss");
    if (run.curves[`val/${name}`]) lines.push({ run, kind: "validation", points: run.curves[`val/${name}`] });
    if (epoch && !usesSteps) lines.push({ run, kind: "training", points: epoch });
    if (usesSteps) lines.push({ run, kind: "training", points: step, faint: runs.length === 1 || Boolean(epoch) });
  }
  const many = runs.length > 1;
  const validated = lines.some((line) => line.kind === "validation");
  const data = uPlot.join(lines.map((line) => [Array.from(line.points.x), Array.from(line.points.y)]));
  const value = (number_) => (Math.abs(number_) >= 10 ? number(number_, 1) : Number(number_).toPrecision(3));
  const read = (plot) => {
    const at = plot.cursor.idx;
    if (at === null || at === undefined) { told.textContent = ""; return; }
    const near = (column) => { for (let d = 0; d < 40; d++) for (const i of [at - d, at + d]) if (column[i] !== null && column[i] !== undefined) return column[i]; return null; };
    const texts = lines.slice(0, many ? 6 : 2).map((line, i) => [many ? line.run.name : line.kind, near(data[i + 1])]).filter(([, v]) => v !== null);
    told.textContent = `epoch ${number(data[0][at], data[0][at] % 1 ? 1 : 0)}: ` + texts.map(([label, v]) => `${label} ${value(v)}`).join(", ");
  };
  chart(plotted, (width) => ({
    width, height: 220, cursor: { y: false, points: { size: 6 } }, legend: { show: false },
    hooks: { setCursor: [read] },
    scales: { x: { time: false } },
    axes: [axis({ label: "epoch", labelSize: 18, size: 34 }), axis({ size: 58, values: (plot, ticks) => ticks.map((tick) => String(Number(tick.toPrecision(6)))) })],
    series: [{}, ...lines.map((line) => {
      const tint = many ? seriesColor(shade(line.run)) : line.kind === "validation" ? seriesColor(0) : color("soft");
      const few = line.points.x.length < 30;
      return { stroke: line.faint ? `${tint}99` : tint, width: line.faint ? 1 : 2, dash: line.kind === "training" && !line.faint && validated ? [5, 4] : undefined, spanGaps: true, points: { show: few && line.kind === "validation", size: 5, fill: tint } };
    })],
  }), data);
}
