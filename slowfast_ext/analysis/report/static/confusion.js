// The confusion matrix on a canvas: rows are the true classes, columns what was predicted. Zooms, pans, answers clicks.

const MOST_CELL = 72;
const LABELLED = 13;

class ConfusionMatrix {
  /** open(row class, column class) is called for a cell with videos. */
  constructor(host, head, open) {
    Object.assign(this, { head, open, count: head.classes.length, order: head.all.slice(0, 0) });
    this.totals = head.perClass.map((row) => row.videos.length);
    this.cells = [...head.cells].map(([key, videos]) => ({ row: Math.floor(key / this.count), column: key % this.count, videos }));
    this.canvas = el("canvas", { class: "matrix", tabindex: 0, role: "application", "aria-label": "Confusion matrix. Arrow keys move, plus and minus zoom, Enter opens the clips of a cell." });
    host.append(this.canvas);
    this.pointers = new Map();
    this.cursor = null;
    this.fitted = true;
    this.view = { x: 0, y: 0, size: 1 };
    this.redraw = sharpCanvas(this.canvas, (context, width, height) => this.draw(context, width, height));
    this.setOrder("listed");
    this.listen();
  }

  setOrder(name) {
    const classes = Array.from({ length: this.count }, (_, index) => index);
    const accuracy = this.head.perClass.map((row) => row.accuracy ?? 2);
    const names = new Intl.Collator("en", { numeric: true });
    this.order = {
      listed: () => classes,
      name: () => classes.sort((a, b) => names.compare(this.head.classes[a], this.head.classes[b])),
      accuracy: () => classes.sort((a, b) => accuracy[a] - accuracy[b] || a - b),
      similar: () => [...this.head.order],
    }[name]();
    this.place = new Array(this.count);
    this.order.forEach((own, place) => { this.place[own] = place; });
    this.redraw();
  }

  margins(width, size = this.view.size) {
    const named = size >= LABELLED;
    return { left: named ? Math.min(150, width * 0.3) : 26, top: named ? 118 : 26, named };
  }

  /** The largest cell with which the whole matrix is in view; its names count. */
  fitSize(width) {
    const height = Math.min(innerHeight * 0.76, 760);
    for (const named of [LABELLED, 0]) {
      const { left, top } = this.margins(width, named);
      const size = Math.min((width - left - 4) / this.count, (height - top - 4) / this.count);
      if (size >= named) return Math.min(size, MOST_CELL);
    }
    return 1;
  }

  draw(context, width, height) {
    Object.assign(this, { width, height });
    const fit = this.fitSize(width);
    const wanted = Math.round(this.margins(width, fit).top + this.count * fit + 6);
    if (Math.abs(wanted - height) > 2) { this.canvas.style.height = `${wanted}px`; return; }
    if (this.fitted || this.view.size < fit) { this.view = { x: 0, y: 0, size: fit }; this.fitted = true; }
    this.canvas.style.touchAction = this.fitted ? "pan-y" : "none";
    const { left, top, named } = this.margins(width);
    const size = this.view.size;
    this.clamp();
    context.clearRect(0, 0, width, height);
    const right = Math.min(width, left + (this.count - this.view.x) * size);
    const bottom = Math.min(height, top + (this.count - this.view.y) * size);
    context.fillStyle = color("page");
    context.fillRect(left, top, right - left, bottom - top);
    context.save();
    context.beginPath();
    context.rect(left, top, right - left, bottom - top);
    context.clip();
    this.drawGrid(context, left, top, size);
    this.drawCells(context, left, top, size);
    context.restore();
    this.drawNames(context, left, top, size, named, right, bottom);
  }

  drawGrid(context, left, top, size) {
    context.strokeStyle = color("line");
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(left - this.view.x * size, top - this.view.y * size);
    context.lineTo(left + (this.count - this.view.x) * size, top + (this.count - this.view.y) * size);
    context.stroke();
    if (!this.cursor) return;
    context.fillStyle = color("hover");
    context.fillRect(0, top + (this.cursor.y - this.view.y) * size, this.width, size);
    context.fillRect(left + (this.cursor.x - this.view.x) * size, 0, size, this.height);
  }

  drawCells(context, left, top, size) {
    const [good, bad, ink] = [color("right-rgb"), color("wrong-rgb"), color("ink")];
    const drawn = Math.max(size - (size > 6 ? 1 : 0), 1.7);
    context.font = "12px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (const cell of this.cells) {
      const x = left + (this.place[cell.column] - this.view.x) * size;
      const y = top + (this.place[cell.row] - this.view.y) * size;
      if (x > this.width || y > this.height || x + size < left || y + size < top) continue;
      const share = cell.videos.length / this.totals[cell.row];
      const faintest = size < 4 ? 0.4 : 0.14;
      const strength = faintest + (1 - faintest) * Math.sqrt(share);
      context.fillStyle = `rgba(${cell.row === cell.column ? good : bad}, ${strength})`;
      context.fillRect(x, y, drawn, drawn);
      if (size >= 24) {
        context.fillStyle = strength > 0.72 && document.documentElement.dataset.theme !== "dark" ? "#fff" : strength > 0.72 ? "#0b0e13" : ink;
        context.fillText(cell.videos.length, x + drawn / 2, y + drawn / 2 + 0.5);
      }
    }
    if (this.cursor) {
      context.strokeStyle = ink;
      context.lineWidth = 2;
      context.strokeRect(left + (this.cursor.x - this.view.x) * size - 1, top + (this.cursor.y - this.view.y) * size - 1, Math.max(size, 4) + 1, Math.max(size, 4) + 1);
    }
  }

  drawNames(context, left, top, size, named, right, bottom) {
    context.fillStyle = color("soft");
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    if (!named) {
      context.textAlign = "left";
      context.fillText("predicted →", left, 12);
      context.save();
      context.translate(12, top);
      context.rotate(Math.PI / 2);
      context.fillText("true class →", 0, 0);
      context.restore();
      return;
    }
    const font = Math.min(13, size - 1);
    context.font = `${font}px system-ui, sans-serif`;
    const first = (from) => Math.max(0, Math.floor(from));
    const ink = (own, at) => { context.fillStyle = color(this.cursor && this.cursor[at] === own ? "ink" : "soft"); };
    for (let i = first(this.view.y); i < this.count; i++) {
      const y = top + (i - this.view.y + 0.5) * size;
      if (y > bottom) break;
      if (y < top) continue;
      context.textAlign = "right";
      ink(i, "y");
      context.fillText(fitted(context, this.head.classes[this.order[i]], left - 10), left - 6, y);
    }
    for (let i = first(this.view.x); i < this.count; i++) {
      const x = left + (i - this.view.x + 0.5) * size;
      if (x > right) break;
      if (x < left) continue;
      context.save();
      context.translate(x, top - 6);
      context.rotate(-Math.PI / (this.width < 520 ? 2 : 3.2));
      context.textAlign = "left";
      ink(i, "x");
      context.fillText(fitted(context, this.head.classes[this.order[i]], this.width < 520 ? 108 : 134), 0, 0);
      context.restore();
    }
  }

  clamp() {
    const { left, top } = this.margins(this.width);
    const most = (space) => Math.max(0, this.count - space / this.view.size);
    this.view.x = Math.min(Math.max(0, this.view.x), most(this.width - left - 4));
    this.view.y = Math.min(Math.max(0, this.view.y), most(this.height - top - 4));
  }

  /** Zoom by a factor around a point of the canvas; without one around the middle. */
  zoom(factor, at = { x: this.width / 2, y: this.height / 2 }) {
    const before = this.margins(this.width);
    const cell = { x: this.view.x + (at.x - before.left) / this.view.size, y: this.view.y + (at.y - before.top) / this.view.size };
    const fit = this.fitSize(this.width);
    this.view.size = Math.min(Math.max(MOST_CELL, fit), Math.max(fit, this.view.size * factor));
    this.fitted = this.view.size <= fit * 1.001;
    const after = this.margins(this.width);
    this.view.x = cell.x - (at.x - after.left) / this.view.size;
    this.view.y = cell.y - (at.y - after.top) / this.view.size;
    this.redraw();
  }

  fit() { this.fitted = true; this.redraw(); }

  /** Bring a cell into view, large enough to read, and mark it. */
  show(row, column) {
    this.cursor = { x: this.place[column], y: this.place[row] };
    const size = Math.max(this.view.size, 26, this.fitSize(this.width));
    this.fitted = size <= this.fitSize(this.width);
    this.view.size = size;
    const { left, top } = this.margins(this.width);
    this.view.x = this.cursor.x - (this.width - left) / size / 2;
    this.view.y = this.cursor.y - (this.height - top) / size / 2;
    this.redraw();
  }

  /** The cell under a point: where cells are tiny, the nearest that has videos. */
  cellAt(x, y) {
    const { left, top } = this.margins(this.width);
    const at = { x: this.view.x + (x - left) / this.view.size, y: this.view.y + (y - top) / this.view.size };
    if (x < left || y < top || at.x >= this.count || at.y >= this.count) return null;
    const own = { x: Math.floor(at.x), y: Math.floor(at.y) };
    const reach = 7 / this.view.size;
    if (reach < 0.6 || this.videosOf(own).length) return own;
    let [best, distance] = [own, reach];
    for (const cell of this.cells) {
      const away = Math.hypot(this.place[cell.column] + 0.5 - at.x, this.place[cell.row] + 0.5 - at.y);
      if (away < distance) [best, distance] = [{ x: this.place[cell.column], y: this.place[cell.row] }, away];
    }
    return best;
  }

  videosOf(cell) {
    return this.head.cells.get(this.order[cell.y] * this.count + this.order[cell.x]) || [];
  }

  textOf(cell) {
    const [row, column] = [this.order[cell.y], this.order[cell.x]];
    const times = this.videosOf(cell).length;
    const share = this.totals[row] ? ` (${percent(times / this.totals[row], 0)})` : "";
    const said = row === column ? "right" : `taken for “${this.head.classes[column]}”`;
    return `“${this.head.classes[row]}” ${said}: ${times} of ${counted(this.totals[row], "video")}${share}`;
  }

  choose(cell) {
    this.cursor = cell;
    this.redraw();
    if (this.videosOf(cell).length) this.open(this.order[cell.y], this.order[cell.x]);
  }

  listen() {
    const point = (event) => { const box = this.canvas.getBoundingClientRect(); return { x: event.clientX - box.left, y: event.clientY - box.top }; };
    this.canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 240), point(event));
    }, { passive: false });
    this.canvas.addEventListener("pointerdown", (event) => {
      this.pointers.set(event.pointerId, point(event));
      this.moved = this.pointers.size > 1 ? 99 : 0;
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => this.move(event, point(event)));
    const end = (event) => {
      const held = this.pointers.delete(event.pointerId);
      if (!held || event.type !== "pointerup" || this.moved > 5) return;
      const cell = this.cellAt(...Object.values(point(event)));
      if (cell) this.choose(cell);
    };
    for (const type of ["pointerup", "pointercancel"]) this.canvas.addEventListener(type, end);
    this.canvas.addEventListener("pointerleave", () => showTip(null, ""));
    this.canvas.addEventListener("dblclick", (event) => this.zoom(2, point(event)));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
  }

  move(event, at) {
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      const cell = this.cellAt(at.x, at.y);
      this.canvas.style.cursor = cell && this.videosOf(cell).length ? "pointer" : "grab";
      showTip(event, cell ? this.textOf(cell) : "");
      return;
    }
    showTip(null, "");
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, at);
    if (other) {
      const spread = (point_) => Math.hypot(point_.x - other.x, point_.y - other.y);
      this.zoom(spread(at) / Math.max(1, spread(before)), { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 });
      return;
    }
    this.moved += Math.hypot(at.x - before.x, at.y - before.y);
    if (this.moved > 5 && !this.fitted) {
      this.view.x -= (at.x - before.x) / this.view.size;
      this.view.y -= (at.y - before.y) / this.view.size;
      this.redraw();
    }
  }

  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key in steps) {
      const [x, y] = steps[event.key];
      const from = this.cursor || { x: 0, y: 0 };
      const inside = (value) => Math.min(this.count - 1, Math.max(0, value));
      this.show(this.order[inside(from.y + y)], this.order[inside(from.x + x)]);
    } else if (event.key === "+" || event.key === "=") this.zoom(1.5);
    else if (event.key === "-") this.zoom(1 / 1.5);
    else if (event.key === "0") this.fit();
    else if (event.key === "Enter" && this.cursor) this.choose(this.cursor);
    else return;
    event.preventDefault();
  }
}

/** A text cut to a width. */
function fitted(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let end = text.length;
  while (end > 1 && context.measureText(`${text.slice(0, end)}…`).width > width) end -= 1;
  return `${text.slice(0, end)}…`;
}

function showConfusion(host, head, drawer) {
  const lead = "A row for each true class, a column for what was predicted: blue on the diagonal is right, orange beside it is a confusion. The stronger the colour, the larger the share of the row.";
  host.append(el("p", { class: "lead" }, lead));
  const tools = el("div", { class: "bar" });
  const side = el("div", { class: "pairs" });
  const place = el("div", { class: "matrix-place" });
  host.append(tools, el("div", { class: "matrix-and-pairs" }, place, side));
  const open = (row, column) => {
    const videos = head.cells.get(row * head.classes.length + column) || [];
    const title = row === column ? `“${head.classes[row]}”, right` : `“${head.classes[row]}” taken for “${head.classes[column]}”`;
    drawer.open(title, `${videos.length} of ${counted(head.perClass[row].videos.length, "video")} of the class`, videos);
  };
  const matrix = new ConfusionMatrix(place, head, open);
  const orders = [["listed", "as listed"], ["similar", "confused ones together"], ["accuracy", "worst class first"], ["name", "by name"]];
  const find = searchField("Find a class", (text) => {
    const found = text ? head.classes.findIndex((name) => name.toLowerCase().includes(text)) : -1;
    if (found >= 0) matrix.show(found, found);
  });
  const button = (text, label, act) => el("button", { type: "button", "aria-label": label, title: label, onclick: act }, text);
  tools.append(picker("Order", orders, "listed", (name) => matrix.setOrder(name)), find, el("span", { class: "push zoom" }, button("−", "Zoom out", () => matrix.zoom(1 / 1.6)), button("+", "Zoom in", () => matrix.zoom(1.6)), button("Whole", "Show the whole matrix", () => matrix.fit())));
  place.append(el("p", { class: "note" }, "Click a cell for its clips. Ctrl and wheel or two fingers zoom, dragging moves."));
  showPairs(side, head, (row, column) => { matrix.show(row, column); open(row, column); });
  return matrix;
}

/** The worst pairs of classes, each a button that opens its clips. */
function showPairs(host, head, choose) {
  host.append(el("h3", {}, "Worst pairs"));
  if (!head.pairs.length) host.append(el("p", { class: "note" }, "No class was taken for another."));
  const list = el("ol", { class: "pair-list" });
  for (const [row, column, times] of head.pairs) {
    const share = times / head.perClass[row].videos.length;
    list.append(el("li", {}, el("button", { type: "button", onclick: () => choose(row, column) },
      el("span", {}, head.classes[row], el("em", {}, " taken for "), head.classes[column]), el("b", {}, `${times} · ${percent(share, 0)}`))));
  }
  host.append(list);
}
