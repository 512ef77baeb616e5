// The table of classes: sorts by its heads, filters by name, opens the clips of a class.

function showClasses(host, head, run, runs, drawer) {
  const rivals = runs.filter((own) => own !== run).flatMap((own) => own.heads.filter((other) => other.name === head.name && other.classes.length === head.classes.length).map((other) => [other, own.name]));
  let rival = rivals.length ? rivals[0][0] : null;
  let text = "";
  host.append(el("p", { class: "lead" }, "Click a column heading to sort, a line to see the clips of the class."));
  const bar = el("div", { class: "bar" });
  const place = el("div", {});
  host.append(bar, place);
  let table = null;
  const told = el("span", { class: "note" });
  const keep = (row) => !text || row.name.toLowerCase().includes(text) || (row.other !== null && head.classes[row.other].toLowerCase().includes(text));
  const refresh = () => { table.filter(keep); told.textContent = table.shown.length === head.classes.length ? counted(head.classes.length, "class", "classes") : `${table.shown.length} of ${counted(head.classes.length, "class", "classes")}`; };
  const make = () => {
    place.replaceChildren();
    table = new LongTable(place, { label: "Classes", rows: head.perClass, columns: classColumns(head, rival), sort: head.multiLabel ? 2 : 3, down: false, height: 460, empty: "No class has this in its name.",
      pick: (row) => drawer.open(row.name, head.multiLabel ? counted(row.videos.length, "video") : `${row.right} of ${counted(row.videos.length, "video")} right`, row.videos) });
    refresh();
  };
  bar.append(searchField("Find a class", (value) => { text = value; refresh(); }), told);
  if (rivals.length) bar.append(el("span", { class: "push" }, picker("Beside", [...rivals, [null, "no other run"]], rival, (value) => { rival = value; make(); })));
  make();
}

function classColumns(head, rival) {
  const columns = [
    { title: "class", width: "minmax(110px, 1.5fr)", value: (row) => row.name, cell: (row) => row.name },
    { title: "videos", width: "84px", numeric: true, value: (row) => row.videos.length, cell: (row) => whole(row.videos.length) },
  ];
  if (head.multiLabel) columns.push({ title: "average precision", width: "minmax(110px, 1fr)", numeric: true, value: (row) => row.ap, cell: (row) => meter(row.ap) });
  else {
    columns.push({ title: "right", width: "72px", numeric: true, extra: true, value: (row) => row.right, cell: (row) => whole(row.right) },
      { title: "accuracy", width: "minmax(96px, 1fr)", numeric: true, value: (row) => row.accuracy, cell: (row) => meter(row.accuracy) },
      { title: "± std. error", width: "116px", numeric: true, extra: true, value: (row) => row.error, cell: (row) => (row.error === null ? "–" : percent(row.error, 1)) });
  }
  columns.push({ title: "mean prob.", width: "110px", numeric: true, extra: true, value: (row) => row.prob, cell: (row) => percent(row.prob, 0) },
    { title: "most taken for", width: "minmax(110px, 1.5fr)", extra: true, value: (row) => row.otherCount, numeric: false, cell: (row) => (row.other === null ? "–" : `${head.classes[row.other]} (${row.otherCount})`) });
  if (rival) {
    const share = (own) => (head.multiLabel ? own.ap : own.accuracy);
    const delta = (row) => { const other = share(rival.perClass[row.index]); return share(row) === null || other === null ? null : share(row) - other; };
    columns.push({ title: "vs other", width: "92px", numeric: true, extra: true, value: delta, cell: (row) => { const gap = delta(row); return gap === null ? "–" : el("span", { class: gap > 0 ? "good" : gap < 0 ? "bad" : "" }, `${gap > 0 ? "+" : gap < 0 ? "−" : ""}${number(Math.abs(100 * gap), 0)}`); } });
  }
  return columns;
}
