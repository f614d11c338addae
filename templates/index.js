(function () {
  "use strict";
  var table = document.getElementById("runs");
  if (!table) return;
  var body = table.tBodies[0];
  var rows = Array.prototype.slice.call(body.rows);
  var heads = Array.prototype.slice.call(table.tHead.rows[0].cells);
  var filter = document.getElementById("filter");
  var count = document.getElementById("count");

  function key(row, column) {
    var cell = row.cells[column];
    var text = cell.getAttribute("data-key");
    return cell.className === "number" ? Number(text) : text;
  }

  function sort(column) {
    var head = heads[column];
    var down = head.getAttribute("aria-sort") !== "descending";
    heads.forEach(function (each) { each.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    rows.sort(function (one, other) {
      var a = key(one, column), b = key(other, column);
      if (a === b) return 0;
      if (a === "") return 1;
      if (b === "") return -1;
      return (a < b ? -1 : 1) * (down ? -1 : 1);
    });
    rows.forEach(function (row) { body.appendChild(row); });
  }

  function show() {
    var words = filter.value.toLowerCase();
    var shown = 0;
    rows.forEach(function (row) {
      row.hidden = row.textContent.toLowerCase().indexOf(words) < 0;
      shown += row.hidden ? 0 : 1;
    });
    count.textContent = words ? shown + " of " + rows.length : "";
  }

  heads.forEach(function (head, column) {
    head.firstElementChild.addEventListener("click", function () { sort(column); });
  });
  filter.addEventListener("input", show);
})();
