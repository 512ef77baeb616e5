// The runs: what stands out in the one shown, all of them side by side, their settings.

function showSummary(host, run, head) {
  const tiles = [];
  const add = (name, value, small) => tiles.push(el("div", { class: "tile" }, el("b", {}, value, small ? el("small", {}, ` ${small}`) : null), el("span", {}, name)));
  const accuracy = head ? 100 * head.accuracy : null;
  const metrics = Object.entries(run.metrics).filter(([, value]) => value !== null).slice(0, 4);
  for (const [place, [name, value]] of metrics.entries()) {
    const error = place === 0 && head && Math.abs(value - accuracy) < 0.02 ? `± ${number(100 * Math.sqrt((head.accuracy * (1 - head.accuracy)) / Math.max(1, head.size - 1)))}` : "";
    add(metricName(name), Math.abs(value) >= 1 ? `${number(value)} %` : number(value, 3), error);
  }
  const single = singleView(run, head);
  if (single !== null) add("Top-1 accuracy from one view", `${number(single)} %`);
  if (head?.calibration?.size) add("Calibration error (ECE)", percent(head.calibration.ece));
  if (head) add("Videos tested", whole(head.all.filter((v) => head.decoded(v)).length), run.unreadable.length ? `of ${whole(head.size)}` : "");
  if (run.unreadable.length) add("Could not be read", whole(run.unreadable.length));
  host.append(el("div", { class: "tiles" }, tiles));
  host.append(el("p", { class: "note" }, protocol(run)));
  const points = head ? standsOut(head) : [];
  if (points.length) host.append(el("h3", {}, "What stands out"), el("ul", { class: "points" }, points.map((text) => el("li", {}, text))));
  for (const note of run.notes) host.append(el("p", { class: "note warn" }, note));
}

function singleView(run, head) {
  const named = Object.entries(run.metrics).find(([name]) => /single_view.*top1|top1.*single_view/.test(name));
  if (named) return named[1];
  return head && head.single ? 100 * head.singleAccuracy : null;
}

function protocol(run) {
  const [clips, crops] = run.views;
  const parts = [run.model ? `model ${run.model}` : null, run.clip.NUM_FRAMES ? `clips of ${run.clip.NUM_FRAMES} frames${run.clip.SAMPLING === "segment" ? ", one from each equal part of the video" : run.clip.SAMPLING_RATE ? `, ${run.clip.SAMPLING_RATE} apart` : ""}` : null,
    clips && crops ? `${clips} clips × ${crops} crops = ${counted(clips * crops, "view")} of each video` : null, run.seed === null ? null : `seed ${run.seed}`];
  return `${parts.filter(Boolean).join(" · ")} · ${run.folder}`;
}

/** The few sentences that a person would say after looking at everything. */
function standsOut(head) {
  const points = [];
  const known = head.perClass.filter((row) => row.videos.length);
  if (!head.multiLabel) {
    const never = known.filter((row) => row.right === 0);
    const worst = [...known].sort((a, b) => a.accuracy - b.accuracy)[0];
    const best = [...known].sort((a, b) => b.accuracy - a.accuracy || b.videos.length - a.videos.length)[0];
    if (head.pairs.length) {
      const [row, column, times] = head.pairs[0];
      points.push(`The most frequent confusion: “${head.classes[row]}” is taken for “${head.classes[column]}” in ${times} of ${counted(head.perClass[row].videos.length, "video")}.`);
    }
    if (never.length) points.push(`${counted(never.length, "class is", "classes are")} never right: ${never.slice(0, 5).map((row) => `“${row.name}”`).join(", ")}${never.length > 5 ? " and more" : ""}.`);
    else if (worst && best && worst !== best) points.push(`Weakest class: “${worst.name}” with ${percent(worst.accuracy, 0)}; strongest: “${best.name}” with ${percent(best.accuracy, 0)}.`);
    const missing = head.perClass.length - known.length;
    if (missing) points.push(`${counted(missing, "class has", "classes have")} no video in this test.`);
    const sure = head.galleries.confident.filter((video) => head.prob(video) > 0.9).length;
    if (sure) points.push(`${sure === head.galleries.confident.length ? "At least " : ""}${counted(sure, "mistake was", "mistakes were")} made with more than 90 % confidence: look at them first, labels may be wrong.`);
  }
  const { size, meanConfidence, meanAccuracy } = head.calibration || {};
  if (size && Math.abs(meanConfidence - meanAccuracy) >= 0.05 && !head.multiLabel) points.push(meanConfidence > meanAccuracy ? `Its confidence is ${number(100 * (meanConfidence - meanAccuracy), 0)} points higher than its accuracy.` : `Its confidence is ${number(100 * (meanAccuracy - meanConfidence), 0)} points lower than its accuracy.`);
  return points;
}

function showRuns(data) {
  if (data.runs.length < 2) return;
  const { metrics, rows, differences } = data.comparison;
  const host = section("runs", "Runs side by side", "Runs that differ only in the seed are one line: mean ± standard error over them. The range after it says how far chance in the choice of the videos reaches: ± one standard error.");
  if (!metrics.length) return void host.append(el("p", { class: "note" }, "None of the runs was tested."));
  const ends = rows.flatMap((row) => row.metrics[metrics[0]]?.values || []);
  const errors = rows.map((row) => row.overVideos || 0);
  const low = Math.max(0, Math.min(...ends) - 1.5 * Math.max(...errors, 1));
  const high = Math.min(100, Math.max(...ends) + 1.5 * Math.max(...errors, 1));
  const place = (value) => (100 * (Math.min(high, Math.max(low, value)) - low)) / Math.max(1e-9, high - low);
  const body = rows.map((row, index) => {
    const main = row.metrics[metrics[0]];
    const reach = row.overVideos;
    const range = main && reach ? el("span", { class: "range", title: `${number(main.mean - reach)} to ${number(main.mean + reach)}` },
      el("i", { style: `left:${place(main.mean - reach)}%;width:${place(main.mean + reach) - place(main.mean - reach)}%;background:var(--s${index % 8})` }),
      main.values.map((value) => el("u", { style: `left:${place(value)}%;background:var(--s${index % 8})` }))) : null;
    return el("tr", {}, el("td", {}, el("i", { class: "key", style: `background:var(--s${index % 8})` }), row.name), el("td", { class: "n" }, row.runs.length),
      metrics.map((name, at) => [el("td", { class: "n" }, spreadText(row.metrics[name])), at === 0 ? el("td", { class: "range-cell" }, range) : null]).flat().filter(Boolean));
  });
  const heads = [el("th", {}, "experiment"), el("th", { class: "n" }, "runs"), ...metrics.flatMap((name, at) => [el("th", { class: "n" }, metricName(name)), ...(at === 0 ? [el("th", { class: "range-cell" }, `${number(low, 0)} to ${number(high, 0)}`)] : [])])];
  host.append(el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, body))));
  for (const own of differences) host.append(el("p", { class: "note" }, differenceText(own)));
}

function spreadText(own) {
  if (!own) return "–";
  const title = own.values.map((value) => number(value, 2)).join(", ");
  return el("span", { title }, number(own.mean), own.error === null ? null : el("small", {}, ` ± ${number(own.error, own.error < 0.1 ? 2 : 1)}`));
}

function differenceText(own) {
  const away = Math.abs(own.difference);
  const sure = away > 2 * own.error ? "more than two standard errors: hardly chance" : "within two standard errors: may be chance";
  return `${own.name} is ${number(away)} ± ${number(own.error)} points below ${own.from} over the same videos (${sure}).`;
}

function showUnreadable(data) {
  const rows = data.runs.flatMap((run) => run.unreadable.map(([video, reason]) => ({ run: run.name, video, reason })));
  const tested = data.runs.some((run) => run.heads.length);
  if (!tested) return;
  const host = section("unreadable", "Unreadable files", rows.length ? "These videos could not be decoded. None was replaced by another." : "Every video of the test was read.");
  if (!rows.length) return;
  const columns = [
    { title: "video", width: "minmax(140px, 1.2fr)", value: (row) => row.video, cell: (row) => el("span", { class: "path one", title: row.video }, row.video) },
    { title: "reason", width: "minmax(140px, 1.4fr)", value: (row) => row.reason, cell: (row) => el("span", { class: "one", title: row.reason }, row.reason) },
  ];
  if (data.runs.length > 1) columns.unshift({ title: "run", width: "minmax(80px, .6fr)", value: (row) => row.run, cell: (row) => row.run });
  let text = "";
  const table_ = { own: null };
  if (rows.length > 8) host.append(el("div", { class: "bar" }, searchField("Find a file or reason", (value) => { text = value; table_.own.filter((row) => !text || `${row.video} ${row.reason}`.toLowerCase().includes(text)); })));
  table_.own = new LongTable(host, { label: "Unreadable files", rows, columns, height: 360 });
}

function showSettings(data) {
  const { base, rows } = data.settings;
  const several = data.runs.length > 1;
  const host = section("settings", "Configuration", `What differs from ${base}${several ? ", and between the runs" : ""}.`);
  if (!rows.length) return void host.append(el("p", { class: "note" }, data.runs.some((run) => run.model) ? "Nothing differs." : "There is no config.yaml."));
  const differs = (row) => new Set(row.values).size > 1;
  let [text, only] = ["", false];
  const body = el("tbody", {});
  const draw = () => body.replaceChildren(...rows.filter((row) => (!only || differs(row)) && (!text || `${row.key} ${row.help}`.toLowerCase().includes(text))).map((row) => {
    const values = several && !differs(row) ? [el("td", { colspan: data.runs.length }, el("code", {}, row.values[0] ?? "–"))] : row.values.map((value) => el("td", { class: several && differs(row) ? "differs" : "" }, el("code", {}, value ?? "–")));
    return el("tr", {}, el("td", {}, el("code", {}, row.key), el("div", { class: "note" }, row.help)), el("td", {}, el("code", {}, row.base ?? "–")), values);
  }));
  const bar = el("div", { class: "bar" }, searchField("Find a setting", (value) => { text = value; draw(); }));
  if (several) bar.append(segments([[false, "all"], [true, "only between the runs"]], only, (value) => { only = value; draw(); }, "Which settings"));
  const names = several ? data.runs.map((run) => el("th", {}, run.name)) : [el("th", {}, "this run")];
  host.append(bar, el("div", { class: "scroll settings" }, el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, "setting"), el("th", {}, base === "the defaults" ? "default" : "base"), names)), body)));
  draw();
}
