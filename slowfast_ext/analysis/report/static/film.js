// Films: one image of frames side by side. Pointing at it or a tap plays it.

class Films {
  constructor(films) {
    this.films = films;
    this.addresses = new Map();
  }

  address(index) {
    if (!this.addresses.has(index)) this.addresses.set(index, imageAddress(this.films[index].image));
    return this.addresses.get(index);
  }

  /** A thumbnail that plays; it fills its box and keeps the shape of the video. */
  player(index, label) {
    const film = this.films[index];
    const box = el("button", { type: "button", class: "player", "aria-label": `Play: ${label}`, "aria-pressed": "false" });
    const screen = el("span", { class: "screen" });
    const line = el("i", {});
    box.append(screen, line);
    screen.style.backgroundImage = `url(${this.address(index)})`;
    screen.style.backgroundSize = `${film.count * 100}% 100%`;
    screen.style.aspectRatio = `${film.width} / ${film.height}`;
    if (film.width < film.height) screen.style.width = `${(100 * film.width) / film.height}%`;
    const last = Math.max(1, film.count - 1);
    let at = Math.floor(film.count / 2);
    let timer = null;
    const show = () => {
      screen.style.backgroundPosition = `${(100 * at) / last}% 0`;
      line.style.width = `${(100 * (at + 1)) / film.count}%`;
      box.dataset.frame = at;
    };
    const wait = Math.min(400, Math.max(90, (1000 * Math.min(film.seconds || 2, 4)) / film.count));
    const play = () => {
      if (timer) return;
      box.classList.add("playing");
      box.setAttribute("aria-pressed", "true");
      timer = setInterval(() => { if (!box.isConnected) return stop(); at = (at + 1) % film.count; show(); }, wait);
    };
    const stop = () => {
      clearInterval(timer);
      timer = null;
      box.classList.remove("playing");
      box.setAttribute("aria-pressed", "false");
    };
    box.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") play(); });
    box.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") stop(); });
    box.addEventListener("click", (event) => {
      if (event.pointerType === "mouse") return;
      event.stopPropagation();
      (timer ? stop : play)();
    });
    show();
    return box;
  }

  /** Frames spread over the film, side by side. */
  strip(index, count) {
    const film = this.films[index];
    const shown = Math.min(count, film.count);
    const numbers = Array.from({ length: shown }, (_, i) => Math.round((i * (film.count - 1)) / Math.max(1, shown - 1)));
    return el("span", { class: "strip" }, numbers.map((number) => {
      const box = el("span", { class: "cell" });
      box.style.aspectRatio = `${film.width} / ${film.height}`;
      box.style.backgroundImage = `url(${this.address(index)})`;
      box.style.backgroundSize = `${film.count * 100}% 100%`;
      box.style.backgroundPosition = `${(100 * number) / Math.max(1, film.count - 1)}% 0`;
      return box;
    }));
  }
}
