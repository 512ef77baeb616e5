// Weights of a layer, from bytes to numbers: weight = scale * (value / highest)^2.

/** Numbers of one query of one head; `length` of them. */
function weightsOf(packed, row, length) {
  const highest = packed.signed ? 127 : 255;
  const found = new Float32Array(length);
  const scale = packed.scale[row];
  for (let i = 0; i < length; i++) {
    const value = packed.values[row * length + i];
    found[i] = (scale * value * Math.abs(value)) / (highest * highest);
  }
  return found;
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
const largest = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

class Layer {
  constructor(data) {
    Object.assign(this, data);
    this.space = this.h * this.w;
    this.queryRows = Math.ceil(this.h / this.stride);
    this.queryColumns = Math.ceil(this.w / this.stride);
    this.queries = this.t * this.queryRows * this.queryColumns + (this.classToken ? 1 : 0);
    this.signed = this.weights.signed;
  }

  get title() {
    const kind = this.attention + (this.kernel && this.kernel !== "softmax" ? `, ${this.kernel}` : "");
    return `${this.name} (${kind}, ${this.t} × ${this.h} × ${this.w})`;
  }

  /** Number of the query nearest to a patch (t, y, x); the class token is the last one. */
  query(patch) {
    if (patch === "class") return this.queries - 1;
    return (patch.t * this.queryRows + Math.floor(patch.y / this.stride)) * this.queryColumns + Math.floor(patch.x / this.stride);
  }

  /** The patch that a query stands for. */
  patchOf(patch) {
    if (patch === "class" || this.kind === "emim") return patch;
    const middle = (at, size) => Math.min(size - 1, Math.floor(at / this.stride) * this.stride + Math.floor(this.stride / 2));
    return { t: patch.t, y: middle(patch.y, this.h), x: middle(patch.x, this.w) };
  }

  /** Numbers of a query of one head, or their mean over the heads (head -1). */
  read(packed, query, count, length, head) {
    if (head >= 0) return weightsOf(packed, head * count + query, length);
    const mean = new Float32Array(length);
    for (let own = 0; own < this.heads.length; own++) {
      const values = weightsOf(packed, own * count + query, length);
      for (let i = 0; i < length; i++) mean[i] += values[i] / this.heads.length;
    }
    return mean;
  }

  /** {maps: a map [h * w] for each frame, labels} of a patch. */
  look(patch, head) {
    return { map: () => this.lookMap(patch, head), trajectory: () => this.lookTrajectory(patch, head), emim: () => this.lookWindow(patch, head), struct: () => this.lookStructures(patch, head) }[this.kind]();
  }

  frames(values) {
    return Array.from({ length: this.t }, (_, t) => values.subarray(t * this.space, (t + 1) * this.space));
  }

  lookMap(patch, head) {
    const maps = this.frames(this.read(this.weights, this.query(patch), this.queries, this.t * this.space, head));
    return { maps, shares: maps.map(sum), rows: this.h, columns: this.w };
  }

  lookTrajectory(patch, head) {
    const query = this.query(patch);
    const maps = this.frames(this.read(this.weights, query, this.queries, this.t * this.space, head));
    const time = this.read(this.time, query, this.queries, this.t, head);
    return { maps, shares: [...time], path: maps.map((map) => this.centre(map)), rows: this.h, columns: this.w };
  }

  /** Centre of mass (y, x) in patches. */
  centre(map) {
    let [mass, y, x] = [1e-12, 0, 0];
    map.forEach((value, i) => { const own = Math.max(0, value); mass += own; y += own * Math.floor(i / this.w); x += own * (i % this.w); });
    return { y: y / mass, x: x / mass };
  }

  windowOf(patch, head) {
    const pairs = Math.max(1, this.t - 1);
    const t = Math.min(patch.t, pairs - 1);
    return this.read(this.weights, t * this.space + patch.y * this.w + patch.x, pairs * this.space, this.window[0] * this.window[1], head);
  }

  lookWindow(patch, head) {
    const own = patch === "class" ? { t: 0, y: 0, x: 0 } : patch;
    const [rows, columns] = this.window;
    const values = this.windowOf(own, head);
    const to = this.t > 1 ? Math.min(own.t, this.t - 2) + 1 : 0;
    const maps = Array.from({ length: this.t }, () => new Float32Array(this.space));
    values.forEach((value, i) => {
      const [y, x] = [own.y + Math.floor(i / columns) - Math.floor(rows / 2), own.x + (i % columns) - Math.floor(columns / 2)];
      if (y >= 0 && y < this.h && x >= 0 && x < this.w) maps[to][y * this.w + x] = value;
    });
    return { maps, shares: maps.map(sum), window: values, to, rows: this.h, columns: this.w };
  }

  /** Where each patch of frame t goes in the next frame: {y, x} in patches, strongest cell or mean by weight. */
  displacements(t, head, soft) {
    const [rows, columns] = this.window;
    return Array.from({ length: this.space }, (_, i) => {
      const [own, column] = [Math.floor(i / this.w), i % this.w];
      const values = this.windowOf({ t, y: own, x: column }, head);
      let [mass, y, x, best, at] = [1e-12, 0, 0, -1, { y: 0, x: 0 }];
      values.forEach((value, cell) => {
        const step = { y: Math.floor(cell / columns) - Math.floor(rows / 2), x: (cell % columns) - Math.floor(columns / 2) };
        if (own + step.y < 0 || own + step.y >= this.h || column + step.x < 0 || column + step.x >= this.w) return;
        mass += value; y += value * step.y; x += value * step.x;
        if (value > best) { best = value; at = step; }
      });
      return soft ? { y: y / mass, x: x / mass } : at;
    });
  }

  lookStructures(patch, head) {
    const [t, h, w] = this.keyGrid;
    const values = this.read(this.weights, this.query(patch), this.queries, t * h * w * this.structures, head);
    const all = Array.from({ length: t }, () => new Float32Array(h * w));
    const each = Array.from({ length: this.structures }, () => Array.from({ length: t }, () => new Float32Array(h * w)));
    values.forEach((value, i) => {
      const [key, e] = [Math.floor(i / this.structures), i % this.structures];
      const [frame, place] = [Math.floor(key / (h * w)), key % (h * w)];
      all[frame][place] += value;
      each[e][frame][place] = value;
    });
    return { maps: all, shares: all.map(sum), each, rows: h, columns: w };
  }

  /** Aggregation pattern of structure e, [time][row][column] flat; the mean of the heads for head -1. */
  pattern(e, head) {
    const size = this.patternSize.reduce((a, b) => a * b);
    const of = (own) => this.patterns.subarray((own * this.structures + e) * size, (own * this.structures + e + 1) * size);
    if (head >= 0) return of(head);
    const mean = new Float32Array(size);
    for (let own = 0; own < this.heads.length; own++) of(own).forEach((value, i) => { mean[i] += value / this.heads.length; });
    return mean;
  }

  /** The dynamic kernel of a query at a key: its structures' weights there times their patterns. */
  kernelAt(patch, key, head) {
    const [, h, w] = this.keyGrid;
    const heads = head >= 0 ? [head] : this.heads.map((_, own) => own);
    const size = this.patternSize.reduce((a, b) => a * b);
    const found = new Float32Array(size);
    for (const own of heads) {
      const { each } = this.lookStructures(patch, own);
      for (let e = 0; e < this.structures; e++) {
        const weight = each[e][key.t][key.y * w + key.x] / heads.length;
        this.pattern(e, own).forEach((value, i) => { found[i] += weight * value; });
      }
    }
    return found;
  }
}
