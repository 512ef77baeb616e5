// Frames, heat, paths, arrows and small kernels on canvases.

// Inferno by Stéfan van der Walt and Nathaniel Smith (CC0), every 16th colour.
const INFERNO = ["#000004", "#0c0826", "#240c4f", "#420a68", "#5d126e", "#781c6d", "#932667", "#ae305c", "#c73e4c", "#dd513a", "#ed6925", "#f8850f", "#fca50a", "#fac62d", "#f2e661", "#fcffa4"]
  .map((text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16)));
const COLD = [70, 140, 255];

/** Red, green, blue for a share from 0 to 1. */
function inferno(share) {
  const at = Math.min(0.9999, Math.max(0, share)) * (INFERNO.length - 1);
  const [low, part] = [INFERNO[Math.floor(at)], at % 1];
  const high = INFERNO[Math.floor(at) + 1];
  return low.map((value, i) => Math.round(value + part * (high[i] - value)));
}

/** A map as a small image: strong weights are bright and opaque, negative ones blue. */
function heatImage(map, rows, columns, highest, opacity) {
  const image = new ImageData(columns, rows);
  for (let i = 0; i < map.length; i++) {
    const share = Math.min(1, Math.abs(map[i]) / Math.max(highest, 1e-12));
    const [red, green, blue] = map[i] < 0 ? COLD : inferno(share);
    image.data.set([red, green, blue, Math.round(255 * opacity * share ** 0.6)], 4 * i);
  }
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [columns, rows];
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** The frame; under heat it is grey and darker. */
function drawFrame(context, image, width, height, dimmed) {
  context.globalCompositeOperation = "source-over";
  context.drawImage(image, 0, 0, width, height);
  if (!dimmed) return;
  context.globalCompositeOperation = "saturation";
  context.fillStyle = "#808080";
  context.fillRect(0, 0, width, height);
  context.globalCompositeOperation = "source-over";
  context.fillStyle = `rgba(0, 0, 0, ${0.35 * dimmed})`;
  context.fillRect(0, 0, width, height);
}

function drawHeat(context, look, t, highest, opacity, width, height) {
  context.imageSmoothingEnabled = false;
  context.drawImage(heatImage(look.maps[t], look.rows, look.columns, highest, opacity), 0, 0, width, height);
  context.imageSmoothingEnabled = true;
}

function drawPatch(context, layer, patch, width, height, stroke = "#ffffff") {
  const [high, wide] = [height / layer.h, width / layer.w];
  context.lineWidth = 3.5;
  context.strokeStyle = "rgba(0, 0, 0, .75)";
  context.strokeRect(patch.x * wide, patch.y * high, wide, high);
  context.lineWidth = 1.8;
  context.strokeStyle = stroke;
  context.strokeRect(patch.x * wide, patch.y * high, wide, high);
}

/** The path up to frame t through the centres of the maps. */
function drawPath(context, layer, path, t, width, height) {
  const point = (at) => [((at.x + 0.5) * width) / layer.w, ((at.y + 0.5) * height) / layer.h];
  for (const [stroke, line] of [["rgba(0, 0, 0, .7)", 4], ["#7df9ff", 2]]) {
    context.strokeStyle = stroke;
    context.lineWidth = line;
    context.beginPath();
    path.slice(0, t + 1).forEach((at, i) => (i ? context.lineTo(...point(at)) : context.moveTo(...point(at))));
    context.stroke();
  }
  context.fillStyle = "#7df9ff";
  context.beginPath();
  context.arc(...point(path[t]), 4, 0, 7);
  context.fill();
}

function drawArrows(context, layer, field, width, height) {
  const [high, wide] = [height / layer.h, width / layer.w];
  context.lineWidth = 1.3;
  context.strokeStyle = context.fillStyle = "#ffe14d";
  field.forEach((step, i) => {
    const [x, y] = [((i % layer.w) + 0.5) * wide, (Math.floor(i / layer.w) + 0.5) * high];
    const [right, down] = [step.x * wide, step.y * high];
    const length = Math.hypot(right, down);
    if (length < 0.6) { context.fillRect(x - 0.8, y - 0.8, 1.6, 1.6); return; }
    const head = Math.min(5, length * 0.5);
    const angle = Math.atan2(down, right);
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x + right, y + down);
    for (const turn of [2.6, -2.6]) {
      context.moveTo(x + right, y + down);
      context.lineTo(x + right + head * Math.cos(angle + turn), y + down + head * Math.sin(angle + turn));
    }
    context.stroke();
  });
}

/** Numbers as squares: heat, or with both signs orange for positive and blue for negative. */
function kernelPicture(values, rows, columns, signed, limit, label) {
  const canvas = el("canvas", { class: "kernel", role: "img", "aria-label": label });
  const shape = rows / columns;
  canvas.style.aspectRatio = `${columns} / ${rows}`;
  sharpCanvas(canvas, (context, width) => {
    const size = width / columns;
    for (let i = 0; i < rows * columns; i++) {
      const share = Math.min(1, Math.abs(values[i]) / Math.max(limit, 1e-12));
      const tint = values[i] < 0 ? color("right-rgb") : color("wrong-rgb");
      context.fillStyle = signed ? `rgba(${tint}, ${share})` : `rgb(${inferno(share)})`;
      context.fillRect((i % columns) * size, Math.floor(i / columns) * size, size - 0.5, width * shape / rows - 0.5);
    }
  });
  return canvas;
}
