// The chart of scores by the cost that is picked.
{
  const { pareto } = scriptData;
  const cost = document.getElementById("pareto-cost");
  const draw = () => show(document.getElementById("pareto"), pareto.charts[cost.value], pareto.rows);
  cost.addEventListener("change", draw);
  draw();
}
