// Plays notes with the synthesiser of the browser, as they come.

import { GRID, lengthOf } from "./music.js";

const AHEAD = 0.25; // seconds that are handed to the synthesiser in advance
const LOOK = 60; // milliseconds between two looks at the notes
const RELEASE = 0.15; // seconds

/** Plays what `notes()` gives. `more()` says whether notes are still to come. onEnd() is told of the end. */
export class Player {
  #notes;
  #more;
  #onEnd;
  #context = null;
  #out = null;
  #timer = null;
  #began = 0; // the time of the context at which the piece is at 0
  #next = 0; // points up to which notes were handed over
  #bpm = 100;

  constructor({ notes, more, onEnd }) {
    [this.#notes, this.#more, this.#onEnd] = [notes, more, onEnd];
  }

  get playing() {
    return this.#timer !== null;
  }

  /** The place that is heard, in points; null in silence. */
  get position() {
    return this.playing ? Math.max(this.#pointsAt(this.#context.currentTime), 0) : null;
  }

  set bpm(bpm) {
    if (this.playing) {
      const now = this.#context.currentTime;
      const points = this.#pointsAt(now);
      this.#bpm = bpm;
      this.#began = now - this.#seconds(points);
    }
    this.#bpm = bpm;
  }

  /** Play from a place, in points. Rejects where the browser has no sound. */
  async play(from = 0) {
    this.stop();
    this.#context ??= new AudioContext();
    await this.#context.resume();
    this.#out = new DynamicsCompressorNode(this.#context, { threshold: -18, ratio: 4 });
    this.#out.connect(this.#context.destination);
    this.#began = this.#context.currentTime + 0.1 - this.#seconds(from);
    this.#next = from;
    this.#timer = setInterval(() => this.#handOver(), LOOK);
    this.#handOver();
  }

  stop() {
    if (!this.playing) return;
    clearInterval(this.#timer);
    this.#timer = null;
    this.#out.disconnect(); // what was handed over is silent at once
    this.#onEnd();
  }

  #handOver() {
    const notes = this.#notes();
    const now = this.#context.currentTime;
    // While notes are still to come, the clock waits at the last one: its chord may not be complete.
    const limit = this.#more() ? (notes.at(-1)?.start ?? 0) : Infinity;
    if (this.#pointsAt(now) > limit) this.#began = now - this.#seconds(limit);
    const until = Math.min(this.#pointsAt(now + AHEAD), limit);
    for (const note of notes) {
      if (note.start >= this.#next && note.start < until) this.#sound(note);
    }
    this.#next = Math.max(this.#next, until);
    if (limit === Infinity && this.#pointsAt(now) > lengthOf(notes) + GRID) this.stop();
  }

  /** A struck string: a triangle and its octave, brighter and louder the harder it is struck, which fade. */
  #sound({ start, duration, pitch, velocity }) {
    const context = this.#context;
    const at = Math.max(this.#began + this.#seconds(start), context.currentTime);
    const until = at + Math.max(this.#seconds(duration), 0.05);
    const frequency = 440 * 2 ** ((pitch - 69) / 12);
    const force = velocity / 127;
    const loudness = new GainNode(context, { gain: 0 });
    const filter = new BiquadFilterNode(context, { type: "lowpass", frequency: frequency * (2 + 5 * force) });
    filter.connect(loudness).connect(this.#out);
    loudness.gain.setValueAtTime(0, at);
    loudness.gain.linearRampToValueAtTime(0.35 * force ** 1.5, at + 0.005);
    loudness.gain.setTargetAtTime(0, at + 0.005, 1.6 * 2 ** ((60 - pitch) / 24));
    loudness.gain.setTargetAtTime(0, until, RELEASE / 4);
    for (const [type, ratio, gain] of [["triangle", 1, 1], ["sine", 2, 0.3], ["sine", 3.01, 0.08]]) {
      const string = new OscillatorNode(context, { type, frequency: frequency * ratio });
      string.connect(new GainNode(context, { gain })).connect(filter);
      string.start(at);
      string.stop(until + RELEASE);
    }
  }

  #seconds(points) {
    return (points / GRID) * (60 / this.#bpm);
  }

  #pointsAt(time) {
    return ((time - this.#began) * GRID * this.#bpm) / 60;
  }
}
