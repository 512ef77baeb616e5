// The page: a large frame to click, the same look in all frames, and what only this kind of attention has.

page(async (data) => {
  const images = await Promise.all(data.frames.images.map(async (bytes) => {
    const image = new Image();
    image.src = imageAddress(bytes);
    await image.decode();
    return image;
  }));
  new Explorer(data, images);
});

const LEADS = {
  map: "Click a patch: its weights over all patches of the clip. The percentage is each frame's share.",
  trajectory: "Click a patch: where it is found in every frame, and the path of the centres up to there. The percentage is the frame's weight in time.",
  emim: "Click a patch: its affinities with the window around it in the next frame. Arrows: where every patch goes.",
  struct: "Click a patch: its weights, summed over the structures. Below: each structure by itself, and the kernels that they make together.",
};

class Explorer {
  constructor(data, images) {
    Object.assign(this, { data, images, layers: data.layers.map((layer) => new Layer(layer)), head: -1, opacity: 0.8, shared: true, arrows: "soft", key: null });
    const [frame, row, column] = data.query;
    this.point = { t: (frame + 0.5) / data.frames.count, y: (row + 0.5) / data.frames.height, x: (column + 0.5) / data.frames.width };
    this.shown = this.point.t;
    this.layer = this.layers[this.layers.length - 1];
    this.build();
    this.choose(this.layer);
  }

  build() {
    const host = section("explore", "Where it looks");
    this.lead = el("p", { class: "lead" });
    this.tools = el("div", { class: "bar" });
    this.heads = el("span", { class: "heads" });
    this.tools.append(picker("Layer", this.layers.map((layer) => [layer, layer.title]), this.layer, (layer) => this.choose(layer)), this.heads);
    this.big = el("canvas", { class: "big", tabindex: 0, role: "application", "aria-label": "Frame. Click a patch; arrow keys move it, page up and page down change the frame." });
    this.big.style.aspectRatio = `${this.data.frames.width} / ${this.data.frames.height}`;
    this.told = el("p", { class: "note told", role: "status" });
    const slider = el("input", { type: "range", min: 0, max: this.data.frames.count - 1, step: 1, "aria-label": "Frame", oninput: () => this.showFrame((Number(slider.value) + 0.5) / this.data.frames.count) });
    this.slider = slider;
    this.player = el("button", { type: "button", onclick: () => this.play() }, "▶");
    this.player.setAttribute("aria-label", "Play");
    this.classButton = el("button", { type: "button", onclick: () => this.ask("class") }, "class token");
    this.opacitySlider = el("input", { type: "range", min: 0, max: 1, step: 0.05, value: this.opacity, "aria-label": "Strength of the colours", oninput: () => { this.opacity = Number(this.opacitySlider.value); this.draw(); } });
    const scales = segments([[true, "one scale"], [false, "a scale each frame"]], true, (value) => { this.shared = value; this.draw(); }, "Scale of the colours");
    this.left = el("div", { class: "left" }, this.big, el("div", { class: "bar" }, this.player, slider, this.classButton), this.told,
      el("div", { class: "bar" }, el("label", {}, "colours", this.opacitySlider), scales), this.colorBar());
    this.strip = el("div", { class: "frames" });
    host.append(this.lead, this.tools, el("div", { class: "two" }, this.left, this.strip));
    this.more = section("more", "Of this kind of attention");
    if (this.data.predictions.length) this.showPredictions();
    this.showAbout();
    this.redrawBig = sharpCanvas(this.big, (context, width, height) => this.drawBig(context, width, height));
    this.listen();
  }

  colorBar() {
    this.scaleEnd = el("span", {});
    const stops = Array.from({ length: 9 }, (_, i) => `rgb(${inferno(i / 8)})`).join(", ");
    return el("div", { class: "colorbar" }, el("span", {}, "0"), el("i", { style: `background:linear-gradient(90deg, ${stops})` }), this.scaleEnd);
  }

  choose(layer) {
    this.layer = layer;
    if (this.head >= layer.heads.length) this.head = -1;
    if (layer.heads.length === 1) this.head = 0;
    this.key = null;
    this.lead.textContent = LEADS[layer.kind];
    const names = [...(layer.heads.length > 1 ? [[-1, "mean of the heads"]] : []), ...layer.heads.map((own, place) => [place, `${own}`])];
    const group = layer.heads.length > 16 ? picker("Head", names, this.head, (head) => { this.head = head; this.draw(); }) : el("label", {}, "Head", segments(names, this.head, (head) => { this.head = head; this.draw(); }, "Head"));
    this.heads.replaceChildren(group);
    this.classButton.hidden = !layer.classToken;
    if (this.asked === "class" && !layer.classToken) this.asked = null;
    this.strip.style.setProperty("--columns", layer.t <= 4 ? 2 : layer.t <= 9 ? 3 : layer.t <= 12 ? 4 : 5);
    this.strip.replaceChildren(...Array.from({ length: layer.t }, (_, t) => this.smallFrame(t)));
    this.draw();
  }

  smallFrame(t) {
    const canvas = el("canvas", { class: "small", "data-frame": t });
    canvas.style.aspectRatio = `${this.data.frames.width} / ${this.data.frames.height}`;
    const share = el("span", { class: "share" });
    const box = el("figure", {}, canvas, el("figcaption", {}, `frame ${t}`, share));
    const redraw = sharpCanvas(canvas, (context, width, height) => { if (this.look) this.drawLook(context, t, width, height); });
    canvas.addEventListener("click", (event) => {
      const at = this.fraction(canvas, event);
      this.shown = (t + 0.5) / this.layer.t;
      this.ask({ t: this.shown, ...at });
    });
    return Object.assign(box, { redraw, share });
  }

  fraction(canvas, event) {
    const box = canvas.getBoundingClientRect();
    const inside = (value) => Math.min(0.9999, Math.max(0, value));
    return { x: inside((event.clientX - box.left) / box.width), y: inside((event.clientY - box.top) / box.height) };
  }

  /** Look from a point (fractions of the clip), or from the class token. */
  ask(point) {
    this.asked = point === "class" ? "class" : null;
    if (point !== "class") this.point = point;
    this.key = null;
    this.draw();
  }

  get frame() { return Math.min(this.layer.t - 1, Math.floor(this.shown * this.layer.t)); }

  patchAt(point) {
    const at = (share, size) => Math.min(size - 1, Math.floor(share * size));
    return { t: at(point.t, this.layer.t), y: at(point.y, this.layer.h), x: at(point.x, this.layer.w) };
  }

  get patch() { return this.asked === "class" ? "class" : this.patchAt(this.point); }

  showFrame(share) {
    this.shown = share;
    this.redrawBig();
    this.mark();
  }

  draw() {
    const own = this.patch;
    this.look = this.layer.look(own, this.head);
    this.highest = Math.max(...this.look.maps.map(largest));
    this.scaleEnd.textContent = this.shared ? `${percent(this.highest, this.highest < 0.01 ? 2 : 1)} of the weight${this.layer.signed ? "; blue: negative" : ""}` : "largest of each frame";
    [...this.strip.children].forEach((box, t) => {
      box.redraw();
      box.share.textContent = this.layer.kind === "emim" && t !== this.look.to ? "" : percent(this.look.shares[t], 0);
    });
    const centre = this.layer.patchOf(own);
    const sparse = centre !== "class" && (centre.y !== own.y || centre.x !== own.x) ? ", the nearest query that is in this page" : "";
    this.told.textContent = own === "class" ? "From the class token." : `From frame ${own.t}, row ${centre.y}, column ${centre.x} of ${this.layer.h} × ${this.layer.w} patches${sparse}.`;
    this.redrawBig();
    this.mark();
    this.drawMore();
  }

  mark() {
    this.slider.value = Math.min(this.data.frames.count - 1, Math.floor(this.shown * this.data.frames.count));
    [...this.strip.children].forEach((box, t) => box.classList.toggle("here", t === this.frame));
  }

  imageOf(t) { return this.images[Math.min(this.data.frames.count - 1, Math.floor(((2 * t + 1) * this.data.frames.count) / (2 * this.layer.t)))]; }

  drawLook(context, t, width, height) {
    drawFrame(context, this.imageOf(t), width, height, this.opacity);
    const highest = this.shared ? this.highest : largest(this.look.maps[t]);
    drawHeat(context, this.look, t, highest, this.opacity, width, height);
    if (this.look.path) drawPath(context, this.layer, this.look.path, t, width, height);
    const own = this.layer.patchOf(this.patch);
    if (own !== "class" && own.t === t) drawPatch(context, this.layer, own, width, height);
  }

  drawBig(context, width, height) {
    if (!this.look) return;
    this.drawLook(context, this.frame, width, height);
    if (this.over) drawPatch(context, this.layer, this.over, width, height, "#9ad0ff");
  }

  listen() {
    this.big.addEventListener("pointermove", (event) => { this.over = this.patchAt({ t: this.shown, ...this.fraction(this.big, event) }); this.redrawBig(); });
    this.big.addEventListener("pointerleave", () => { this.over = null; this.redrawBig(); });
    this.big.addEventListener("click", (event) => this.ask({ t: this.shown, ...this.fraction(this.big, event) }));
    this.big.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: [0, 0, -1], ArrowRight: [0, 0, 1], ArrowUp: [0, -1, 0], ArrowDown: [0, 1, 0], PageDown: [1, 0, 0], PageUp: [-1, 0, 0] };
      if (!(event.key in steps)) return;
      event.preventDefault();
      const [t, y, x] = steps[event.key];
      const own = this.patchAt(this.point);
      const to = (at, step, size) => (Math.min(size - 1, Math.max(0, at + step)) + 0.5) / size;
      const next = { t: to(own.t, t, this.layer.t), y: to(own.y, y, this.layer.h), x: to(own.x, x, this.layer.w) };
      this.shown = next.t;
      this.ask(next);
    });
  }

  play() {
    if (this.timer) { clearInterval(this.timer); this.timer = null; this.player.textContent = "▶"; return; }
    this.player.textContent = "❚❚";
    this.timer = setInterval(() => this.showFrame((((this.frame + 1) % this.layer.t) + 0.5) / this.layer.t), 260);
  }

  drawMore() {
    const kind = this.layer.kind;
    this.more.hidden = document.querySelector('a[href="#more"]').hidden = kind === "map";
    this.more.replaceChildren(this.more.firstChild);
    const title = { trajectory: "The trajectory", emim: "Displacement", struct: "Structures and kernels" }[kind] || "";
    this.more.firstChild.textContent = document.querySelector('a[href="#more"]').textContent = title;
    if (kind === "trajectory") this.moreTrajectory();
    if (kind === "emim") this.moreDisplacement();
    if (kind === "struct") this.moreStructures();
  }

  moreTrajectory() {
    this.more.append(el("p", { class: "lead" }, "Weight of each frame in time, and how far the centre moved since the frame before."));
    const most = Math.max(...this.look.shares);
    const path = this.look.path;
    this.more.append(el("div", { class: "times" }, this.look.shares.map((share, t) => {
      const step = t ? Math.hypot(path[t].y - path[t - 1].y, path[t].x - path[t - 1].x) : 0;
      return el("div", { class: "time" }, el("span", {}, `frame ${t}`), el("i", {}, el("b", { style: `width:${(100 * share) / most}%` })), el("span", { class: "n" }, percent(share, 1)), el("span", { class: "n soft" }, t ? `${number(step)} patches` : ""));
    })));
  }

  moreDisplacement() {
    const bar = el("div", { class: "bar" }, segments([["soft", "mean by weight (soft-argmax)"], ["argmax", "strongest cell (argmax)"]], this.arrows, (value) => { this.arrows = value; this.drawMore(); }, "Which displacement"));
    const [rows, columns] = this.layer.window;
    const window_ = el("figure", { class: "window" }, kernelPicture(this.look.window, rows, columns, false, largest(this.look.window), "Affinities of the window"), el("figcaption", {}, `window of the patch in frame ${this.look.to}`));
    const frames = Array.from({ length: Math.max(1, this.layer.t - 1) }, (_, t) => {
      const canvas = el("canvas", { class: "small" });
      canvas.style.aspectRatio = `${this.data.frames.width} / ${this.data.frames.height}`;
      const field = this.layer.displacements(t, this.head, this.arrows === "soft");
      sharpCanvas(canvas, (context, width, height) => { drawFrame(context, this.imageOf(t), width, height, 0.9); drawArrows(context, this.layer, field, width, height); });
      return el("figure", {}, canvas, el("figcaption", {}, `${t} to ${Math.min(t + 1, this.layer.t - 1)}`));
    });
    this.more.append(el("p", { class: "lead" }, "Where every patch goes in the next frame. Cells outside the frame do not count, so arrows at the border lean inwards."), bar, el("div", { class: "two" }, window_, el("div", { class: "frames" }, frames)));
  }

  moreStructures() {
    const { each, maps, rows, columns } = this.look;
    const own = this.layer.patchOf(this.patch);
    const t = own.t;
    const middle = (values) => { const [, i, j] = this.layer.patternSize; const at = Math.floor(this.layer.patternSize[0] / 2) * i * j; return values.subarray(at, at + i * j); };
    const patterns = each.map((_, e) => middle(this.layer.pattern(e, this.head)));
    const limit = Math.max(...patterns.map(largest));
    const most = Math.max(...each.map((one) => largest(one[t])));
    const total = sum(maps[t]) || 1;
    const structures = each.map((one, e) => {
      const canvas = el("canvas", { class: "small pickable", title: "Click a place for the kernel there" });
      canvas.style.aspectRatio = `${this.data.frames.width} / ${this.data.frames.height}`;
      sharpCanvas(canvas, (context, width, height) => {
        drawFrame(context, this.imageOf(t), width, height, this.opacity);
        drawHeat(context, { maps: one, rows, columns }, t, most, this.opacity, width, height);
        drawPatch(context, this.layer, own, width, height);
        if (this.key) drawPatch(context, { h: rows, w: columns }, this.key, width, height, "#ffe14d");
      });
      canvas.addEventListener("click", (event) => { const at = this.fraction(canvas, event); this.key = { t, y: Math.floor(at.y * rows), x: Math.floor(at.x * columns) }; this.drawMore(); });
      const [, i, j] = this.layer.patternSize;
      return el("figure", {}, canvas, el("div", { class: "pattern" }, kernelPicture(patterns[e], i, j, true, limit, `Pattern ${e}`)), el("figcaption", {}, `structure ${e}`, el("span", { class: "share" }, percent(sum(one[t]) / total, 0))));
    });
    const key = this.key || { t, y: Math.floor((own.y * rows) / this.layer.h), x: Math.floor((own.x * columns) / this.layer.w) };
    const kernel = this.layer.kernelAt(own, key, this.head);
    const [times, i, j] = this.layer.patternSize;
    const high = largest(kernel);
    const kernels = Array.from({ length: times }, (_, at) => el("figure", { class: "kernel-at" }, kernelPicture(kernel.subarray(at * i * j, (at + 1) * i * j), i, j, true, high, `Kernel, time ${at - Math.floor(times / 2)}`), el("figcaption", {}, `time ${at - Math.floor(times / 2)}`)));
    this.more.append(el("p", { class: "lead" }, `Frame ${t}: weights of each structure, its pattern (central slice in time; orange adds, blue subtracts) and its share. Click a place in them for the kernel there.`),
      el("div", { class: "frames wide" }, structures), el("h3", {}, `Kernel of the query at row ${key.y}, column ${key.x}${this.key ? "" : " (its own place)"}`), el("div", { class: "kernels" }, kernels));
  }

  showPredictions() {
    const host = section("predictions", "What the model says");
    for (const own of this.data.predictions) {
      if (own.head) host.append(el("h3", {}, own.head));
      for (const [name, prob] of own.best) host.append(el("div", { class: "prob" }, el("span", {}, name), el("i", {}, el("b", { style: `width:${100 * prob}%` })), el("span", { class: "n" }, percent(prob))));
    }
  }

  showAbout() {
    const host = section("about", "About this page", `Weights: ${this.data.note}. Each is stored in a byte, with an error below 1 % of the largest of its query.`);
    if (!this.data.leftOut.length) host.append(el("p", { class: "note" }, "Nothing is left out."));
    else host.append(el("p", { class: "note" }, "Left out:"), el("ul", { class: "note" }, this.data.leftOut.map((text) => el("li", {}, text))));
  }
}
