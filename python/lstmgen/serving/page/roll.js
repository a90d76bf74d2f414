// A piano roll on a canvas, which is as wide as what is seen of it.

import { GRID, lengthOf, pitchName } from "./music.js";

const QUARTER = 30; // pixels
const MARGIN = 44; // pixels, for the names of the octaves

/** Shows notes. `frame` is an element that scrolls, with an extent and a canvas in it. */
export class Roll {
  #frame;
  #extent;
  #canvas;
  #notes = [];
  #playhead = null;
  #waiting = false;

  constructor(frame) {
    this.#frame = frame;
    this.#extent = frame.firstElementChild;
    this.#canvas = this.#extent.firstElementChild;
    frame.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(frame);
  }

  /** follow: whether the end of the notes shall be seen. */
  show(notes, { follow = false } = {}) {
    this.#notes = notes;
    const quarters = lengthOf(notes) / GRID;
    this.#extent.style.width = `${MARGIN + quarters * QUARTER + 24}px`;
    this.#frame.setAttribute("aria-label", summary(notes, quarters));
    if (follow) this.#frame.scrollLeft = this.#frame.scrollWidth;
    this.draw();
  }

  /** The place that is heard, in points of the grid; null for none. */
  set playhead(points) {
    this.#playhead = points;
    if (points !== null) {
      const x = MARGIN + (points / GRID) * QUARTER;
      const { scrollLeft, clientWidth } = this.#frame;
      if (x < scrollLeft + MARGIN || x > scrollLeft + clientWidth * 0.8) this.#frame.scrollLeft = x - clientWidth * 0.3;
    }
    this.draw();
  }

  draw() {
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.#drawNow();
    });
  }

  #drawNow() {
    const { clientWidth: width, clientHeight: height, scrollLeft } = this.#frame;
    if (!width || !height) return;
    const scale = devicePixelRatio || 1;
    const canvas = this.#canvas;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      Object.assign(canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
      Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    }
    const style = getComputedStyle(this.#frame);
    const colour = (name) => style.getPropertyValue(name);
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);

    const pitches = this.#notes.map((note) => note.pitch);
    const low = Math.min(45, ...pitches) - 2;
    const high = Math.max(76, ...pitches) + 2;
    const row = height / (high - low + 1);
    const top = (pitch) => (high - pitch) * row;
    const left = (points) => MARGIN + (points / GRID) * QUARTER - scrollLeft;

    context.font = `11px ${style.fontFamily}`;
    for (let pitch = low; pitch <= high; pitch++) {
      if ([1, 3, 6, 8, 10].includes(pitch % 12)) {
        context.fillStyle = colour("--roll-black");
        context.fillRect(MARGIN, top(pitch), width, row);
      }
    }
    context.fillStyle = colour("--line");
    const bar = 4 * GRID;
    for (let points = 0; left(points) < width; points += bar) {
      if (left(points) >= MARGIN) context.fillRect(left(points), 0, 1, height);
    }
    for (const { start, duration, pitch, velocity } of this.#notes) {
      const x = left(start);
      const wide = Math.max((duration / GRID) * QUARTER - 1.5, 2);
      if (x > width || x + wide < MARGIN) continue;
      const heard = this.#playhead !== null && start <= this.#playhead && this.#playhead < start + duration;
      context.globalAlpha = 0.45 + 0.55 * (velocity / 127);
      context.fillStyle = colour(heard ? "--ink" : "--accent");
      context.beginPath();
      context.roundRect(x, top(pitch) + 0.5, wide, Math.max(row - 1, 2), Math.min(2.5, row / 2));
      context.fill();
    }
    context.globalAlpha = 1;
    if (this.#playhead !== null && left(this.#playhead) >= MARGIN) {
      context.fillStyle = colour("--ink");
      context.fillRect(left(this.#playhead), 0, 1.5, height);
    }
    context.clearRect(0, 0, MARGIN - 1, height);
    context.fillStyle = colour("--soft");
    context.textBaseline = "middle";
    for (let pitch = Math.ceil(low / 12) * 12; pitch <= high; pitch += 12) {
      context.fillText(pitchName(pitch), 8, top(pitch) + row / 2);
    }
  }
}

function summary(notes, quarters) {
  if (!notes.length) return "Piano roll, empty";
  const pitches = notes.map((note) => note.pitch);
  const range = `from ${pitchName(Math.min(...pitches))} to ${pitchName(Math.max(...pitches))}`;
  return `Piano roll: ${notes.length} notes in ${Math.ceil(quarters)} quarters, ${range}`;
}
