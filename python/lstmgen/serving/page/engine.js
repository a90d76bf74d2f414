// What both engines have in common: server.js asks `lstmgen serve`, local.js draws in the browser.

/** Something that went wrong, in words for the reader. again: whether another try may go well. */
export class Failure extends Error {
  constructor(message, { again = false } = {}) {
    super(message);
    this.again = again;
  }
}

/**
 * A running sample of a model. request: {prompt, length, seed, options}. `next()` gives {id, text, p,
 * top} or null at its end. `top` are the likeliest elements {text, p} of the distribution that the
 * element was drawn from.
 *
 * A subclass has `source(request)`, an async generator of elements, and `halt()`, which ends a wait.
 */
export class Piecewise {
  #request;
  #drawn = [];
  #source = null;
  #stopped = false;

  constructor(model, request) {
    this.model = model;
    this.#request = { ...request };
  }

  async next() {
    while (!this.#stopped) {
      const source = (this.#source ??= this.source(this.#rest()));
      let found;
      try {
        found = await source.next();
      } catch (error) {
        if (source !== this.#source) continue; // it was begun anew meanwhile
        throw error;
      }
      if (source !== this.#source) continue;
      if (found.done) return null;
      this.#drawn.push(found.value);
      return found.value;
    }
    return null;
  }

  /** Draw with other options from the next element on: what is on its way is dropped, and drawn anew. */
  set(options) {
    this.#request.options = options;
    this.#drop();
  }

  stop() {
    this.#stopped = true;
    this.#drop();
  }

  /** What is asked for from where the text is. Its random numbers are others than those before. */
  #rest() {
    const { prompt, length, seed, options } = this.#request;
    const drawn = this.#drawn.length;
    return { prompt: joined(this.model, prompt, this.#drawn), length: length - drawn, seed: seed + drawn, options };
  }

  #drop() {
    const source = this.#source;
    this.#source = null;
    this.halt();
    source?.return().catch(() => {}); // the reason is of no use to anybody now
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
