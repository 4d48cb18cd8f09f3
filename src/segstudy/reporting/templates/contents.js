// The links at the top: one for each section that the page has.
document.querySelector("nav").append(...[...document.querySelectorAll("section[id]:has(h2)")].map(section => {
  const link = document.createElement("a");
  link.href = `#${section.id}`;
  link.textContent = section.dataset.short ?? section.querySelector("h2").textContent;
  return link;
}));
