// The cards of an audit and the lists of what is ticked. Every text is set as text.
const { cards, name } = JSON.parse(document.getElementById("data").textContent);
const lists = by("lists");
const LISTS = ["exclude", "relabel"];
const ticked = new Map(); // card to list
const unsaved = new Set(); // lists that changed since they were copied or saved

const three = value => value === null ? "–" : value.toFixed(3);

const pictures = (view, card) => {
  view.replaceChildren();
  if (!card.picture) return;
  view.style.aspectRatio = proportion(card.size_px);
  addPictures(view, [["picture", card.picture, `Image ${card.id}`], ["mask", card.mask, "outline of its mask"], ["prediction", card.prediction, "outline of the prediction"]]);
};

// Ticks: a sample is on one list at most

const boxes = new Map(); // card to its boxes, on the sheet and in the dialog
const tick = (card, list, on) => {
  if (on) ticked.set(card, list);
  else if (ticked.get(card) === list) ticked.delete(card);
  for (const each of LISTS) unsaved.add(each);
  refresh();
};
const ticksOf = card => {
  const row = make("div", "ticks");
  for (const list of LISTS) {
    const label = make("label"), box = make("input");
    box.type = "checkbox";
    box.dataset.list = list;
    box.setAttribute("aria-label", `${list} ${card.id}`);
    box.checked = ticked.get(card) === list;
    box.addEventListener("change", () => tick(card, list, box.checked));
    boxes.get(card).add(box);
    label.append(box, list);
    row.append(label);
  }
  return row;
};
const linesOf = list => cards.filter(card => ticked.get(card) === list).map(card => card.line);
const textOf = list => {
  const lines = linesOf(list);
  return lines.length ? [`# ${list}: ${lines.length} of ${name.replace(/\s+/g, " ")}, chosen on the page of segstudy audit`, ...lines, ""].join("\n") : "";
};
const refresh = () => {
  for (const [card, all] of boxes) {
    for (const box of all) box.checked = ticked.get(card) === box.dataset.list;
    for (const list of LISTS) articles.get(card)?.classList.toggle(list, ticked.get(card) === list);
  }
  by("open-lists").textContent = LISTS.map(list => `${list} ${linesOf(list).length}`).join(" · ");
  by("open-lists").classList.toggle("some", ticked.size > 0);
};

// Cards

const numbers = card => [
  ["suspicion", card.suspicion], ["IoU with the prediction", card.iou], ["agreement of the networks", card.agreement], ["IoU with the second rater", card.second_iou], ["IoU after that error", card.explained_iou],
];
const near = nearScreen(pictures);
const articleOf = card => {
  const article = make("article"), button = make("button", "card");
  article.item = card;
  button.type = "button";
  button.append(make("div", "view"), make("span", "name", `${card.rank}. ${card.id}`));
  const view = button.firstChild;
  if (card.picture) view.style.aspectRatio = proportion(card.size_px);
  else view.hidden = true;
  const rest = [`suspicion ${three(card.suspicion)}`, `IoU ${three(card.iou)}`, card.second_iou === null ? "" : `second rater ${three(card.second_iou)}`, card.group];
  button.append(make("span", "rest", rest.filter(Boolean).join(" · ")));
  if (card.suspected) button.append(make("span", "kind", `${card.suspected}?`));
  button.addEventListener("click", () => enlarge(card));
  boxes.set(card, new Set());
  article.append(button, ticksOf(card));
  return article;
};
const articles = new Map();
for (const card of cards) articles.set(card, articleOf(card));

const kindOf = card => card.suspected.split(" with ")[0];
const kinds = [...new Set(cards.map(kindOf))].filter(Boolean).sort();
const count = of => cards.filter(of).length;
const FILTERS = [
  { text: `all ${cards.length}`, of: () => true },
  ...kinds.map(kind => ({ text: `${kind} ${count(card => kindOf(card) === kind)}`, of: card => kindOf(card) === kind })),
];
let filter = FILTERS[0];
const show = () => {
  const words = by("find").value.trim().toLowerCase();
  shown = cards.filter(card => filter.of(card) && (!words || card.id.toLowerCase().includes(words) || card.group.toLowerCase().includes(words)));
  fillSheet(near, articles, cards.length, "mask");
};
addChips(kinds.length ? FILTERS : [], filter, chosen => {
  filter = chosen;
  show();
});
by("find").addEventListener("input", show);
if (by("size")) followSize();
document.querySelector(".bar").hidden = false;

// One mask, large

const forget = () => {
  for (const box of large.querySelectorAll(".ticks input")) boxes.get(current)?.delete(box);
};
const enlarge = card => {
  forget();
  current = card;
  const view = large.querySelector(".view"), about = large.querySelector(".about"), facts = make("dl");
  view.hidden = !card.picture;
  pictures(view, card);
  for (const [title, value] of numbers(card)) if (value !== null) facts.append(make("dt", "", title), make("dd", "", three(value)));
  if (card.group) facts.append(make("dt", "", "group"), make("dd", "", card.group));
  about.replaceChildren(make("h2", "", card.id), facts);
  if (card.suspected) about.append(make("p", "kind", `${card.suspected}?`));
  about.append(ticksOf(card), make("p", "rest", "keys: ← → other masks, e exclude, r relabel"));
  if (!large.open) large.showModal();
};
large.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const list = LISTS.find(each => each[0] === event.key);
  if (list) tick(current, list, ticked.get(current) !== list);
});
large.addEventListener("close", () => {
  forget();
  articles.get(current)?.scrollIntoView({ block: "nearest" });
});

// The lists

const urls = new Map();
by("open-lists").addEventListener("click", () => {
  for (const list of LISTS) {
    const text = textOf(list), area = by(list), link = lists.querySelector(`[data-save=${list}]`);
    area.value = text;
    area.closest("section").querySelector(".number").textContent = linesOf(list).length;
    URL.revokeObjectURL(urls.get(list));
    urls.set(list, URL.createObjectURL(new Blob([text], { type: "text/plain" })));
    link.href = urls.get(list);
    link.hidden = !text;
  }
  lists.showModal();
});
lists.addEventListener("click", event => {
  const list = event.target.dataset?.copy;
  if (list) {
    by(list).select();
    document.execCommand("copy"); // works without network and without permission
    unsaved.delete(list);
  }
  unsaved.delete(event.target.dataset?.save);
  if (event.target === lists) lists.close();
});
by("close-lists").addEventListener("click", () => lists.close());
addEventListener("beforeunload", event => {
  if ([...ticked.values()].some(list => unsaved.has(list))) event.preventDefault(); // the browser asks before the ticks are lost
});
show();
refresh();
