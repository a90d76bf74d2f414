// SPDX-License-Identifier: MIT
/**
 * The same as lstmgen.js, drawn by a worker, so that a page stays quick while windows of large
 * networks are computed. What lstmgen.js gives at once, a promise gives here.
 */
import { LstmgenError, bodyOf, optionsOf } from "./lstmgen.js";

export { LstmgenError };

class Port {
  #worker;
  #calls = new Map();
  #last = 0;
  #ended = null; // why it takes no more calls

  static async start() {
    const url = new URL("./worker.js", import.meta.url);
    const port = new Port();
    if (typeof Worker === "function") {
      try {
        port.#worker = new Worker(url, { type: "module" });
      } catch (error) {
        throw new LstmgenError(`${url}: cannot be started: ${error.message}`, "internal");
      }
      port.#worker.onmessage = ({ data }) => port.#answered(data);
      port.#worker.onmessageerror = () => port.#broken("an answer of the worker cannot be read");
      port.#worker.onerror = (event) => port.#broken(event.message || `${url} cannot be loaded`);
    } else {
      const { Worker: NodeWorker } = await import("node:worker_threads");
      port.#worker = new NodeWorker(url);
      port.#worker.on("message", (data) => port.#answered(data));
      port.#worker.on("messageerror", (error) => port.#broken(error.message));
      port.#worker.on("error", (error) => port.#broken(error.message));
      port.#worker.on("exit", () => port.#broken("the worker ended"));
      port.#worker.unref();
    }
    return port;
  }

  call(name, ...values) {
    return new Promise((resolve, reject) => {
      if (this.#ended) throw this.#ended;
      this.#worker.ref?.(); // Node waits for an answer
      this.#calls.set(++this.#last, { resolve, reject });
      try {
        this.#worker.postMessage({ call: this.#last, name, values });
      } catch (error) {
        this.#calls.delete(this.#last);
        reject(new LstmgenError(error.message));
      }
    });
  }

  end() {
    this.#broken("the model was freed");
    this.#worker.terminate();
  }

  #answered({ call, result, error }) {
    const found = this.#calls.get(call);
    this.#calls.delete(call);
    if (!this.#calls.size) this.#worker.unref?.();
    if (error) found?.reject(new LstmgenError(error.message, error.code, error.option));
    else found?.resolve(result);
  }

  #broken(message) {
    this.#ended ??= new LstmgenError(message, "internal");
    for (const { reject } of this.#calls.values()) reject(this.#ended);
    this.#calls.clear();
    this.#worker.unref?.();
  }
}

// Frees in the worker what nobody here can reach.
const kept = new FinalizationRegistry(({ port, made }) =>
  made.then((found) => port.call("free", found.id ?? found)).catch(() => {}));

const inside = new WeakMap(); // port and number of each model

/** Loads a `.bin` in a new worker, as `load` of lstmgen.js does. */
export async function load(source, options = {}) {
  const { signal, ...others } = optionsOf("load", options);
  signal?.throwIfAborted();
  let data = source, name = others.name;
  if (typeof Response === "function" && source instanceof Response) {
    name ??= source.url || undefined;
    data = await bodyOf(source, name ?? "<bytes>");
  } else if (source instanceof URL) data = source.href;
  else if (typeof source === "string" && typeof document === "object") data = new URL(source, document.baseURI).href;
  if (others.wasm instanceof URL) others.wasm = others.wasm.href;
  const port = await Port.start();
  const stop = () => port.end();
  signal?.addEventListener("abort", stop);
  try {
    const { id, info } = await port.call("load", data, name === undefined ? others : { ...others, name });
    return new Model(port, id, info);
  } catch (error) {
    port.end();
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

export class Model {
  constructor(port, id, info) {
    this.info = Object.freeze(info);
    inside.set(this, { port, id });
  }

  encode(what, options) {
    return of(this).port.call("encode", of(this).id, what, options);
  }

  /** Frees the model, and ends its worker. */
  free() {
    inside.get(this)?.port.end();
    inside.delete(this);
  }
}

function of(model) {
  const found = inside.get(model);
  if (!found) throw new LstmgenError("the model was freed");
  return found;
}

/** Draws texts from a model. Wrong options are errors of its samples. */
export class Generator {
  #model;
  #id;

  constructor(model, options = {}) {
    const { port, id } = of(model);
    this.#model = model;
    this.#id = port.call("generator", id, options);
    this.#id.catch(() => {}); // the samples tell
    kept.register(this, { port, made: this.#id });
  }

  get model() {
    return this.#model;
  }

  async sample(options = {}) {
    const parts = [];
    const { length } = optionsOf("sample", options);
    if (length === null || length === Infinity)
      throw new LstmgenError("length: expected an integer, since only a stream may be endless", "invalid argument", "length");
    const stream = this.stream(options);
    try {
      for await (const { text } of stream) parts.push(text);
    } finally {
      await stream.return();
    }
    return parts.join(this.#model.info.separator);
  }

  stream(given = {}) {
    const { port } = of(this.#model);
    const { signal, ...options } = optionsOf("stream", given);
    return new Stream(port, this.#id.then((id) => port.call("stream", id, options)), signal);
  }

  restore(state, given = {}) {
    const { port } = of(this.#model);
    const { signal, ...options } = optionsOf("restore", given);
    return new Stream(port, this.#id.then((id) => port.call("restore", id, state, options)), signal);
  }
}

/** A running sample. The worker draws only while an element is awaited, for some milliseconds. */
export class Stream {
  #port;
  #started;
  #signal;
  #items = [];
  #done = false;

  constructor(port, started, signal) {
    this.#port = port;
    this.#started = started;
    this.#signal = signal;
    started.catch(() => {}); // `next` tells
    kept.register(this, { port, made: started }, this);
  }

  /** The seed of the random numbers, as a promise. */
  get seed() {
    return this.#started.then(({ seed }) => seed);
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  async next() {
    if (this.#signal?.aborted) await this.return();
    this.#signal?.throwIfAborted();
    if (!this.#items.length && !this.#done) {
      const { items, done } = await this.#call("draw", 4096);
      this.#items.push(...items);
      this.#done ||= done;
      if (this.#signal?.aborted) await this.return();
      this.#signal?.throwIfAborted();
    }
    return this.#items.length ? { done: false, value: this.#items.shift() } : { done: true, value: undefined };
  }

  async return(value = undefined) {
    this.#items = [];
    this.#done = true;
    kept.unregister(this);
    await this.#call("free").catch(() => {});
    return { done: true, value };
  }

  /** Changes options from the next element on that is drawn. */
  async set(options) {
    await this.#call("set", options);
  }

  async feed(what) {
    await this.#call("feed", what);
  }

  likeliest(n) {
    return this.#call("likeliest", n);
  }

  save() {
    return this.#call("save");
  }

  async #call(name, ...values) {
    const { id } = await this.#started;
    return this.#port.call(name, id, ...values);
  }
}
