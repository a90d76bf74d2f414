// What both engines have in common: server.js asks `lstmgen serve`, local.js draws in the browser.

/** Something that went wrong, in words for the reader. again: whether another try may go well. */
export class Failure extends Error {
  constructor(message, { again = false } = {}) {
    super(message);
    this.again = again;
  }
}

/**
 * A running sample: `next()` gives {id, text, p, top} or null at its end. `top` are the likeliest
 * elements {text, p} of the distribution that the element was drawn from. `set(options)` changes the
 * options from the next element on, and `stop()` ends it.
 *
 * A subclass has `source()`, an async generator of the elements, and `halt()`, which ends a wait.
 */
export class Piecewise {
  #source = null;
  #stopped = false;

  constructor(model, request) {
    this.model = model;
    this.request = { ...request };
  }

  async next() {
    while (!this.#stopped) {
      const source = (this.#source ??= this.source());
      let found;
      try {
        found = await source.next();
      } catch (error) {
        if (this.#stopped || source !== this.#source) continue;
        throw error;
      }
      if (source !== this.#source) continue; // it was begun anew meanwhile
      return found.done ? null : found.value;
    }
    return null;
  }

  /** Drop what is on its way, and ask again. */
  restart() {
    this.#source = null;
    this.halt();
  }

  stop() {
    this.#stopped = true;
    this.halt();
  }
}

/** What comes before the next element: the prime, and the pieces that were drawn after it. */
export function joined(model, prime, drawn) {
  if (model.kind === "ids") return [...prime, ...drawn.map((piece) => piece.id)];
  const texts = drawn.map((piece) => piece.text);
  return model.separator ? [prime, ...texts].filter(Boolean).join(model.separator) : prime + texts.join("");
}

/** The engine that config.json names. */
export async function chosenEngine() {
  const config = await (await fetch("config.json")).json();
  const { ServerEngine, LocalEngine } = await import(config.engine === "local" ? "./local.js" : "./server.js");
  return config.engine === "local" ? new LocalEngine(config) : new ServerEngine(config);
}
