// The options of sampling, by the names that they have in Python.

// off: the value at which an option does nothing.
const SLIDERS = [
  { name: "temp", label: "Temperature", min: 0, max: 2, step: 0.01, usual: 1, tells: "Low is careful, high is bold." },
  { name: "top_p", label: "Top-p", min: 0.05, max: 1, step: 0.01, usual: 1, off: 1, tells: "Only the likeliest, with so much probability together." },
  { name: "min_p", label: "Min-p", min: 0, max: 0.5, step: 0.005, usual: 0, off: 0, tells: "None below so large a part of the likeliest." },
  { name: "dry_multiplier", label: "DRY", min: 0, max: 2, step: 0.05, usual: 0, off: 0, tells: "How strongly long repetitions are avoided." },
];
// Words that come again are no repetition to avoid: docs/sampling.md.
const DRY_LENGTH_OF_CHARACTERS = 12;

const by = (id) => document.getElementById(id);

/** The controls of the options. onChange() is called when one of them is changed. */
export class Options {
  #model = null;
  #inputs = {};

  constructor(onChange) {
    for (const slider of SLIDERS) by("sliders").append(this.#made(slider, onChange));
    by("grammar").addEventListener("change", () => {
      by("gbnf").hidden = by("grammar").value !== "given";
      if (by("gbnf").hidden || by("gbnf").value.trim()) onChange();
    });
    by("gbnf").addEventListener("change", onChange);
    by("reset").addEventListener("click", () => {
      this.#recommend();
      onChange();
    });
    by("keep").addEventListener("click", () => this.keepSeed(!this.#seedKept));
    by("seed").addEventListener("input", () => this.keepSeed(by("seed").value !== ""));
    this.nextSeed();
  }

  /** Offer what a model can do, and what it recommends. */
  use(model) {
    this.#model = model;
    by("grammar").options[0].disabled = !model.grammar;
    this.#recommend();
  }

  /** What the engines are told. */
  values() {
    const chosen = { ...this.#model.recommended, grammar: null };
    for (const { name } of SLIDERS) chosen[name] = Number(this.#inputs[name].value);
    if (chosen.dry_multiplier && !this.#model.separator) {
      chosen.dry_allowed_length ??= DRY_LENGTH_OF_CHARACTERS;
    }
    const grammar = by("grammar").value;
    if (grammar === "own") chosen.grammar = "own";
    if (grammar === "given" && by("gbnf").value.trim()) chosen.grammar = by("gbnf").value;
    return chosen;
  }

  get length() {
    return Math.min(Math.max(Math.round(Number(by("length").value)) || 1, 1), Number(by("length").max));
  }

  /** Elements a second. */
  get speed() {
    return Number(by("speed").value);
  }

  /** The seed of a new start: the one that is kept, or a new one, which is shown. */
  nextSeed() {
    if (!this.#seedKept) by("seed").value = crypto.getRandomValues(new Uint32Array(1))[0];
    return this.seed;
  }

  get seed() {
    return Math.min(Math.max(Math.round(Number(by("seed").value)) || 0, 0), Number.MAX_SAFE_INTEGER / 2);
  }

  keepSeed(kept) {
    by("keep").setAttribute("aria-pressed", kept);
    by("seed-note").textContent = kept
      ? "Each start takes this one: the same text, if all else is the same."
      : "Each start takes a new one, unless it is kept.";
  }

  get #seedKept() {
    return by("keep").getAttribute("aria-pressed") === "true";
  }

  #recommend() {
    const { recommended, grammar } = this.#model;
    for (const { name, usual } of SLIDERS) {
      this.#inputs[name].value = recommended[name] ?? usual;
      this.#inputs[name].show();
    }
    by("grammar").value = grammar ? "own" : "none";
    by("gbnf").hidden = true;
  }

  #made({ name, label, min, max, step, off, tells }, onChange) {
    const option = document.createElement("div");
    option.className = "option slider";
    const caption = option.appendChild(document.createElement("label"));
    const value = option.appendChild(document.createElement("output"));
    const input = option.appendChild(document.createElement("input"));
    const note = option.appendChild(document.createElement("p"));
    Object.assign(input, { type: "range", id: name, min, max, step });
    Object.assign(note, { id: `${name}-note`, className: "note", textContent: tells });
    input.setAttribute("aria-describedby", note.id);
    caption.htmlFor = value.htmlFor = name;
    caption.textContent = label;
    input.show = () => {
      const number = Number(input.value);
      value.textContent = number === off ? "off" : number.toFixed(step < 0.01 ? 3 : 2);
      input.setAttribute("aria-valuetext", value.textContent);
    };
    input.addEventListener("input", () => {
      input.show();
      onChange();
    });
    this.#inputs[name] = input;
    return option;
  }
}
