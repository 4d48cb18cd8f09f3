// Pages of a long leaderboard, and a filter by name. Both are over all rows, and so is sorting.
{
  const body = document.getElementById("leaderboard-table").tBodies[0];
  const controls = document.getElementById("leaderboard-pages");
  const [find, all] = controls.querySelectorAll("input");
  const [previous, next] = controls.querySelectorAll("button");
  const size = body.rows.length;
  let first = 0;

  const show = () => {
    const words = find.value.toLowerCase().split(/\s+/);
    const found = [...body.rows].filter(row => {
      const name = row.querySelector(".name").textContent.toLowerCase();
      row.hidden = true;
      return words.every(word => name.includes(word));
    });
    first = Math.max(0, Math.min(first, found.length - 1));
    first -= first % size;
    const last = all.checked ? found.length : Math.min(first + size, found.length);
    if (all.checked) first = 0;
    found.slice(first, last).forEach(row => { row.hidden = false; });
    previous.disabled = first === 0;
    next.disabled = last === found.length;
    const matching = found.length < body.rows.length ? ` that match, of ${body.rows.length} rows` : " rows";
    controls.querySelector("[role=status]").textContent =
      found.length ? `${first + 1} to ${last} of ${found.length}${matching}` : "no row matches";
  };

  body.append(document.getElementById("leaderboard-rest").content);
  document.getElementById("leaderboard-first").hidden = true;
  controls.hidden = false;
  for (const button of [previous, next]) {
    button.addEventListener("click", () => { first += size * Number(button.value); show(); });
  }
  all.addEventListener("change", show);
  find.addEventListener("input", () => { first = 0; show(); });
  new MutationObserver(() => { first = 0; show(); }).observe(body, { childList: true }); // sorted
  show();
}
