// The cards of the contact sheet.
const { kinds, subsets, samples } = JSON.parse(document.getElementById("data").textContent);
const GRAVITY = ["error", "warning", "note"];

const worst = sample => Math.min(3, ...sample.findings.map(i => GRAVITY.indexOf(kinds[i].severity)));
const percent = frac => frac === null ? "no mask" : `${(100 * frac).toFixed(1)} %`;
const compare = new Intl.Collator("en", { numeric: true }).compare;

const ratio = sample => sample.picture ? proportion(sample.size_px) : 1.33;

const pictures = (view, sample) => {
  view.replaceChildren();
  view.style.aspectRatio = ratio(sample);
  if (!sample.picture) return view.append(make("span", "none", "the image cannot be read"));
  addPictures(view, [["photo", sample.picture, `Image ${sample.id}`], ["layer", sample.layer, "Outline of its mask"]]);
};
const near = nearScreen(pictures);

const cardOf = sample => {
  const gravity = GRAVITY[worst(sample)];
  const card = make("button", `card${gravity && gravity !== "note" ? ` ${gravity}` : ""}`);
  card.type = "button";
  card.item = sample;
  card.append(make("div", "view"), make("span", "name", sample.id));
  card.firstChild.style.aspectRatio = ratio(sample);
  const rest = [percent(sample.foreground_frac), sample.subset, sample.group, sample.category];
  card.append(make("span", "rest", rest.filter(Boolean).join(" · ")));
  for (const i of new Set(sample.findings)) {
    if (kinds[i].severity !== "note") card.append(make("span", `flag ${kinds[i].severity}`, kinds[i].kind));
  }
  card.addEventListener("click", () => enlarge(sample));
  return card;
};
const cards = new Map(samples.map(sample => [sample, cardOf(sample)]));
const first = new Map(samples.map((sample, i) => [sample, i]));

// Which samples, in which order

const ORDERS = {
  flagged: (a, b) => worst(a) - worst(b) || first.get(a) - first.get(b),
  most: (a, b) => (b.foreground_frac ?? -1) - (a.foreground_frac ?? -1),
  least: (a, b) => (a.foreground_frac ?? 2) - (b.foreground_frac ?? 2),
  id: (a, b) => compare(a.id, b.id),
  group: (a, b) => compare(a.group, b.group) || compare(a.id, b.id),
  subset: (a, b) => subsets.indexOf(a.subset) - subsets.indexOf(b.subset) || compare(a.id, b.id),
};
const FILTERS = [
  { text: `all ${samples.length}`, of: () => true },
  { text: `flagged ${samples.filter(sample => worst(sample) < 2).length}`, of: sample => worst(sample) < 2 },
  ...kinds.map((kind, i) => ({ text: kind.text, severity: kind.severity, of: sample => sample.findings.includes(i) })),
];
let filter = FILTERS[0];

const show = () => {
  const words = by("find").value.trim().toLowerCase(), subset = by("subset").value;
  shown = samples.filter(sample => filter.of(sample) && (!subset || sample.subset === subset)
    && (!words || sample.id.toLowerCase().includes(words) || sample.group.toLowerCase().includes(words)));
  shown.sort(ORDERS[by("sort").value]);
  fillSheet(near, cards, samples.length, "sample");
};

addChips(FILTERS.length > 2 ? FILTERS : [], filter, chosen => {
  filter = chosen;
  show();
});
for (const subset of subsets) by("subset").append(new Option(subset, subset));
by("subsets").hidden = subsets.length < 2;
by("sort").querySelector("[value=subset]").hidden = subsets.length < 2;
by("sort").querySelector("[value=group]").hidden = !samples.some(sample => sample.group);
for (const id of ["sort", "subset", "find"]) by(id).addEventListener("input", show);
followSize();
document.querySelector(".bar").hidden = false;

// One sample, large

const enlarge = sample => {
  current = sample;
  pictures(large.querySelector(".view"), sample);
  const about = large.querySelector(".about"), facts = make("dl");
  const rows = { foreground: percent(sample.foreground_frac), subset: sample.subset, group: sample.group, category: sample.category,
    image: sample.image, mask: sample.mask };
  for (const [name, value] of Object.entries(rows)) if (value) facts.append(make("dt", "", name), make("dd", "", value));
  about.replaceChildren(make("h2", "", sample.id), facts);
  sample.findings.forEach((i, place) => {
    const line = make("p", kinds[i].severity);
    line.append(make("b", "", kinds[i].kind), `: ${sample.details[place]}`);
    about.append(line);
  });
  if (!large.open) large.showModal();
};
large.addEventListener("close", () => cards.get(current)?.scrollIntoView({ block: "nearest" }));
show();
