// The page of `segstudy serve`: images go to /segment, probabilities or numbers of classes come back, and the
// rest happens here and in masks.js.
"use strict";

const $ = (id) => document.getElementById(id);
const SHOWN_PX = 1400; // the longer side of what is shown; measurements are of all pixels
const AT_ONCE = 4; // requests

// Classes are all of the model's, in the order of their numbers; those on are shown, and those scored measured.
const state = { items: [], current: null, view: "mask", token: "", sending: 0, task: "", classes: [], describing: null };

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

const exclusive = () => state.task === "multiclass";
const several = () => state.task !== "binary";
const scored = () => state.classes.filter((each) => each.scored);
const on = () => scored().filter((each) => each.on);

async function picture(item, query, view) {
  const answer = await ask(`segment?view=${view}${query}`, {
    method: "POST",
    body: item.file,
    // Browsers name types in their own ways; the server looks at the content.
    headers: { Accept: "image/png", "Content-Type": "application/octet-stream" },
  });
  return answer.blob();
}

async function segment(item) {
  await described();
  const found = await createImageBitmap(await picture(item, "", exclusive() ? "numbers" : "probability"));
  const stacked = state.task === "multilabel" ? state.classes.length : 1; // planes, one below the other
  item.width = found.width;
  item.height = found.height / stacked;
  const scale = Math.min(1, SHOWN_PX / Math.max(item.width, item.height));
  item.shown = {
    width: Math.max(1, Math.round(item.width * scale)),
    height: Math.max(1, Math.round(item.height * scale)),
    planes: [],
  };
  item.planes = [];
  if (exclusive()) {
    item.numbers = greys(found, item.width, item.height, 0, item.height, false);
    item.shown.numbers = greys(found, item.shown.width, item.shown.height, 0, item.height, false);
  } else for (let i = 0; i < stacked; i += 1) keepPlane(item, i, found, i * item.height);
  found.close();
  item.segmented = true;
  item.picture = await photograph(item);
  item.note = `${item.width} × ${item.height}`;
  thumbnail(item);
  if (state.current === item) select(item);
  say(`${item.name}: segmented`);
}

function keepPlane(item, plane, bitmap, top) {
  const { width, height } = item.shown;
  item.planes[plane] = greys(bitmap, item.width, item.height, top, item.height);
  const same = width === item.width && height === item.height;
  item.shown.planes[plane] = same ? item.planes[plane] : greys(bitmap, width, height, top, item.height);
}

// Probabilities of a class as they are shown; those of exclusive classes are asked for when they are wanted.
function probable(item) {
  const each = state.classes[Number($("class").value)] ?? scored()[0];
  if (!item.shown.planes[each.plane] && item.asked !== each) {
    item.asked = each;
    say(`${item.name}: asking for the probability of ${each.name}`);
    picture(item, `&class=${encodeURIComponent(each.name)}`, "probability")
      .then((blob) => createImageBitmap(blob))
      .then((bitmap) => { keepPlane(item, each.plane, bitmap, 0); bitmap.close(); say(""); })
      .catch((error) => say(`${item.name}: ${error.message}`, true))
      .finally(() => { item.asked = null; if (item.shown.planes[each.plane]) drawSoon(); });
  }
  return item.shown.planes[each.plane];
}

async function photograph(item) { // null where the browser cannot show it (TIFF, say), or turns it another way
  let bitmap;
  try {
    bitmap = await createImageBitmap(item.file);
  } catch {
    return null;
  }
  const same = Math.abs((bitmap.width * item.height) / (bitmap.height * item.width) - 1) < 0.02;
  const found = same ? pixels(bitmap, item.shown.width, item.shown.height) : null;
  bitmap.close();
  return found;
}

function thumbnail(item) {
  const canvas = document.createElement("canvas");
  const { width, height } = item.shown;
  const scale = Math.min(112 / width, 84 / height);
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const whole = new OffscreenCanvas(width, height);
  whole.getContext("2d").putImageData(composed(item, "outline", 1, scored(), cut()), 0, 0);
  canvas.getContext("2d").drawImage(whole, 0, 0, canvas.width, canvas.height);
  canvas.setAttribute("aria-hidden", "true");
  item.row.firstChild.replaceWith(canvas);
}

// --- what is shown -----------------------------------------------------------------------------------------------

function cut() { // the server's threshold of p, on 8-bit values
  return Math.max(1, Math.round(Number($("threshold").value) * 2.55 + 1e-9));
}

function draw() {
  const item = state.current;
  $("opacity-value").value = `${$("opacity").value} %`;
  $("threshold-value").value = (Number($("threshold").value) / 100).toFixed(2);
  $("one-class").hidden = !several() || state.view !== "probability";
  if (!item || !item.segmented) return;
  const canvas = $("canvas");
  canvas.width = item.shown.width;
  canvas.height = item.shown.height;
  const opacity = Number($("opacity").value) / 100;
  const shown = state.view === "probability" ? probable(item) : null;
  canvas.getContext("2d").putImageData(composed(item, state.view, opacity, on(), cut(), shown), 0, 0);
  const found = measured(item);
  canvas.setAttribute("aria-label", `${item.name}, ${state.view}: ${several()
    ? found.map(([each, of]) => `${each.name} ${percent(of)}`).join(", ")
    : `the mask covers ${percent(found[0][1])}, connected components: ${found[0][1].num_parts}`}`);
  $("measures").replaceChildren(...(several() ? byClass(found) : ofOne(found[0][1])));
}

function measured(item) { // once for each threshold: opacity and switches change no number
  if (item.measuredAt !== cut()) {
    item.measuredAt = cut();
    item.measured = scored().map((each) => [each, measure(item, each, cut())]);
  }
  return item.measured;
}

const percent = (found) => `${(100 * found.area_frac).toFixed(1)} %`;
const area = (found) => `${found.area_px.toLocaleString("en")} px`;
const box = (found) =>
  found.area_px ? `${found.width_px} × ${found.height_px} px at ${found.left_px}, ${found.top_px}` : "–";

function ofOne(found) {
  return [
    ["Area", `${area(found)}, ${percent(found)} of the image`],
    ["Bounding box", box(found)],
    ["Centroid", found.area_px ? `${found.centroid_x_px.toFixed(1)}, ${found.centroid_y_px.toFixed(1)}` : "–"],
    ["Parts", String(found.num_parts)],
    ["Touches the border", found.touches_border ? "yes, the object may be cut off" : "no"],
    ["Confidence (mean probability)", found.confidence.toFixed(3)],
  ].map(([name, value]) => line([["th", name], ["td", value]]));
}

function byClass(classes) {
  const heads = ["Class", "Area", "Of the image", "Bounding box", "Parts", "Touches the border"];
  if (!exclusive()) heads.push("Confidence");
  const rows = classes.map(([each, found]) => {
    const values = [area(found), percent(found), box(found), String(found.num_parts)];
    values.push(found.area_px ? (found.touches_border ? "yes" : "no") : "–");
    if (!exclusive()) values.push(found.confidence.toFixed(3));
    const tr = line([["th", each.name], ...values.map((value) => ["td", value])]);
    tr.firstChild.prepend(swatch(each));
    return tr;
  });
  const head = line(heads.map((name) => ["th", name]));
  for (const th of head.children) th.scope = "col";
  return [head, ...rows];
}

function line(cells) {
  const tr = document.createElement("tr");
  for (const [kind, text] of cells) {
    const cell = document.createElement(kind);
    if (kind === "th") cell.scope = "row";
    cell.textContent = text;
    tr.append(cell);
  }
  return tr;
}

function swatch(each) {
  const span = document.createElement("span");
  span.className = "swatch";
  span.style.background = `rgb(${each.colour.join(" ")})`;
  return span;
}

let waiting = 0;
function drawSoon() {
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(draw);
}

// --- choosing, saving, keys ------------------------------------------------------------------------------------------

function select(item) {
  if (!item) return;
  state.current = item;
  for (const each of state.items) each.row.setAttribute("aria-selected", String(each === item));
  $("list").setAttribute("aria-activedescendant", item.row.id);
  item.row.scrollIntoView({ block: "nearest", inline: "nearest" });
  $("result").hidden = !item.segmented;
  $("name").textContent = item.name;
  draw();
}

function step(by) {
  const there = state.items.filter((each) => each.segmented);
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
  if (!item || !item.segmented) return;
  const name = `${stem(item.name)}-mask.png`;
  if (exclusive()) { // the server's file, whose palette a canvas does not have
    try {
      save(await picture(item, "", "mask"), name);
    } catch (error) {
      say(`${item.name}: ${error.message}`, true);
      return;
    }
    say(`${name} saved`);
    return;
  }
  const saved = [];
  for (const each of on()) {
    const canvas = new OffscreenCanvas(item.width, item.height);
    const image = binaryImage(maskOf(item, each, cut()), item.width, item.height);
    canvas.getContext("2d").putImageData(image, 0, 0);
    saved.push(several() ? `${stem(item.name)}-${each.name}-mask.png` : name);
    save(await canvas.convertToBlob({ type: "image/png" }), saved.at(-1));
  }
  say(saved.length ? `${saved.join(", ")} saved` : "no class is switched on", !saved.length);
}

function downloadAll() {
  const rows = state.items.filter((each) => each.segmented).flatMap((item) => measured(item).map(([each, found]) =>
    ({ image: item.name, ...(several() ? { class: each.name } : {}), ...found })));
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
  const model = await (await ask("model")).json();
  const test = model.card.scores.test?.native_iou;
  state.task = model.task;
  state.classes = model.classes.map((each, number) => ({
    ...each,
    number,
    plane: model.task === "binary" ? 0 : number,
    colour: [1, 3, 5].map((at) => parseInt(each.colour.slice(at, at + 2), 16)),
    on: true,
  }));
  const score = test === undefined ? "" : `, test IoU ${test.toFixed(3)}${several() ? ", mean over classes" : ""}`;
  const [height, width] = model.card.image_size;
  const windows = model.card.resize === "tiles" ? ` · windows of ${width} × ${height} px at the image's own size` : "";
  $("model").textContent = `${model.name}${score} · ${model.engine}${windows}`;
  if (model.threshold !== null) $("threshold").value = String(Math.round(100 * model.threshold));
  $("cut").hidden = exclusive();
  legend();
  draw();
}

function legend() {
  $("classes").hidden = !several();
  $("measures").parentElement.classList.toggle("wide", several());
  $("class").replaceChildren(...state.classes.map((each) => new Option(each.name, each.number)));
  $("class").value = String(scored()[0].number);
  const switches = scored().map((each) => {
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = each.on;
    box.addEventListener("change", () => { each.on = box.checked; drawSoon(); });
    label.append(box, swatch(each), document.createTextNode(each.name));
    return label;
  });
  $("switches").replaceChildren(...switches);
  $("all").hidden = $("none").hidden = switches.length < 3;
}

function switchAll(to) {
  for (const each of scored()) each.on = to;
  for (const box of $("switches").querySelectorAll("input")) box.checked = to;
  drawSoon();
}

// Once, however many images wait for it; again after an error, as without a token.
function described() {
  state.describing ??= describe().catch((error) => { state.describing = null; throw error; });
  return state.describing;
}

async function describeOrSay() {
  try {
    await described();
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
$("class").addEventListener("change", drawSoon);
$("all").addEventListener("click", () => switchAll(true));
$("none").addEventListener("click", () => switchAll(false));
$("download").addEventListener("click", download);
$("download-all").addEventListener("click", downloadAll);
$("access").addEventListener("submit", (event) => {
  event.preventDefault();
  state.token = $("token").value;
  $("access").hidden = true;
  for (const item of state.items) if (item.failed) { item.failed = false; item.note = "waiting"; refresh(item); }
  describeOrSay();
  next();
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  // Sliders, radios and lists have arrows of their own.
  if (event.target.matches("input:not([type=file]), select")) return;
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
if (faithful()) describeOrSay();
else {
  $("files").disabled = true;
  say("To protect your privacy, this browser changes the pixels of images; masks and numbers would be wrong. "
    + "Allow this page to read canvases, or use another browser.", true);
}
