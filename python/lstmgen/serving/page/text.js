// The text, element by element, each shaded by its probability.

import { named, shown } from "./escaping.js";
import { bits, percent, shadeOf } from "./shades.js";

/** What a reader may want to know of an element. */
export function explained({ text, p, top = [] }) {
  if (p === undefined) return `“${named(text)}” was given.`;
  const others = top.slice(0, 5).map((one) => `${named(one.text)} ${percent(one.p)}`);
  return `“${named(text)}” ${percent(p)}, a surprise of ${bits(p)}. Likeliest: ${others.join(", ")}`;
}

/** Shows the pieces of a text. onSelect(index) is told of the element that is chosen, or null. */
export class TextView {
  selected = null;
  #element;
  #pieces = [];
  #spans = []; // for each piece: an element that spreads over lines has several
  #separator = "";
  #onSelect;

  constructor(element, onSelect) {
    this.#element = element;
    this.#onSelect = onSelect;
    element.addEventListener("click", (event) => {
      const index = indexOf(event.target);
      if (index !== null && getSelection().isCollapsed) this.select(index === this.selected ? null : index);
    });
    element.addEventListener("pointerover", (event) => {
      const index = indexOf(event.target);
      if (index !== null) event.target.title = explained(this.#pieces[index]);
    });
    element.addEventListener("keydown", (event) => this.#move(event));
  }

  /** Show other pieces. separator: what stands between two of them. */
  show(pieces, separator) {
    this.#separator = separator;
    this.#element.replaceChildren();
    [this.#pieces, this.#spans, this.selected] = [[], [], null];
    pieces.forEach((piece) => this.append(piece));
  }

  append(piece) {
    const index = this.#pieces.push(piece) - 1;
    const lines = shown(piece.text).split("\n");
    if (index > 0 && this.#pieces[index - 1].text !== "") this.#element.lastElementChild?.append(this.#separator);
    this.#spans.push(
      lines.map((line, i) => {
        const span = document.createElement("span");
        span.textContent = i < lines.length - 1 ? `${line}\n` : line;
        span.dataset.index = index;
        if (piece.p === undefined) span.className = "given";
        else span.dataset.shade = shadeOf(piece.p);
        // A separate line for each line of the text: a browser lays out short lines quickly.
        let block = this.#element.lastElementChild;
        if (!block || block.textContent.endsWith("\n")) {
          block = this.#element.appendChild(document.createElement("div"));
        }
        if (span.textContent) block.append(span);
        block.classList.toggle("lead", index === 0 && !this.#element.textContent.trim());
        return span;
      }),
    );
  }

  select(index) {
    for (const span of this.#spans[this.selected] ?? []) span.classList.remove("selected");
    this.selected = index;
    for (const span of this.#spans[index] ?? []) {
      span.classList.add("selected");
      span.title = explained(this.#pieces[index]);
    }
    this.#spans[index]?.[0].scrollIntoView({ block: "nearest" });
    this.#onSelect(index);
  }

  #move(event) {
    const last = this.#pieces.length - 1;
    const at = this.selected;
    const to = {
      ArrowLeft: () => Math.max((at ?? last + 1) - 1, 0),
      ArrowRight: () => Math.min((at ?? -1) + 1, last),
      Home: () => 0,
      End: () => last,
      Escape: () => null,
    }[event.key];
    if (!to || last < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && at === null) return;
    event.preventDefault();
    event.stopPropagation();
    this.select(to());
  }
}

function indexOf(target) {
  return target.dataset?.index === undefined ? null : Number(target.dataset.index);
}
