// Reliability: of the predictions made with 80 % confidence, are 80 % right?

function showCalibration(host, head, drawer) {
  const bins = head.calibration;
  if (!bins || !bins.size) {
    host.append(el("p", { class: "note" }, "The scores of this run are no probabilities."));
    return;
  }
  const gap = bins.meanConfidence - bins.meanAccuracy;
  const things = head.multiLabel ? "classes that are claimed" : "answers";
  const verdict = Math.abs(gap) < 0.02 ? "On the whole the model knows how sure it may be."
    : gap > 0 ? `The model is too sure of itself: on average ${percent(bins.meanConfidence, 0)} confidence, ${percent(bins.meanAccuracy, 0)} right.`
      : `The model is better than it believes: on average ${percent(bins.meanConfidence, 0)} confidence, ${percent(bins.meanAccuracy, 0)} right.`;
  host.append(el("p", { class: "lead" }, `Are ${things} with 80 % confidence right in 80 % of the cases? Bars below the line: too sure. ${verdict}`));
  const tiles = [["Expected calibration error", percent(bins.ece)], ["Mean confidence", percent(bins.meanConfidence)], [head.multiLabel ? "Share that is right" : "Accuracy of decoded videos", percent(bins.meanAccuracy)]];
  host.append(el("div", { class: "tiles" }, tiles.map(([name, value]) => el("div", { class: "tile" }, el("b", {}, value), el("span", {}, name)))));
  const [above, below] = [el("div", { class: "plot" }), el("div", { class: "plot" })];
  host.append(el("div", { class: "charts" }, el("div", { class: "chart" }, el("h3", {}, "Accuracy by confidence"), above), el("div", { class: "chart" }, el("h3", {}, head.multiLabel ? "Claims of each confidence" : "Videos of each confidence"), below)));
  if (!head.multiLabel) host.append(el("p", { class: "note" }, "Click a bar for its clips."));
  const count = bins.size.length;
  const centers = bins.size.map((_, i) => (i + 0.5) / count);
  const accuracy = bins.accuracy.map((value, i) => (bins.size[i] ? value : null));
  const open = (at) => {
    if (head.multiLabel || at === null || !bins.size[at]) return;
    const inBin = head.all.filter((video) => head.decoded(video) && Math.min(count - 1, Math.floor(head.prob(video) * count)) === at);
    drawer.open(`Confidence ${percent(at / count, 0)} to ${percent((at + 1) / count, 0)}`, `${counted(inBin.length, "video")}, ${percent(bins.accuracy[at], 0)} right`, inBin);
  };
  const ready = { bars: uPlot.paths.bars({ size: [0.92, 100] }) };
  const common = (width) => ({
    width, height: 240, legend: { show: false }, cursor: { y: false, x: true, points: { show: false }, drag: { x: false, y: false } },
    hooks: { ready: [(plot) => plot.over.addEventListener("click", () => open(plot.cursor.idx))] },
  });
  const shares = (plot, ticks) => ticks.map((tick) => percent(tick, 0));
  const x = { time: false, range: [0, 1] };
  chart(above, (width) => ({
    ...common(width), scales: { x, y: { range: [0, 1] } },
    axes: [axis({ values: shares, label: "confidence", labelSize: 18, size: 34 }), axis({ values: shares, size: 52 })],
    series: [{}, { paths: ready.bars, fill: `rgba(${color("right-rgb")}, .55)`, stroke: color("right"), width: 1, points: { show: false } }, { stroke: color("ink"), dash: [4, 4], width: 1.5, points: { show: false } }],
  }), [centers, accuracy, centers.map((center, i) => (i === 0 ? 0 : i === count - 1 ? 1 : center))]);
  chart(below, (width) => ({
    ...common(width), scales: { x, y: { range: (plot, low, high) => [0, high * 1.06] } },
    axes: [axis({ values: shares, label: "confidence", labelSize: 18, size: 34 }), axis({ size: 60 })],
    series: [{}, { paths: ready.bars, fill: `rgba(${color("right-rgb")}, .28)`, stroke: color("right"), width: 1, points: { show: false } }],
  }), [centers, bins.size]);
}
