// Clips: galleries of the most telling, a table of all, and a drawer with the clips of whatever was clicked.

class Clips {
  constructor(films, runs) {
    this.films = new Films(films);
    this.runs = runs;
  }

  /** A card with a playable thumbnail, or with words where the page has no film of the video. */
  card(head, video, open) {
    const film = head.film(video);
    const right = head.right(video);
    const label = head.labelText(video);
    const picture = film === null ? el("span", { class: "player none" }, "no film in this page") : this.films.player(film, label);
    const said = head.decoded(video) ? `${head.classes[head.predicted(video)]}` : "could not be read";
    const card = el("article", { class: `card ${right ? "right" : "wrong"}`, tabindex: 0 }, picture,
      el("div", { class: "card-text" }, el("b", {}, label),
        right ? el("span", { class: "good" }, `right, ${percent(head.prob(video), 0)} sure`)
          : el("span", { class: "bad" }, el("em", {}, "taken for "), said, head.decoded(video) ? ` · ${percent(head.prob(video), 0)} sure` : "")));
    this.clickable(card, () => open(video));
    return card;
  }

  /** A line with frames side by side. */
  stripRow(head, video, open) {
    const film = head.film(video);
    const right = head.right(video);
    const row = el("article", { class: "strip-row", tabindex: 0 },
      film === null ? el("span", { class: "strip none" }, "no film in this page") : this.films.strip(film, 8),
      el("div", { class: "card-text" }, el("b", {}, head.labelText(video)),
        el("span", { class: right ? "good" : "bad" }, right ? "right" : `taken for ${head.classes[head.predicted(video)]}`, ` · ${percent(head.prob(video), 0)} sure`)));
    this.clickable(row, () => open(video));
    return row;
  }

  clickable(element, act) {
    element.addEventListener("click", act);
    element.addEventListener("keydown", (event) => { if (event.key === "Enter" && event.target === element) act(); });
  }

  /** All that is known of one clip. */
  detail(head, video) {
    const film = head.film(video);
    const rows = head.decoded(video) ? head.top(video) : [];
    const labels = [...head.labels(video)];
    const bars = rows.map(([index, prob]) => el("div", { class: `prob${labels.includes(index) ? " true" : ""}` }, el("span", {}, head.classes[index]), meter(prob, labels.includes(index) ? "right" : "s7")));
    const rank = head.rank(video);
    const place = rank < 65535 && rank > 0 && !head.right(video) ? `The true class has ${percent(head.trueProb(video), 1)}, place ${whole(rank + 1)} of ${whole(head.classes.length)}.` : "";
    const file = head.file(video);
    const link = file.startsWith("/") ? el("a", { href: `file://${file.split("/").map(encodeURIComponent).join("/")}`, target: "_blank", rel: "noopener" }, "open the file") : null;
    return el("div", { class: "detail" },
      film === null ? null : el("div", { class: "detail-film" }, this.films.player(film, head.labelText(video)), this.films.strip(film, 12)),
      el("div", {},
        el("p", {}, "True class: ", el("b", {}, head.labelText(video)), ". ", head.decoded(video) ? place : "The video could not be read."),
        bars, this.otherRuns(head, video),
        el("p", { class: "note" }, el("span", { class: "path" }, file), " ", link)));
  }

  otherRuns(head, video) {
    const others = this.runs.flatMap((run) => run.heads.filter((own) => own !== head && own.videos === head.videos && own.name === head.name).map((own) => [run.name, own]));
    if (!others.length) return null;
    return el("div", { class: "others" }, el("h3", {}, "The other runs"), others.map(([name, own]) =>
      el("p", { class: "note" }, `${name}: `, el("span", { class: own.right(video) ? "good" : "bad" }, own.decoded(video) ? own.classes[own.predicted(video)] : "not read"), ` · ${percent(own.prob(video), 0)}`)));
  }
}

/** The panel that shows clips: films first, then the rest as a list, a clip in detail on a click. */
class Drawer {
  constructor(clips) {
    this.clips = clips;
    this.title = el("h2", {});
    this.lead = el("p", { class: "note" });
    this.back = el("button", { type: "button", onclick: () => this.list(), hidden: true }, "← all of these");
    this.body = el("div", { class: "drawer-body" });
    const close = el("button", { type: "button", "aria-label": "Close", class: "close", onclick: () => this.dialog.close() }, "✕");
    this.dialog = el("dialog", { class: "drawer" }, el("header", {}, el("div", {}, this.title, this.lead), close), this.back, this.body);
    this.dialog.addEventListener("click", (event) => { if (event.target === this.dialog) this.dialog.close(); });
    document.body.append(this.dialog);
  }

  use(head) { this.head = head; }

  open(title, lead, videos) {
    Object.assign(this, { videos });
    this.title.textContent = title;
    this.lead.textContent = lead;
    if (!this.dialog.open) this.dialog.showModal();
    this.list();
  }

  /** One clip alone. */
  openClip(video) {
    this.open(this.head.labelText(video), this.head.right(video) ? "right" : this.head.decoded(video) ? `taken for ${this.head.classes[this.head.predicted(video)]}` : "could not be read", [video]);
    this.show(video);
  }

  list() {
    this.back.hidden = true;
    const filmed = this.videos.filter((video) => this.head.film(video) !== null);
    const rest = this.videos.filter((video) => this.head.film(video) === null);
    const show = (video) => this.show(video);
    this.body.replaceChildren();
    this.body.scrollTop = 0;
    if (filmed.length) this.body.append(moreOf(filmed, 36, (video) => this.clips.card(this.head, video, show)));
    if (rest.length) {
      this.body.append(el("h3", {}, filmed.length ? `${counted(rest.length, "clip")} without a film in this page` : counted(rest.length, "clip")));
      clipTable(this.body, this.head, rest, show, 340);
    }
  }

  show(video) {
    this.back.hidden = this.videos.length < 2;
    this.body.replaceChildren(this.clips.detail(this.head, video));
    this.body.scrollTop = 0;
  }
}

/** Cards, so many at first, the others on demand. */
function moreOf(videos, step, make) {
  const grid = el("div", { class: "cards" });
  const add = (from) => {
    grid.append(...videos.slice(from, from + step).map(make));
    if (from + step >= videos.length) return;
    const more = el("button", { type: "button", class: "more" }, `Show ${Math.min(step, videos.length - from - step)} more of ${videos.length - from - step}`);
    more.addEventListener("click", () => { more.remove(); add(from + step); });
    grid.append(more);
  };
  add(0);
  return grid;
}

function clipTable(host, head, videos, pick, height, label = "Clips") {
  return new LongTable(host, {
    label, rows: videos, pick, height, sort: 3, down: true,
    columns: [
      { title: "", width: "40px", value: (v) => Number(head.right(v)), cell: (v) => el("span", { class: head.right(v) ? "good" : "bad", title: head.right(v) ? "right" : "wrong" }, head.right(v) ? "✓" : "✕") },
      { title: "true class", width: "minmax(90px, 1.1fr)", value: (v) => head.labelText(v), cell: (v) => head.labelText(v) },
      { title: "predicted", width: "minmax(90px, 1.1fr)", value: (v) => head.classes[head.predicted(v)], cell: (v) => (head.decoded(v) ? head.classes[head.predicted(v)] : "–") },
      { title: "sure", width: "70px", numeric: true, value: (v) => head.prob(v), cell: (v) => percent(head.prob(v), 0) },
      { title: "true class has", width: "138px", numeric: true, extra: true, value: (v) => head.trueProb(v), cell: (v) => percent(head.trueProb(v), 1) },
      { title: "video", width: "minmax(120px, 1.6fr)", extra: true, value: (v) => head.path(v), cell: (v) => el("span", { class: "path one", title: head.file(v) }, head.path(v)) },
    ],
  });
}

function showClips(host, head, clips, drawer, failed) {
  const names = { confident: "Most confident mistakes", worst: "Worst", best: "Best", unsure: "Least sure", all: "All videos" };
  const leads = {
    confident: "Wrong, and very sure of it: often a wrong label, or two classes that look alike.",
    worst: "Where the true class got least probability.",
    best: "Where the true class got most probability.",
    unsure: "Where the two best classes were closest to each other.",
    all: "Every video of the test. Click a column heading to sort, a line to see the clip.",
  };
  let [kind, look] = ["confident", "films"];
  const lead = el("p", { class: "lead" });
  const body = el("div", {});
  const looks = segments([["films", "thumbnails"], ["strips", "film strips"]], look, (value) => { look = value; draw(); }, "How clips are shown");
  const draw = () => {
    lead.textContent = leads[kind];
    looks.hidden = kind === "all";
    body.replaceChildren();
    if (kind === "all") return allClips(body, head, drawer);
    const open = (video) => drawer.openClip(video);
    const shown = head.galleries[kind];
    if (!shown.length) return body.append(el("p", { class: "note" }, "There is none."));
    body.append(look === "films" ? moreOf(shown, 24, (video) => clips.card(head, video, open)) : el("div", { class: "strips" }, shown.map((video) => clips.stripRow(head, video, open))));
  };
  host.append(el("div", { class: "bar" }, segments(Object.entries(names), kind, (value) => { kind = value; draw(); }, "Which clips"), el("span", { class: "push" }, looks)), lead, body);
  if (failed) host.append(el("p", { class: "note warn" }, `${counted(failed, "clip")} could not be opened when this page was made; --videos FOLDER says where the videos are now.`));
  host.append(el("p", { class: "note" }, "Point at a thumbnail, or tap it, to play it. At most three clips of a class in a gallery."));
  draw();
}

function allClips(host, head, drawer) {
  let [text, only] = ["", "all"];
  const keep = (video) => (only === "all" || (only === "wrong") !== head.right(video)) && (!text || `${head.labelText(video)} ${head.classes[head.predicted(video)]} ${head.path(video)}`.toLowerCase().includes(text));
  const told = el("span", { class: "note" });
  let table = null;
  const refresh = () => { table.filter(keep); told.textContent = counted(table.shown.length, "video"); };
  host.append(el("div", { class: "bar" }, searchField("Find a class or file", (value) => { text = value; refresh(); }), segments([["all", "all"], ["wrong", "mistakes"], ["right", "right"]], "all", (value) => { only = value; refresh(); }, "Which videos"), told));
  table = clipTable(host, head, head.all, (video) => drawer.openClip(video), 520, "All videos");
  refresh();
}
