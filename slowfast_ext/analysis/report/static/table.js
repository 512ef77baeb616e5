// A table of any length: only the rows in view are elements. Sorts by its heads, filters by a function.

const ROW = 38;

/**
 * columns: {title, value(row) to sort by, cell(row) -> text or element, width (css grid), numeric, extra (hidden on phones)}
 * rows: anything; pick(row) is called for a click or Enter.
 */
class LongTable {
  constructor(host, { columns, rows, pick, height = 420, sort = 0, down = false, label, empty = "Nothing to show." }) {
    Object.assign(this, { columns, rows, pick, sortBy: sort, down, empty, keep: () => true });
    const grid = (shown) => shown.map((column) => column.width || "minmax(80px, 1fr)").join(" ");
    this.head = el("div", { class: "lt-row lt-head", role: "row" }, columns.map((column, index) => this.headCell(column, index)));
    this.body = el("div", { class: "lt-body", role: "rowgroup" });
    this.view = el("div", { class: "lt", role: "table", "aria-label": label, tabindex: 0, style: `max-height:${height}px;--columns:${grid(columns)};--columns-phone:${grid(columns.filter((column) => !column.extra))}` }, this.head, this.body);
    this.view.addEventListener("scroll", () => this.draw(), { passive: true });
    this.view.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.view);
    host.append(this.view);
    this.refresh();
  }

  headCell(column, index) {
    const button = el("button", { type: "button", onclick: () => this.sort(index) }, column.title);
    return el("div", { class: this.cellClass(column), role: "columnheader" }, column.value ? button : column.title);
  }

  cellClass(column) {
    return `lt-cell${column.numeric ? " n" : ""}${column.extra ? " extra" : ""}`;
  }

  sort(index) {
    this.down = index === this.sortBy ? !this.down : Boolean(this.columns[index].numeric);
    this.sortBy = index;
    this.refresh();
  }

  filter(keep) {
    this.keep = keep;
    this.refresh();
  }

  refresh() {
    const value = this.columns[this.sortBy].value;
    const last = this.down ? -Infinity : Infinity;
    const place = (row) => { const own = value(row); return own === null || own === undefined || Number.isNaN(own) ? last : own; };
    this.shown = this.rows.filter(this.keep).map((row, index) => [place(row), index, row]);
    const way = this.down ? -1 : 1;
    const text = this.shown.length && typeof this.shown[0][0] === "string";
    const order = text ? new Intl.Collator("en", { numeric: true }).compare : (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    this.shown.sort((a, b) => way * order(a[0], b[0]) || a[1] - b[1]);
    [...this.head.children].forEach((cell, index) => {
      const state = index !== this.sortBy ? "none" : this.down ? "descending" : "ascending";
      cell.setAttribute("aria-sort", state);
    });
    this.view.scrollTop = 0;
    this.view.setAttribute("aria-rowcount", this.shown.length + 1);
    this.body.style.height = `${Math.max(1, this.shown.length) * ROW}px`;
    this.first = -1;
    this.draw();
  }

  draw() {
    const first = Math.max(0, Math.floor(this.view.scrollTop / ROW) - 6);
    const last = Math.min(this.shown.length, first + Math.ceil(this.view.clientHeight / ROW) + 14);
    if (first === this.first && last === this.last) return;
    Object.assign(this, { first, last });
    const rows = this.shown.slice(first, last).map(([, , row], offset) => this.row(row, first + offset));
    this.body.replaceChildren(...(rows.length ? rows : [el("p", { class: "note lt-empty" }, this.empty)]));
  }

  row(row, index) {
    const cells = this.columns.map((column) => el("div", { class: this.cellClass(column), role: "cell" }, column.cell(row)));
    const attributes = { class: `lt-row${this.pick ? " pick" : ""}`, role: "row", "aria-rowindex": index + 2, style: `top:${index * ROW}px` };
    if (this.pick) Object.assign(attributes, { tabindex: -1, onclick: () => this.pick(row) });
    return el("div", attributes, cells);
  }

  key(event) {
    const rows = [...this.body.querySelectorAll(".lt-row")];
    const at = rows.indexOf(document.activeElement);
    if (event.key === "Enter" && at >= 0 && this.pick) this.pick(this.shown[this.first + at][2]);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !rows.length || !this.pick) return;
    event.preventDefault();
    (rows[at + step] || rows[at] || rows[0]).focus();
  }
}

/** A search field that calls search(lower-case text). */
function searchField(label, search) {
  const field = el("input", { type: "search", placeholder: label, "aria-label": label });
  field.addEventListener("input", () => search(field.value.trim().toLowerCase()));
  return field;
}

/** A share as a bar with its number. */
function meter(share, tint = "right") {
  return el("span", { class: "meter" }, el("u", {}, el("i", { style: `width:${100 * (share || 0)}%;background:var(--${tint})` })), el("b", {}, percent(share, 0)));
}
