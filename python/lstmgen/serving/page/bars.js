// The distribution of an element, as bars.

import { named } from "./escaping.js";
import { percent } from "./shades.js";

const MOST = 10;

/** Shows the likeliest elements. onPick(element) is told of the one that is pressed. */
export class Bars {
  #list;
  #rows = [];

  constructor(list, onPick) {
    this.#list = list;
    list.addEventListener("click", (event) => {
      const row = event.target.closest("button");
      if (row) onPick(row.element);
    });
  }

  /** top: [{text, p}], the likeliest first. drawn: the one that was drawn, if one was. It is always shown. */
  show(top, drawn = null) {
    const shown = top.slice(0, MOST);
    if (drawn && !shown.some(({ text }) => text === drawn.text)) shown.splice(MOST - 1, 1, drawn);
    while (this.#rows.length < shown.length) this.#rows.push(this.#list.appendChild(row()));
    while (this.#rows.length > shown.length) this.#rows.pop().remove(); // a row that stays keeps the focus
    for (const [i, element] of shown.entries()) {
      const button = this.#rows[i].firstChild;
      const [name, track, share] = button.children;
      const isDrawn = element.text === drawn?.text;
      button.element = element;
      button.classList.toggle("drawn", isDrawn);
      button.setAttribute("aria-label", `${named(element.text)}, ${percent(element.p)}${isDrawn ? ", drawn" : ""}`);
      name.textContent = named(element.text);
      track.firstChild.style.transform = `scaleX(${element.p})`;
      share.textContent = percent(element.p);
    }
  }
}

function row() {
  const item = document.createElement("li");
  const button = item.appendChild(document.createElement("button"));
  button.type = "button";
  for (const name of ["name", "track", "share"]) button.appendChild(document.createElement("span")).className = name;
  button.children[1].append(document.createElement("span"));
  return item;
}
