// From what the server sends to masks, their measurements and pictures of them.
"use strict";

function pixels(bitmap, width, height, top = 0, rows = bitmap.height, smooth = true) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = smooth;
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, top, bitmap.width, rows, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

function greys(bitmap, width, height, top, rows, smooth) {
  const data = pixels(bitmap, width, height, top, rows, smooth).data;
  const grey = new Uint8Array(width * height);
  for (let i = 0; i < grey.length; i += 1) grey[i] = data[4 * i];
  return grey;
}

function faithful() { // some browsers give back other pixels than were put there, against being recognised
  const canvas = new OffscreenCanvas(16, 16);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const pattern = new ImageData(16, 16);
  for (let i = 0; i < pattern.data.length; i += 1) pattern.data[i] = i % 4 === 3 ? 255 : (i * 37) % 256;
  context.putImageData(pattern, 0, 0);
  const found = context.getImageData(0, 0, 16, 16).data;
  return pattern.data.every((value, i) => value === found[i]);
}

// Of an image at its own size or as it is shown: where a class is. Exclusive classes have numbers, others a
// probability each, cut at the least that counts.
function maskOf(at, each, least) {
  const mask = new Uint8Array(at.width * at.height);
  if (at.numbers) for (let i = 0; i < mask.length; i += 1) mask[i] = at.numbers[i] === each.number ? 1 : 0;
  else {
    const prob = at.planes[each.plane];
    for (let i = 0; i < mask.length; i += 1) mask[i] = prob[i] >= least ? 1 : 0;
  }
  return mask;
}

// --- measurements, as `measures.measured` of all pixels ------------------------------------------------------------

function measure(at, each, least) {
  const { width, height } = at;
  const mask = maskOf(at, each, least);
  const prob = at.numbers ? null : at.planes[each.plane];
  let area = 0, sx = 0, sy = 0, sum = 0, most = 0, border = false;
  let left = width, top = height, right = -1, bottom = -1;
  for (let y = 0, i = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, i += 1) {
      if (prob && prob[i] > most) most = prob[i];
      if (!mask[i]) continue;
      area += 1; sx += x; sy += y;
      if (prob) sum += prob[i];
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < top) top = y;
      if (y > bottom) bottom = y;
      if (x === 0 || y === 0 || x === width - 1 || y === height - 1) border = true;
    }
  }
  const found = {
    area_px: area,
    area_frac: area / (width * height),
    left_px: area ? left : null,
    top_px: area ? top : null,
    width_px: area ? right - left + 1 : null,
    height_px: area ? bottom - top + 1 : null,
    centroid_x_px: area ? sx / area : null,
    centroid_y_px: area ? sy / area : null,
    num_parts: area ? parts(mask, width, height) : 0,
    touches_border: border,
  };
  return prob ? { ...found, confidence: area ? sum / area / 255 : 1 - most / 255 } : found;
}

function parts(mask, width, height) { // runs of each row, joined where they touch, corners included
  const parent = [];
  const root = (i) => { while (parent[i] !== i) i = parent[i] = parent[parent[i]]; return i; };
  let above = [];
  for (let y = 0; y < height; y += 1) {
    const runs = [];
    for (let x = 0; x < width; x += 1) {
      if (!mask[y * width + x]) continue;
      const start = x;
      while (x + 1 < width && mask[y * width + x + 1]) x += 1;
      const id = parent.push(parent.length) - 1;
      runs.push([start, x, id]);
    }
    let j = 0;
    for (const [start, end, id] of runs) {
      while (j < above.length && above[j][1] < start - 1) j += 1;
      for (let k = j; k < above.length && above[k][0] <= end + 1; k += 1) parent[root(above[k][2])] = root(id);
    }
    above = runs;
  }
  return parent.filter((each, i) => each === i).length;
}

// --- pictures ----------------------------------------------------------------------------------------------------

function blended(out, i, colour, alpha) {
  for (let c = 0; c < 3; c += 1) out[4 * i + c] += alpha * (colour[c] - out[4 * i + c]);
}

// An image as it is shown, with the masks of these classes, their outlines, or one class's probability.
function composed(item, view, opacity, classes, least, probable) {
  const { width, height } = item.shown;
  const image = new ImageData(width, height);
  const out = image.data;
  if (item.picture) out.set(item.picture.data);
  else for (let i = 3; i < out.length; i += 4) { out[i - 3] = out[i - 2] = out[i - 1] = 40; out[i] = 255; }
  if (view === "probability" && probable) {
    for (let i = 0; i < probable.length; i += 1) blended(out, i, [probable[i], probable[i], probable[i]], opacity);
  }
  if (view !== "mask" && view !== "outline") return image;
  const reach = Math.max(1, Math.round(Math.min(width, height) / 300));
  for (const each of classes) {
    const mask = maskOf(item.shown, each, least);
    const outside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && !mask[y * width + x];
    for (let y = 0, i = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1, i += 1) {
        if (!mask[i]) continue;
        if (view === "mask") blended(out, i, each.colour, opacity);
        else if (outside(x - reach, y) || outside(x + reach, y) || outside(x, y - reach) || outside(x, y + reach)) {
          blended(out, i, each.colour, 1);
        }
      }
    }
  }
  return image;
}

function binaryImage(mask, width, height) {
  const image = new ImageData(width, height);
  for (let i = 0; i < mask.length; i += 1) {
    image.data[4 * i] = image.data[4 * i + 1] = image.data[4 * i + 2] = mask[i] ? 255 : 0;
    image.data[4 * i + 3] = 255;
  }
  return image;
}
