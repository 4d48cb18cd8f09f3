// A click on a heading sorts the leaderboard by it, the best first; names by alphabet, gaps last.
for (const table of document.querySelectorAll("#leaderboard-table")) {
  const headings = [...table.querySelectorAll("th:has(button)")];
  const value = (row, column) => {
    const { value } = row.cells[column].dataset;
    return value === undefined ? row.cells[column].textContent : value === "" ? null : Number(value);
  };
  const sort = (heading, column) => {
    const first = heading.dataset.first ?? "descending";
    const other = first === "ascending" ? "descending" : "ascending";
    const order = heading.getAttribute("aria-sort") === first ? other : first;
    const sign = order === "ascending" ? 1 : -1;
    headings.forEach(each => each.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", order);
    const compare = (a, b) => {
      const [left, right] = [value(a, column), value(b, column)];
      if (left === null || right === null) return (left === null) - (right === null);
      return sign * (left > right ? 1 : left < right ? -1 : 0);
    };
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
  };
  headings.forEach((heading, column) =>
    heading.querySelector("button").addEventListener("click", () => sort(heading, column)));
}
