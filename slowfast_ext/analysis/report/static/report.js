// The page: sections for all runs once, sections of the run and head that are chosen anew each time.

page((data) => {
  const runs = data.runs.map((run) => {
    const videos = data.videoLists[run.videoList];
    return { ...run, heads: run.heads.map((head) => new Head(head, videos)) };
  });
  data.runs = runs;
  const clips = new Clips(data.films, runs);
  const drawer = new Drawer(clips);
  let [run, place] = [runs.find((own) => own.heads.length) || runs[0], 0];
  const tested = runs.some((own) => own.heads.length);
  const summary = section("summary", "Summary");
  showRuns(data);
  showCurves(data);
  const parts = tested ? [["classes", "Classes"], ["confusion", "Confusions"], ["clips", "Clips"], ["calibration", "Calibration"]].map(([id, title]) => section(id, title)) : [];
  showUnreadable(data);
  showSettings(data);

  const show = () => {
    const head = run.heads[place] || run.heads[0] || null;
    for (const host of [summary, ...parts]) host.replaceChildren(host.firstChild);
    summary.append(chooser(runs, run, head, (own) => { run = own; show(); }, (own) => { place = run.heads.indexOf(own); show(); }));
    showSummary(summary, run, head);
    for (const host of parts) host.hidden = !head;
    if (!head || !parts.length) return;
    drawer.use(head);
    showClasses(parts[0], head, run, runs, drawer);
    if (head.multiLabel) parts[1].append(el("p", { class: "note" }, "Videos have several labels: no class is taken for one other."));
    else showConfusion(parts[1], head, drawer);
    showClips(parts[2], head, clips, drawer, data.filmsFailed);
    showCalibration(parts[3], head, drawer);
  };
  show();
});

/** Which run, and which head of it (verb, noun), the page shows. */
function chooser(runs, run, head, chooseRun, chooseHead) {
  const bar = el("div", { class: "bar" });
  if (runs.length > 1) bar.append(picker("Run shown here and below", runs.map((own) => [own, own.name]), run, chooseRun));
  if (run.heads.length > 1) bar.append(segments(run.heads.map((own) => [own, own.name || "class"]), head, chooseHead, "Head"));
  return bar;
}
