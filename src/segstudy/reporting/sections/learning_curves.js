// Learning curves of the runs that are picked, and the means of their configurations.
{
  const { curves } = scriptData;
  const { column, name: scoreName } = curves.score;
  const MOST_RUNS = 60; // beyond that, lines only hide each other
  const element = id => document.getElementById(`curve-${id}`);
  const runsOf = index => curves.runs.filter(run => run.of === index);
  const picked = new Set(curves.configurations.slice(0, 2).flatMap((_, index) => runsOf(index)));

  const smoothed = (values, weight) => {
    let last = null;
    return values.map(value => {
      if (value !== null) last = last === null ? value : weight * last + (1 - weight) * value;
      return value === null ? null : last;
    });
  };

  const lineOf = (run, part, weight) => {
    if (!run[`${part}_${column}`]) return [];
    const [score, loss] = [column, "loss"].map(measure => smoothed(run[`${part}_${measure}`], weight));
    return run.epoch.map((epoch, i) => ({ epoch, [scoreName]: score[i], loss: loss[i] }));
  };

  // Where all runs still have a value: with early stopping, a mean of the survivors would mislead.
  const meanOf = lines => {
    const found = lines.map(line => new Map(line.map(point => [point.epoch, point])));
    return lines[0]
      .filter(({ epoch }) => found.every(points => points.has(epoch)))
      .map(({ epoch }) => {
        const mean = measure =>
          found.reduce((sum, points) => sum + points.get(epoch)[measure], 0) / found.length;
        return { epoch, [scoreName]: mean(scoreName), loss: mean("loss") };
      });
  };

  const rowsOf = (runs, part, colour, weight) => {
    const lines = runs.map(run => lineOf(run, part, weight));
    const thin = runs.length > 1;
    const rows = lines.flatMap((line, i) => line.map(point => ({
      ...point, part, colour, thin, run: runs[i].name, line: `${runs[i].name} ${part}`,
      kept: part === "validation" && point.epoch === runs[i].kept,
    })));
    if (!thin || !lines[0].length) return rows;
    const name = `${curves.configurations[runs[0].of]}, mean of ${runs.length}`;
    const mean = meanOf(lines).map(point => ({ ...point, part, colour, run: name, line: `${name} ${part}` }));
    return [...rows, ...mean];
  };

  const colourOf = (place, part, alone) =>
    alone ? curves.parts[part] : curves.palette[place % curves.palette.length];

  let drawing = Promise.resolve();
  const draw = () => {
    const weight = Number(element("smoothing").value);
    const parts = [...document.querySelectorAll("#curve-controls [name=part]:checked")].map(box => box.value);
    const shown = curves.runs.filter(run => picked.has(run)).slice(0, MOST_RUNS);
    const chosen = [...new Set(shown.map(run => run.of))];
    const alone = chosen.length === 1;
    const rows = chosen.flatMap((index, place) => parts.flatMap(part =>
      rowsOf(shown.filter(run => run.of === index), part, colourOf(place, part, alone), weight)));
    element("smoothed").textContent = weight;
    element("note").textContent = `${shown.length} of ${curves.runs.length} runs shown`
      + (picked.size > MOST_RUNS ? `, ${MOST_RUNS} at most` : "");
    mark(chosen, alone);
    const loss = curves.charts[element("log").checked ? "log" : "loss"];
    drawing = drawing
      .then(() => show(element("score"), curves.charts.score, rows))
      .then(() => show(element("loss"), loss, rows));
  };

  const entries = curves.configurations.map((name, index) => {
    const entry = document.createElement("div");
    const runs = runsOf(index);
    const add = (className, text, change) => {
      const label = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.addEventListener("change", () => { change(box.checked); draw(); });
      label.className = className;
      label.append(box, text);
      entry.append(label);
      return box;
    };
    const pick = (run, on) => on ? picked.add(run) : picked.delete(run);
    const all = add("configuration", name, on => runs.forEach(run => pick(run, on)));
    const each = runs.length > 1 ? runs.map(run => add("seed", run.short, on => pick(run, on))) : [];
    return { name, index, entry, runs, all, each };
  });

  const mark = (chosen, alone) => {
    for (const { index, entry, runs, all, each } of entries) {
      const on = runs.filter(run => picked.has(run)).length;
      all.checked = on === runs.length;
      all.indeterminate = on > 0 && on < runs.length;
      each.forEach((box, i) => { box.checked = picked.has(runs[i]); });
      const colour = colourOf(chosen.indexOf(index), "validation", alone);
      entry.style.setProperty("--line-colour", chosen.includes(index) ? colour : "transparent");
    }
  };

  const find = () => {
    const words = element("find").value.toLowerCase().split(/\s+/);
    for (const { name, entry } of entries) {
      entry.hidden = !words.every(word => name.toLowerCase().includes(word));
    }
  };

  element("list").append(...entries.map(({ entry }) => entry));
  element("find").addEventListener("input", find);
  element("controls").addEventListener("change", draw);
  element("none").addEventListener("click", () => { picked.clear(); draw(); });
  draw();
}
