"use strict";
// The slider walks through the rows of a table and shows one of them large.
// Without script the table alone says the same.
document.querySelectorAll(".slider").forEach((box) => {
  const table = document.getElementById(box.dataset.table);
  const input = box.querySelector("input");
  const list = box.querySelector("dl");
  const titles = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const rows = [...table.tBodies[0].rows];
  const part = (name, text, className) => {
    const element = document.createElement(name);
    element.textContent = text;
    if (className) element.className = className;
    return element;
  };
  const show = () => {
    const row = rows[Number(input.value)];
    rows.forEach((other) => other.classList.toggle("picked", other === row));
    list.replaceChildren(...[...row.cells].slice(1).map((cell, index) => {
      const group = document.createElement("div");
      group.append(part("dt", titles[index + 1]));
      group.append(part("dd", cell.querySelector(".value").textContent, "value"));
      const range = cell.querySelector(".range");
      if (range) group.append(part("dd", range.textContent, "range"));
      return group;
    }));
    input.setAttribute("aria-valuetext", row.cells[0].textContent.trim());
  };
  input.addEventListener("input", show);
  box.hidden = false;
  show();
});
