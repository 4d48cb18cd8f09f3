const place = document.getElementById("curves");
const spec = JSON.parse(document.getElementById("curves-spec").textContent);
for (const panel of spec.vconcat) panel.width = Math.max(240, place.clientWidth - 70);
vegaEmbed(place, spec, { actions: false, renderer: "svg" });
