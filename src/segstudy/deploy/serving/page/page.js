// The page of `segstudy serve`: images go to /segment, probabilities come back, and the rest happens here.
"use strict";

const $ = (id) => document.getElementById(id);
const COLOUR = [0, 214, 232]; // of mask and outline, as in `segstudy predict --overlay`
const SHOWN_PX = 1400; // the longer side of what is shown; measurements are of all pixels
const AT_ONCE = 4; // requests

const state = { items: [], current: null, view: "mask", token: "", sending: 0 };

// --- images in -------------------------------------------------------------------------------------------------

function add(files) {
  if ($("files").disabled) return;
  for (const file of files) {
    if (file.type && !file.type.startsWith("image/")) { say(`${file.name} is not an image`, true); continue; }
    const item = { file, name: file.name || "pasted image", note: "waiting", row: row(), prob: null, picture: null };
    state.items.push(item);
    item.row.addEventListener("click", () => select(item));
    refresh(item);
  }
  next();
}

function row() {
  const li = document.createElement("li");
  li.setAttribute("role", "option");
  li.id = `image-${state.items.length}`;
  const blank = document.createElement("div");
  blank.className = "blank";
  const text = document.createElement("span");
  text.append(document.createTextNode(""), document.createElement("small"));
  li.append(blank, text);
  $("list").append(li);
  return li;
}

function refresh(item) {
  const [text, small] = item.row.querySelector("span").childNodes;
  text.data = item.name;
  small.textContent = item.note;
  item.row.classList.toggle("bad", item.failed === true);
}

function next() {
  while (state.sending < AT_ONCE) {
    const item = state.items.find((each) => each.note === "waiting");
    if (!item) return;
    item.note = "segmenting";
    refresh(item);
    state.sending += 1;
    segment(item)
      .catch((error) => { item.failed = true; item.note = error.message; say(`${item.name}: ${error.message}`, true); })
      .finally(() => { state.sending -= 1; refresh(item); if (!state.current && !item.failed) select(item); next(); });
  }
}

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (state.token) headers.Authorization = `Bearer ${state.token}`;
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch {
    throw new Error("the server does not answer; is it still running?");
  }
  if (answer.status === 401) { $("access").hidden = false; $("token").focus(); }
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    throw new Error(typeof said.detail === "string" ? said.detail : `refused with ${answer.status}`);
  }
  return answer;
}

async function segment(item) {
  const answer = await ask("segment?view=probability", {
    method: "POST",
    body: item.file,
    // Browsers name types in their own ways; the server looks at the content.
    headers: { Accept: "image/png", "Content-Type": "application/octet-stream" },
  });
  const grey = await createImageBitmap(await answer.blob());
  item.width = grey.width;
  item.height = grey.height;
  item.prob = greys(grey, grey.width, grey.height);
  const scale = Math.min(1, SHOWN_PX / Math.max(item.width, item.height));
  item.shownWidth = Math.max(1, Math.round(item.width * scale));
  item.shownHeight = Math.max(1, Math.round(item.height * scale));
  item.shownProb = scale === 1 ? item.prob : greys(grey, item.shownWidth, item.shownHeight);
  grey.close();
  item.picture = await photograph(item);
  item.note = `${item.width} × ${item.height}`;
  thumbnail(item);
  if (state.current === item) select(item);
  say(`${item.name}: segmented`);
}

async function photograph(item) { // null where the browser cannot show it (TIFF, say), or turns it another way
  let bitmap;
  try {
    bitmap = await createImageBitmap(item.file);
  } catch {
    return null;
  }
  const same = Math.abs((bitmap.width * item.height) / (bitmap.height * item.width) - 1) < 0.02;
  const picture = same ? pixels(bitmap, item.shownWidth, item.shownHeight) : null;
  bitmap.close();
  return picture;
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

function pixels(bitmap, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

function greys(bitmap, width, height) {
  const data = pixels(bitmap, width, height).data;
  const grey = new Uint8Array(width * height);
  for (let i = 0; i < grey.length; i += 1) grey[i] = data[4 * i];
  return grey;
}

function thumbnail(item) {
  const canvas = document.createElement("canvas");
  const scale = Math.min(112 / item.shownWidth, 84 / item.shownHeight);
  canvas.width = Math.max(1, Math.round(item.shownWidth * scale));
  canvas.height = Math.max(1, Math.round(item.shownHeight * scale));
  const whole = new OffscreenCanvas(item.shownWidth, item.shownHeight);
  whole.getContext("2d").putImageData(composed(item, "outline", 1), 0, 0);
  canvas.getContext("2d").drawImage(whole, 0, 0, canvas.width, canvas.height);
  canvas.setAttribute("aria-hidden", "true");
  item.row.firstChild.replaceWith(canvas);
}

// --- what is shown -----------------------------------------------------------------------------------------------

function cut() { // the server's threshold of p, on 8-bit values
  return Math.max(1, Math.round(Number($("threshold").value) * 2.55 + 1e-9));
}

function composed(item, view, opacity) {
  const { shownWidth: width, shownHeight: height, shownProb: prob } = item;
  const image = new ImageData(width, height);
  const out = image.data;
  if (item.picture) out.set(item.picture.data);
  else for (let i = 3; i < out.length; i += 4) { out[i - 3] = out[i - 2] = out[i - 1] = 40; out[i] = 255; }
  const least = cut();
  const reach = Math.max(1, Math.round(Math.min(width, height) / 300));
  const border = (x, y) => x < 0 || y < 0 || x >= width || y >= height ? false : prob[y * width + x] < least;
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const i = y * width + x;
      let colour = null;
      let alpha = opacity;
      if (view === "probability") colour = [prob[i], prob[i], prob[i]];
      else if (view === "mask" && prob[i] >= least) colour = COLOUR;
      else if (view === "outline" && prob[i] >= least
        && (border(x - reach, y) || border(x + reach, y) || border(x, y - reach) || border(x, y + reach))) {
        colour = COLOUR;
        alpha = 1;
      }
      if (colour) for (let c = 0; c < 3; c += 1) out[4 * i + c] += alpha * (colour[c] - out[4 * i + c]);
    }
  }
  return image;
}

function draw() {
  const item = state.current;
  $("opacity-value").value = `${$("opacity").value} %`;
  $("threshold-value").value = (Number($("threshold").value) / 100).toFixed(2);
  if (!item || !item.prob) return;
  const canvas = $("canvas");
  canvas.width = item.shownWidth;
  canvas.height = item.shownHeight;
  const opacity = Number($("opacity").value) / 100;
  canvas.getContext("2d").putImageData(composed(item, state.view, opacity), 0, 0);
  const found = measure(item);
  const percent = `${(100 * found.area_frac).toFixed(1)} %`;
  canvas.setAttribute("aria-label", `${item.name}, ${state.view}: the mask covers ${percent}, connected components: ${found.num_parts}`);
  $("measures").replaceChildren(...[
    ["Area", `${found.area_px.toLocaleString("en")} px, ${percent} of the image`],
    ["Bounding box", found.area_px ? `${found.width_px} × ${found.height_px} px at ${found.left_px}, ${found.top_px}` : "–"],
    ["Centroid", found.area_px ? `${found.centroid_x_px.toFixed(1)}, ${found.centroid_y_px.toFixed(1)}` : "–"],
    ["Parts", String(found.num_parts)],
    ["Touches the border", found.touches_border ? "yes, the object may be cut off" : "no"],
    ["Confidence (mean probability)", found.confidence.toFixed(3)],
  ].map(([name, value]) => {
    const tr = document.createElement("tr");
    const th = document.createElement("th");
    const td = document.createElement("td");
    th.scope = "row";
    th.textContent = name;
    td.textContent = value;
    tr.append(th, td);
    return tr;
  }));
}

let waiting = 0;
function drawSoon() {
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(draw);
}

// --- measurements, as `measures.measured` of all pixels ------------------------------------------------------------

function measure(item) {
  const { width, height, prob } = item;
  const least = cut();
  let area = 0, sx = 0, sy = 0, sum = 0, most = 0, border = false;
  let left = width, top = height, right = -1, bottom = -1;
  for (let y = 0, i = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, i += 1) {
      const p = prob[i];
      if (p > most) most = p;
      if (p < least) continue;
      area += 1; sx += x; sy += y; sum += p;
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < top) top = y;
      if (y > bottom) bottom = y;
      if (x === 0 || y === 0 || x === width - 1 || y === height - 1) border = true;
    }
  }
  return {
    area_px: area,
    area_frac: area / (width * height),
    left_px: area ? left : null,
    top_px: area ? top : null,
    width_px: area ? right - left + 1 : null,
    height_px: area ? bottom - top + 1 : null,
    centroid_x_px: area ? sx / area : null,
    centroid_y_px: area ? sy / area : null,
    num_parts: area ? parts(prob, width, height, least) : 0,
    touches_border: border,
    confidence: area ? sum / area / 255 : 1 - most / 255,
  };
}

function parts(prob, width, height, least) { // runs of each row, joined where they touch, corners included
  const parent = [];
  const root = (i) => { while (parent[i] !== i) i = parent[i] = parent[parent[i]]; return i; };
  let above = [];
  for (let y = 0; y < height; y += 1) {
    const runs = [];
    for (let x = 0; x < width; x += 1) {
      if (prob[y * width + x] < least) continue;
      const start = x;
      while (x + 1 < width && prob[y * width + x + 1] >= least) x += 1;
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

// --- choosing, saving, keys ------------------------------------------------------------------------------------------

function select(item) {
  if (!item) return;
  state.current = item;
  for (const each of state.items) each.row.setAttribute("aria-selected", String(each === item));
  $("list").setAttribute("aria-activedescendant", item.row.id);
  item.row.scrollIntoView({ block: "nearest", inline: "nearest" });
  $("result").hidden = !item.prob;
  $("name").textContent = item.name;
  draw();
}

function step(by) {
  const there = state.items.filter((each) => each.prob);
  if (there.length) select(there[(there.indexOf(state.current) + by + there.length) % there.length]);
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const stem = (name) => name.replace(/\.[^.]*$/, "") || name;

async function download() {
  const item = state.current;
  if (!item || !item.prob) return;
  const image = new ImageData(item.width, item.height);
  const least = cut();
  for (let i = 0; i < item.prob.length; i += 1) {
    image.data[4 * i] = image.data[4 * i + 1] = image.data[4 * i + 2] = item.prob[i] >= least ? 255 : 0;
    image.data[4 * i + 3] = 255;
  }
  const canvas = new OffscreenCanvas(item.width, item.height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  save(await canvas.convertToBlob({ type: "image/png" }), `${stem(item.name)}-mask.png`);
  say(`${stem(item.name)}-mask.png saved`);
}

function downloadAll() {
  const rows = state.items.filter((each) => each.prob).map((each) => ({ image: each.name, ...measure(each) }));
  if (!rows.length) return;
  const cell = (value) => {
    let text = value === null ? "" : String(value);
    // Spreadsheets would compute a name that begins so; an apostrophe before it means "text" to them.
    if (typeof value === "string" && /^'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(text)) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [Object.keys(rows[0]), ...rows.map(Object.values)].map((each) => each.map(cell).join(","));
  save(new Blob([lines.join("\r\n") + "\r\n"], { type: "text/csv" }), "measurements.csv");
}

function say(text, bad = false) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", bad);
}

async function describe() {
  try {
    const model = await (await ask("model")).json();
    const test = model.card.scores.test?.native_iou;
    const score = test === undefined ? "" : `, test IoU ${test.toFixed(3)}`;
    $("model").textContent = `${model.name}${score} · ${model.engine}`;
    $("threshold").value = String(Math.round(100 * model.threshold));
    draw();
  } catch (error) {
    $("model").textContent = "";
    say(error.message, true);
  }
}

$("files").addEventListener("change", (event) => { add(event.target.files); event.target.value = ""; });
for (const name of ["dragover", "dragenter"]) {
  document.addEventListener(name, (event) => { event.preventDefault(); $("drop").classList.add("over"); });
}
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("drop").classList.remove("over"); });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  add(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => add(event.clipboardData.files));
$("opacity").addEventListener("input", drawSoon);
$("threshold").addEventListener("input", drawSoon);
for (const radio of document.getElementsByName("view")) {
  radio.addEventListener("change", () => { state.view = radio.value; draw(); });
}
$("download").addEventListener("click", download);
$("download-all").addEventListener("click", downloadAll);
$("access").addEventListener("submit", (event) => {
  event.preventDefault();
  state.token = $("token").value;
  $("access").hidden = true;
  for (const item of state.items) if (item.failed) { item.failed = false; item.note = "waiting"; refresh(item); }
  describe();
  next();
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input:not([type=file])")) return; // sliders and radios have arrows of their own
  const views = [...document.getElementsByName("view")];
  const inList = event.target === $("list"); // elsewhere up and down scroll the page
  if (event.key === "ArrowRight" || (inList && event.key === "ArrowDown")) step(1);
  else if (event.key === "ArrowLeft" || (inList && event.key === "ArrowUp")) step(-1);
  else if (event.key === "d") download();
  else if (views[Number(event.key) - 1]) views[Number(event.key) - 1].click();
  else return;
  event.preventDefault();
});
draw();
if (faithful()) describe();
else {
  $("files").disabled = true;
  say("To protect your privacy, this browser changes the pixels of images; masks and numbers would be wrong. "
    + "Allow this page to read canvases, or use another browser.", true);
}
