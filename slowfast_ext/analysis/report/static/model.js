// What a test says of its videos: one Head for each classifier of a run.

class Head {
  constructor(data, videos) {
    this.name = data.name;
    this.classes = data.classes;
    this.multiLabel = data.multiLabel;
    this.calibration = data.calibration;
    this.galleries = data.galleries;
    this.pairs = data.pairs;
    this.order = data.order;
    this.classAp = data.classAp;
    this.single = data.single;
    this.data = data;
    this.videos = videos;
    this.size = videos.paths.length;
    this.all = Array.from({ length: this.size }, (_, index) => index);
  }

  labels(video) { return this.data.labels.subarray(this.data.labelStart[video], this.data.labelStart[video + 1]); }
  label(video) { return this.data.labels[this.data.labelStart[video]]; }
  labelText(video) { return [...this.labels(video)].map((label) => this.classes[label]).join(", ") || "no label"; }
  predicted(video, place = 0) { return this.data.best[video * this.data.count + place]; }
  prob(video, place = 0) { return this.data.probs[video * this.data.count + place] / 65535; }
  trueProb(video) { return this.data.true[video] / 65535; }
  rank(video) { return this.data.rank[video]; }
  decoded(video) { return this.data.decoded[video] === 1; }
  right(video) { return this.decoded(video) && this.labels(video).includes(this.predicted(video)); }
  top(video) { return Array.from({ length: this.data.count }, (_, place) => [this.predicted(video, place), this.prob(video, place)]); }
  path(video) { return this.videos.paths[video]; }
  file(video) { return this.videos.root ? `${this.videos.root}/${this.path(video)}` : this.path(video); }
  film(video) { const film = this.videos.film[video]; return film < 0 ? null : film; }

  /** Share of right videos, all of them counted. */
  get accuracy() {
    return this.once("accuracy", () => this.all.filter((video) => this.right(video)).length / Math.max(1, this.size));
  }

  get singleAccuracy() {
    if (!this.single) return null;
    return this.once("single", () => this.all.filter((video) => this.decoded(video) && this.labels(video).includes(this.single[video])).length / Math.max(1, this.size));
  }

  /** Of each class: videos, how many are right, mean probability of the class, what it is taken for most. */
  get perClass() {
    return this.once("perClass", () => {
      const rows = this.classes.map((name, index) => ({ index, name, videos: [], right: 0, prob: 0, taken: new Map(), ap: this.classAp ? this.classAp[index] : null }));
      for (const video of this.all) {
        for (const label of this.labels(video)) {
          const row = rows[label];
          row.videos.push(video);
          row.prob += this.trueProb(video);
          const predicted = this.predicted(video);
          if (this.right(video)) row.right += 1;
          else if (this.decoded(video)) row.taken.set(predicted, (row.taken.get(predicted) || 0) + 1);
        }
      }
      for (const row of rows) {
        const count = row.videos.length;
        row.accuracy = count ? row.right / count : null;
        row.error = count > 1 ? Math.sqrt((row.accuracy * (1 - row.accuracy)) / count) : null;
        row.prob = count ? row.prob / count : null;
        [row.other, row.otherCount] = [...row.taken].reduce((best, own) => (own[1] > best[1] ? own : best), [null, 0]);
      }
      return rows;
    });
  }

  /** Videos of each (label, predicted): Map of label * K + predicted -> numbers. */
  get cells() {
    return this.once("cells", () => {
      const cells = new Map();
      for (const video of this.all) {
        if (!this.decoded(video)) continue;
        const key = this.label(video) * this.classes.length + this.predicted(video);
        if (!cells.has(key)) cells.set(key, []);
        cells.get(key).push(video);
      }
      return cells;
    });
  }

  once(name, compute) {
    this.known = this.known || {};
    if (!(name in this.known)) this.known[name] = compute();
    return this.known[name];
  }
}
