// The engine in the browser itself, in WebAssembly, in a worker for each model. server.js has the same interface.

import { Failure, Piecewise } from "./engine.js";
import { Generator, load } from "./remote.js";

// A window of T elements is kept for T / 8 of them, which costs 9 steps for each element instead of T.
const REFRESHES = 8;

/** Models that the browser has loaded, and what they draw. config: what config.json says. */
export class LocalEngine {
  accepts = ".bin";
  invitation = "Drop a .bin file to try it here. It stays on this device.";
  #listed;

  constructor({ models }) {
    this.#listed = models;
  }

  /** The models that lie beside the page. Each is loaded when it is chosen. */
  async models() {
    return this.#listed.map(({ name, url, primes }) => ({
      id: name,
      name,
      load: async () => described(await read(url, name), name, primes),
    }));
  }

  /** The model of a File. */
  async open(file) {
    if (!file.name.endsWith(".bin")) {
      throw new Failure(
        `${file.name}: this page runs in the browser alone, and reads only .bin files. ` +
          `Export the model first: lstmgen export ${file.name} model.bin`,
      );
    }
    return described(await read(file, file.name), file.name);
  }

  /** A running sample. request: {prompt, length, seed, options}. */
  stream(model, request) {
    return new LocalStream(model, request);
  }
}

class LocalStream extends Piecewise {
  async *source({ prompt, length, seed, options }) {
    const { native, window } = this.model;
    const fixed = { prime: prompt, length, seed, logprobs: 10 };
    if (window) fixed.refresh = Math.ceil(window / REFRESHES);
    let stream = null;
    try {
      stream = new Generator(native).stream({ ...fixed, ...options });
      for await (const { id, text, logprob, top } of stream) {
        yield { id, text, p: Math.exp(logprob), top: top.map((one) => ({ text: one.text, p: Math.exp(one.logprob) })) };
      }
    } catch (error) {
      throw new Failure(error.message);
    } finally {
      await stream?.return();
    }
  }

  halt() {} // its waits are short
}

async function read(source, name) {
  try {
    return await load(source, { name });
  } catch (error) {
    throw new Failure(error.message);
  }
}

/** A model of the module, as the page uses models. */
function described(native, name, primes) {
  const { info } = native;
  if (!info.generates) {
    native.free();
    throw new Failure(`${name}: this model draws nothing: it ${info.labels.length ? "is a classifier" : "gives numbers"}.`);
  }
  return {
    id: name,
    name,
    native,
    kind: info.notation ? "music" : info.elements.length ? "text" : "ids",
    elements: info.elements,
    notation: info.notation,
    separator: info.elements.length ? info.separator : " ",
    grammar: Boolean(info.grammar),
    recommended: info.recommended ?? {},
    primes: primes ?? (info.prime_text ? [info.prime_text] : []),
    window: info.window || null,
    dtype: info.dtype,
    description: info.description,
    card: typeof info.card === "string" ? info.card : JSON.stringify(info.card ?? "", null, 2).replace(/^""$/, ""),
  };
}
