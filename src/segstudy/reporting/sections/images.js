// The gallery under the model that is picked: the same images, other masks and scores.
{
  const select = document.getElementById("images-model");
  const show = overlays => {
    const name = select.selectedOptions[0].textContent;
    document.getElementById("images-shown").textContent = name;
    document.querySelectorAll("#images figure").forEach((figure, i) => {
      const found = overlays[i][select.selectedIndex];
      const layer = figure.querySelector(".predicted");
      layer.hidden = !found;
      if (found) layer.src = found.uri;
      layer.alt = `Prediction of ${name}`;
      figure.querySelector("b").textContent = found ? `IoU ${found.iou.toFixed(3)}` : "not tested yet";
    });
  };
  if (select) {
    const overlays = JSON.parse(document.getElementById("images-overlays").textContent);
    select.addEventListener("change", () => show(overlays));
    select.parentElement.hidden = false;
    show(overlays); // a reloaded page may remember another choice
  }
}
