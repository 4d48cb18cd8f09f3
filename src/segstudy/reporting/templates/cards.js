// A sheet of cards, for the contact sheet and the audit. Each page defines `enlarge` and the cards; every text is set as text.
const by = id => document.getElementById(id);
const sheet = by("sheet"), large = by("large");
let shown = [], current = null; // the items on the sheet, and the one in the dialog

const make = (tag, className, text) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
};
const proportion = size_px => Math.min(2, Math.max(0.6, size_px[0] / size_px[1]));
const addPictures = (view, pictures) => {
  for (const [className, uri, alt] of pictures) {
    if (!uri) continue;
    const image = make("img", className);
    image.decoding = "async";
    image.alt = alt;
    image.src = uri;
    view.append(image);
  }
};

// Pictures are decoded when their card comes near the screen: `fill` puts those of an element's item into its view.
const nearScreen = fill => new IntersectionObserver(entries => {
  for (const { isIntersecting, target } of entries) {
    const view = target.querySelector(".view");
    if (isIntersecting && !view.hasChildNodes()) fill(view, target.item);
    if (!isIntersecting) view.replaceChildren();
  }
}, { rootMargin: "800px" });
const fillSheet = (near, elements, number, noun) => {
  near.disconnect();
  sheet.replaceChildren(...shown.map(item => elements.get(item)));
  if (!shown.length) sheet.append(make("p", "nobody", `No ${noun} is like that.`));
  for (const item of shown) near.observe(elements.get(item));
  by("count").textContent = shown.length === number ? "" : `${shown.length} of ${number} ${noun}s`;
};

const addChips = (filters, chosen, choose) => {
  const chips = document.querySelector(".chips");
  for (const each of filters) {
    const chip = make("button", each.severity ?? "", each.text);
    chip.type = "button";
    chip.addEventListener("click", () => {
      for (const other of chips.children) other.setAttribute("aria-pressed", other === chip);
      choose(each);
    });
    chip.setAttribute("aria-pressed", each === chosen);
    chips.append(chip);
  }
};
const followSize = () => {
  const size = by("size");
  size.addEventListener("input", () => document.documentElement.style.setProperty("--side", `${size.value}px`));
  size.dispatchEvent(new Event("input")); // a reloaded page may remember another size
};

// One item, large

const step = places => {
  const next = shown[shown.indexOf(current) + places];
  if (next) enlarge(next);
};
large.addEventListener("click", event => {
  const places = event.target.dataset?.step;
  if (places === "0" || event.target === large) large.close();
  else if (places) step(Number(places));
});
large.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
