"use strict";
for (const head of document.querySelectorAll("thead")) {
  const cells = [...head.querySelectorAll("th")];
  const body = head.parentElement.tBodies[0];
  if (!body || body.rows.length < 3 || !head.querySelector(".number")) continue;
  cells.forEach((cell, column) => {
    if (!cell.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = cell.textContent;
    button.title = "Sort by this column";
    cell.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = cell.getAttribute("aria-sort") !== "ascending";
      cells.forEach((each) => each.removeAttribute("aria-sort"));
      cell.setAttribute("aria-sort", up ? "ascending" : "descending");
      const units = { B: 1, KiB: 1024, MiB: 1048576, GiB: 1073741824, TiB: 1099511627776 };
      const value = (row) => {
        const text = row.cells[column].textContent.trim();
        const match = /^(-?[\d,]*\.?\d+(?:e[+-]?\d+)?)\s*([KMGT]?i?B|%)?$/i.exec(text);
        return match ? Number(match[1].replaceAll(",", "")) * (units[match[2]] || 1) : text;
      };
      const order = (a, b) => {
        const x = value(a), y = value(b);
        if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
        return typeof x === "number" ? x - y : x.localeCompare(y);
      };
      const rows = [...body.rows].sort((a, b) => (up ? order(a, b) : order(b, a)));
      body.replaceChildren(...rows);
    });
  });
}
const openAll = () => document.querySelectorAll("details").forEach((each) => { each.open = true; });
window.addEventListener("beforeprint", openAll);
