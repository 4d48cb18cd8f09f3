// Charts whose rows are chosen here: a specification comes from Python without data.
const shown = new Map();
const show = async (place, spec, rows) => {
  shown.get(place)?.finalize();
  const whole = { ...spec, datasets: { rows } };
  const options = { actions: false, renderer: "svg", logLevel: 1 }; // no warnings of charts without rows
  shown.set(place, await vegaEmbed(place, whole, options));
};

const scriptData = JSON.parse(document.getElementById("charts").textContent);
