// What all pages share: elements, numbers, the packed data, light and dark, charts, the hint under the pointer.

/** An element: el("a", {class: "x", onclick: f}, "text", child). Text is always text, never markup. */
function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "style") made.style.cssText = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

const byId = (id) => document.getElementById(id);
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const seriesColor = (index) => color(`s${index % 8}`);
const number = (value, digits = 1) =>
  value === null || value === undefined || Number.isNaN(value) ? "–" : value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const whole = (value) => value.toLocaleString("en");
const percent = (share, digits = 1) => (share === null || share === undefined || Number.isNaN(share) ? "–" : `${number(100 * share, digits)} %`);
const counted = (count, one, many = `${one}s`) => `${whole(count)} ${count === 1 ? one : many}`;

/** A metric's name as a person says it. */
function metricName(name) {
  const known = { top1_acc: "Top-1 accuracy", top5_acc: "Top-5 accuracy", mean_class_acc: "Mean class accuracy", map: "Mean average precision", loss: "Loss", lr: "Learning rate", clips_per_second: "Clips a second", data_wait: "Share of time waiting for data", grad_norm: "Gradient norm", dt: "Seconds a step" };
  const plain = known[name] || name.replace(/_/g, " ").replace(/\bacc\b/, "accuracy").replace(/\btop(\d)\b/, "top-$1");
  return plain[0].toUpperCase() + plain.slice(1);
}

const ARRAYS = { u1: Uint8Array, i1: Int8Array, u2: Uint16Array, i2: Int16Array, u4: Uint32Array, i4: Int32Array, f4: Float32Array };

/** The tree that pack.py wrote: typed arrays share one buffer, files are Uint8Array. */
async function unpack(text) {
  const raw = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"));
  const buffer = await new Response(stream).arrayBuffer();
  const size = new DataView(buffer).getUint32(0, true);
  const header = new TextDecoder().decode(new Uint8Array(buffer, 4, size));
  const start = 4 + size;
  return JSON.parse(header, (key, value) => {
    if (value && value.$array) {
      const [kind, offset, count] = value.$array;
      return new ARRAYS[kind](buffer, start + offset, count);
    }
    return value && value.$bytes ? new Uint8Array(buffer, start + value.$bytes[0], value.$bytes[1]) : value;
  });
}

const imageAddress = (bytes) => URL.createObjectURL(new Blob([bytes], { type: "image/webp" }));

// Light and dark: what the system says until the button is used.
const onTheme = new Set();
function setTheme(name) {
  document.documentElement.dataset.theme = name;
  for (const redraw of onTheme) redraw();
}
function startTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  setTheme(dark.matches ? "dark" : "light");
  dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
  byId("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
}

/** A row of buttons of which one is pressed. Choices: [value, label] pairs. */
function segments(choices, chosen, choose, label) {
  const group = el("div", { class: "segments", role: "group", "aria-label": label });
  for (const [value, text] of choices) {
    const button = el("button", { type: "button", "aria-pressed": String(value === chosen) }, text);
    button.addEventListener("click", () => {
      for (const other of group.children) other.setAttribute("aria-pressed", String(other === button));
      choose(value);
    });
    group.append(button);
  }
  return group;
}

function picker(label, choices, chosen, choose) {
  const list = el("select", { onchange: () => choose(choices[list.selectedIndex][0]) }, choices.map(([value, text]) => el("option", { selected: value === chosen }, text)));
  return el("label", {}, label, list);
}

const tip = el("div", { class: "tip", hidden: true, role: "status" });
function showTip(event, text) {
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(6, Math.min(event.clientX + 14, innerWidth - box.width - 6))}px`;
  tip.style.top = `${event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 12 : event.clientY + 18}px`;
}

/** A canvas sharp on any screen; draw(context, width, height) is called again when its size or the theme changes. */
function sharpCanvas(canvas, draw) {
  let shown = false;
  const redraw = () => {
    if (shown && !canvas.isConnected) { onTheme.delete(redraw); watcher.disconnect(); return; }
    shown = canvas.isConnected;
    const { width, height } = canvas.getBoundingClientRect();
    if (!width || !height) return;
    const scale = devicePixelRatio || 1;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    draw(context, width, height);
  };
  const watcher = new ResizeObserver(redraw);
  watcher.observe(canvas);
  onTheme.add(redraw);
  return redraw;
}

/** A uPlot chart that fits its element and follows the theme. options(width) -> uPlot options; data as uPlot wants it. */
function chart(host, options, data) {
  let plot = null;
  let width = 0;
  const make = () => {
    if (!host.clientWidth) return;
    plot?.destroy();
    plot = new uPlot(options(host.clientWidth), data, host);
    width = host.clientWidth;
  };
  new ResizeObserver(() => {
    if (!host.isConnected) onTheme.delete(make);
    else if (Math.abs(host.clientWidth - width) > 2) make();
  }).observe(host);
  onTheme.add(make);
  make();
  return { get plot() { return plot; } };
}

const axis = (more = {}) => ({ stroke: color("soft"), grid: { stroke: color("line"), width: 1 }, ticks: { stroke: color("line"), width: 1, size: 4 }, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif", ...more });

/** Run a page: theme, data, then start(data); what goes wrong stands on the page. */
async function page(start) {
  document.body.append(tip);
  startTheme();
  try {
    if (typeof DecompressionStream === "undefined") throw new Error("this browser is too old to unpack it (DecompressionStream is missing)");
    const holder = byId("data");
    const data = await unpack(holder.textContent.trim());
    holder.remove();
    await start(data);
    byId("loading").remove();
    markSections();
  } catch (error) {
    byId("loading").textContent = `The page cannot be shown: ${error.message}`;
    throw error;
  } finally {
    byId("main").setAttribute("aria-busy", "false");
  }
}

/** A section of the page and its entry in the menu. */
function section(id, title, lead) {
  const made = el("section", { id }, el("h2", {}, title), lead ? el("p", { class: "lead" }, lead) : null);
  byId("main").append(made);
  byId("sections").append(el("a", { href: `#${id}` }, title));
  return made;
}

function markSections() {
  const links = new Map([...byId("sections").children].map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const link = links.get(entry.target.id);
      if (!link || !entry.isIntersecting) continue;
      for (const other of links.values()) other.classList.toggle("here", other === link);
    }
  }, { rootMargin: "-15% 0px -75% 0px" });
  for (const id of links.keys()) seen.observe(byId(id));
}
