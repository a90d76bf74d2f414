// SPDX-License-Identifier: MIT
/**
 * Draws text from a recurrent network in a browser or in Node, with the engine of lstmgen as
 * WebAssembly. lstmgen.d.ts has the types, README.md the manual. Names of options and facts are
 * those of the Python package, and a seed draws the same text.
 */

const UNLIMITED = 2n ** 64n - 1n; // LSTMGEN_UNLIMITED
const SEPARATOR = 0xffffffff; // LSTMGEN_SEPARATOR
const LOOKBACK = 4096; // LSTMGEN_MAX_LOOKBACK
const NONE = 0xffffffff; // no element
const MOST = 2 ** 29; // bytes of a file
const PIECE = 2 ** 16; // of a text, which the engine cuts at once
const SLICE = 8; // milliseconds that a stream draws before other tasks have their turn
const REPLACEMENT = "\ufffd"; // stands for bytes that are no UTF-8
const BREAKERS = ["\n", ":", '"', "*"]; // the sequence breakers of llama.cpp
const CODES = [
  "io", "format", "invalid argument", "busy", "ended", "stopped", "out of memory", "internal",
];
const ENCODINGS = ["onehot", "index", "scaled", "features", "raw"];

/** What every function of this module throws, but for the reason of an AbortSignal. */
export class LstmgenError extends Error {
  /**
   * @param {string} message
   * @param {string} code one of CODES
   * @param {string} [option] the option that is wrong
   */
  constructor(message, code = "invalid argument", option = undefined) {
    super(message);
    this.name = "LstmgenError";
    this.code = code;
    if (option !== undefined) this.option = option;
  }
}

// ---- The engine ---------------------------------------------------------------------------------

/** An instance of the WebAssembly module, with its own memory. Each model has one. */
class Engine {
  #exports;
  #error = null;
  #dead = null;
  #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #encoder = new TextEncoder();
  texts = [];
  numbers = [];

  static async start(module) {
    const engine = new Engine();
    const instance = await WebAssembly.instantiate(module, {
      lstmgen: {
        text: (at, size) => void engine.texts.push(engine.#text(at, size)),
        number: (x) => void engine.numbers.push(x),
        error: (code, at, size) => {
          engine.#error = new LstmgenError(engine.#text(at, size), CODES[code]);
        },
      },
      env: { emscripten_notify_memory_growth() {} },
      wasi_snapshot_preview1: {
        proc_exit(status) {
          throw new Error(`the engine ended with status ${status}`);
        },
        environ_sizes_get(count, size) {
          engine.bytes(count, 4).fill(0);
          engine.bytes(size, 4).fill(0);
          return 0;
        },
        environ_get: () => 0,
      },
    });
    engine.#exports = instance.exports;
    engine.call("_initialize");
    return engine;
  }

  #text(at, size) {
    return this.#decoder.decode(this.bytes(at, size));
  }

  /** Calls a function of cpp/bindings/web.cpp. Throws the error that it gave. */
  call(name, ...values) {
    if (this.#dead) throw this.#dead;
    let result;
    try {
      result = this.#exports[name](...values);
    } catch (error) {
      // A trap: what is in the memory cannot be trusted any more.
      this.#dead = new LstmgenError(`the engine failed: ${error.message}; load the model again`, "internal");
      throw this.#dead;
    }
    if (this.#error) {
      const error = this.#error;
      this.#error = null;
      throw error;
    }
    return result;
  }

  /** Returns the texts and numbers that a call gives. */
  told(name, ...values) {
    this.texts = [];
    this.numbers = [];
    this.call(name, ...values);
    return { texts: this.texts, numbers: this.numbers };
  }

  /** Returns `size` bytes of the memory, which are valid until the next call. */
  bytes(at, size) {
    return new Uint8Array(this.#exports.memory.buffer, at >>> 0, size >>> 0); // WebAssembly's numbers have a sign
  }

  /** Returns the address of a copy of the array, which the caller frees. */
  put(array) {
    const at = this.room(array.byteLength);
    this.bytes(at, array.byteLength).set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    return at;
  }

  room(size) {
    const at = size < 2 ** 32 ? this.call("allocate", Math.max(8, size)) : 0;
    if (!at) throw new LstmgenError(`out of memory: ${size} bytes`, "out of memory");
    return at;
  }

  /** Frees what a call returned. After a failure, the memory goes as a whole. */
  free(name, at) {
    if (!this.#dead) this.call(name, at);
  }

  /** Calls `f` with an address of `size` bytes. */
  lend(size, f) {
    const at = this.room(size);
    try {
      return f(at);
    } finally {
      this.free("release", at);
    }
  }

  /** Calls `f` with an address and a length for each array or text. */
  with(arrays, f) {
    const places = [];
    try {
      const values = [];
      for (const one of arrays) {
        const array = typeof one === "string" ? this.#encoder.encode(one) : one;
        places.push(this.put(array));
        values.push(places.at(-1), array.length);
      }
      return f(...values);
    } finally {
      for (const at of places) this.free("release", at);
    }
  }
}

const compiled = new Map(); // module by its URL

async function started(wasm) {
  try {
    return await Engine.start(await compile(wasm));
  } catch (error) {
    if (error instanceof LstmgenError) throw error;
    throw new LstmgenError(`lstmgen.wasm: cannot be used: ${error.message}`, "internal");
  }
}

async function compile(wasm) {
  if (wasm instanceof WebAssembly.Module) return wasm;
  const url = wasm ?? new URL("./lstmgen.wasm", import.meta.url);
  if (!(url instanceof URL) && typeof url !== "string") return WebAssembly.compile(url);
  const key = String(url);
  if (!compiled.has(key)) {
    const found = fetched(url, "lstmgen.wasm").then(WebAssembly.compile);
    compiled.set(key, found);
    found.catch(() => compiled.delete(key));
  }
  return compiled.get(key);
}

// Node 18 has no global of this name.
const random = globalThis.crypto ?? (await import("node:crypto")).webcrypto;
const inNode = typeof process === "object" && typeof process.versions?.node === "string";

async function fetched(source, name, signal = undefined) {
  const remote = /^(https?|data|blob):/.test(String(source));
  try {
    if (inNode && !remote) {
      const { readFile, stat } = await import("node:fs/promises");
      const text = String(source);
      const path = text.startsWith("file:") ? new URL(text) : source;
      const facts = await stat(path);
      if (!facts.isFile()) throw new LstmgenError(`${name}: expected a file, found a folder, a pipe or a device`, "io");
      checkSize(name, facts.size);
      return await readFile(path, { signal });
    }
    return await bodyOf(await fetch(source, { signal }), name);
  } catch (error) {
    if (error instanceof LstmgenError || signal?.aborted) throw error;
    throw new LstmgenError(`${name}: cannot be read: ${error.message}`, "io");
  }
}

function checkSize(name, size) {
  if (size > MOST) throw new LstmgenError(`${name}: expected at most ${MOST} bytes, found ${size}`, "format");
}

/** The bytes of a Response, which ends as soon as it has more than a file may have. For remote.js, too. */
export async function bodyOf(answer, name) {
  if (!answer.ok) throw new LstmgenError(`${name}: the server answers ${answer.status} ${printable(answer.statusText)}`, "io");
  const parts = [];
  let size = 0;
  try {
    const reader = answer.body?.getReader();
    for (let part; reader && !(part = await reader.read()).done; parts.push(part.value)) {
      size += part.value.length;
      if (size > MOST) reader.cancel().catch(() => {});
      checkSize(name, size);
    }
  } catch (error) {
    if (error instanceof LstmgenError || error.name === "AbortError") throw error;
    throw new LstmgenError(`${name}: cannot be read: ${error.message}`, "io");
  }
  const data = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return data;
}

const streams = new FinalizationRegistry(({ engine, native, live, ref }) => {
  live.delete(ref);
  try {
    engine.free("generator_free", native);
  } catch {
    // The engine failed before, and its memory goes as a whole.
  }
});

// ---- Models -------------------------------------------------------------------------------------

/**
 * Loads a `.bin`, with the checks of the native loader.
 *
 * @param source its bytes, a Blob, a Response, or where it lies: a URL, or a path in Node
 * @param options name: what errors call it; wasm: where lstmgen.wasm lies, or its bytes or module;
 *     signal: an AbortSignal
 */
export async function load(source, options = {}) {
  const { name: told, wasm, signal, ...others } = optionsOf("load", options);
  if (Object.keys(others).length) throw unknownOption("load", Object.keys(others)[0], ["name", "wasm", "signal"]);
  if (signal) OWN.signal(signal).throwIfAborted();
  const given = told === undefined ? undefined : printable(String(told));
  let name = given ?? "<bytes>";
  let data = source;
  if (typeof source === "string" || source instanceof URL) {
    name = given ?? printable(String(source));
    data = await fetched(source, name, signal);
  } else if (typeof Blob === "function" && source instanceof Blob) {
    name = given ?? printable(source.name ?? "<bytes>");
    checkSize(name, source.size);
    data = await source.arrayBuffer();
  } else if (typeof Response === "function" && source instanceof Response) {
    name = given ?? printable(source.url || "<bytes>");
    data = await bodyOf(source, name);
  }
  if (data instanceof ArrayBuffer || (typeof SharedArrayBuffer === "function" && data instanceof SharedArrayBuffer))
    data = new Uint8Array(data);
  else if (ArrayBuffer.isView(data)) data = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  else throw wrong("source", "bytes, a Blob, a Response, a URL or a path", source);
  if (!data.length) throw new LstmgenError(`${name}: the file is empty`, "format");
  checkSize(name, data.length);
  signal?.throwIfAborted();
  const engine = await started(wasm);
  signal?.throwIfAborted();
  const at = engine.put(data); // model_load frees it
  const native = engine.with([name], (text, bytes) =>
    engine.call("model_load", at, data.length, text, bytes));
  return new Model(KEY, engine, native);
}

const KEY = Symbol("constructors of this module only");
const inside = new WeakMap(); // engine and address of each model

/** A network with its weights and its vocabulary, which `load` returns. */
export class Model {
  /** What the file says about itself. */
  info;
  #vocabulary;

  constructor(key, engine, native) {
    if (key !== KEY) throw new LstmgenError("new Model: use load, which returns one");
    const table = optionTable(engine);
    this.info = Object.freeze(modelInfo(engine, native, table));
    this.#vocabulary = new Vocabulary(this.info, engine, native);
    inside.set(this, { engine, native, table, vocabulary: this.#vocabulary, grammars: new Map(), live: new Set() });
  }

  /** Returns the ids of a text, or of elements and ids. */
  encode(what, options = {}) {
    return this.#vocabulary.encode("what", what, optionsOf("encode", options).on_unknown);
  }

  /** Returns the text of ids. */
  decode(ids) {
    if (typeof ids?.[Symbol.iterator] !== "function") throw wrong("ids", "ids", ids);
    return this.#vocabulary.decode(Array.from(ids, (id, i) => this.#vocabulary.checked("ids", id, i)));
  }

  /** Frees the model and all that was started with it. */
  free() {
    const found = inside.get(this);
    if (!found) return;
    for (const ref of found.live) ref.deref()?.free();
    inside.delete(this);
  }
}

function open(model) {
  const found = inside.get(model);
  if (!found) {
    if (model instanceof Model) throw new LstmgenError("the model was freed");
    throw wrong("model", "a Model, which load returns", model);
  }
  return found;
}

function modelInfo(engine, native, table) {
  const { texts, numbers } = engine.told("model_facts", native);
  const text = Object.fromEntries(
    ["name", "description", "author", "license", "source_url", "card", "grammar", "keras_version", "dtype", "isa", "kind"]
      .map((key, i) => [key, texts[i]]),
  );
  const [encoding, input_size, outputs, window, nbytes, whole, fixed_steps, predictor, zero_padding, padding, ...prime] =
    numbers;
  const told = engine.told("model_elements", native);
  const elements = text.kind === "bytes" ? told.numbers.map((byte) => (byte < 0 ? "" : byteName(byte))) : told.texts;
  const labels = engine.told("model_labels", native).texts;
  const found = engine.told("model_layers", native);
  const layers = [];
  for (let i = 0; i < found.texts.length / 3; i++)
    layers.push({
      type: found.texts[3 * i], name: found.texts[3 * i + 1], activation: found.texts[3 * i + 2],
      input_size: found.numbers[2 * i], outputs: found.numbers[2 * i + 1],
    });
  let card = text.card;
  try {
    card = JSON.parse(text.card || "{}");
  } catch {
    // The engine does not check what a card holds.
  }
  const facts = card && typeof card === "object" && !Array.isArray(card) ? card : {};
  const names = [...changeable(table)].filter((name) => !NOT_RECOMMENDED.has(name));
  const sample = facts.sample && typeof facts.sample === "object" ? facts.sample : {};
  const info = {
    ...text, card, grammar: text.grammar || null, encoding: ENCODINGS[encoding], input_size, outputs, window, nbytes,
    whole: !!whole, fixed_steps: !!fixed_steps, padding: padding < 0 ? null : padding, zero_padding: !!zero_padding,
    prime, elements, labels, layers,
    separator: text.kind === "text" || text.kind === "bytes" ? "" : " ",
    notation: text.kind === "tokens" ? notation(elements) : null,
    recommended: Object.fromEntries(Object.entries(sample).filter(([name]) => names.includes(name) || name === "refresh")),
    generates: !labels.length && !predictor && ENCODINGS[encoding] !== "features",
  };
  const start = typeof facts.start === "string" ? elements.indexOf(facts.start) : -1;
  info.start = start < 0 ? null : start;
  info.needs_windows = needsWindows(info);
  info.prime_text = new Vocabulary(info, engine, native).decode(prime);
  return info;
}

/** Why a carried state gives other distributions than windows do; "" if it does not. */
function needsWindows({ layers, window, padding, zero_padding }) {
  const kinds = { attention_pool: "attention", average_pool: "pooling", max_pool: "pooling" };
  const over = [...new Set(layers.map(({ type }) => kinds[type]).filter(Boolean))].sort();
  if (window && over.length) return `${over.join(" and ")} over the ${window} steps of a window, not over all that came before`;
  if (window && (padding !== null || zero_padding))
    return `its windows of ${window} steps begin with padding while the text is short`;
  return "";
}

const PLACEHOLDER = /^(<[^<>]*>|\[[^[\]]*\])?$/;

const EVENT =
  /^([td][1-9]\d{0,3}|n\d{1,3}|v([1-9]|[12]\d|3[0-2])|k([1-9]|1[0-5])|p[01]|b[1-9]\d{0,3}|m([1-9]|1[0-6])\/(1|2|4|8|16|32)|begin|end)$/;

/** The notation of music that every element fits, as in lstmgen.music; null if there is none. */
function notation(elements) {
  const number = (x) => /^[0-9]{1,3}$/.test(x);
  const pitch = (part) => {
    if (number(part)) return +part > 11 ? +part : 60 + +part;
    const name = /^([A-G])([#-]*)(-?\d)?$/.exec(part);
    if (!name) return -1;
    const signs = [...name[2]].reduce((sum, sign) => sum + (sign === "#" ? 1 : -1), 0);
    return 12 * (+(name[3] ?? 4) + 1) + { C: 0, D: 2, E: 4, F: 5, G: 7, A: 9, B: 11 }[name[1]] + signs;
  };
  const fitting = (x) => {
    if (number(x)) return +x <= 127 ? ["lesson", "melody"] : [];
    if (EVENT.test(x) && !(x[0] === "n" && +x.slice(1) > 127) && !(/^b\d/.test(x) && !(+x.slice(1) >= 4 && +x.slice(1) <= 1000))) return ["events"];
    if (x === "_" || x === "r" || x === "/") return ["melody"];
    return x.split(".").every((part) => pitch(part) >= 0 && pitch(part) <= 127) ? ["lesson"] : [];
  };
  const all = elements.filter((element) => !PLACEHOLDER.test(element));
  if (!all.length) return null;
  let left = ["events", "lesson", "melody"];
  for (const element of all) left = left.filter((one) => fitting(element).includes(one));
  if (left.length > 1) return all.some((x) => number(x) && +x > 11) ? "melody" : "lesson";
  return left[0] ?? null;
}

// ---- Elements and ids ---------------------------------------------------------------------------

const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const WORDS = new RegExp(`[^${SPACE}]+`, "gu"); // as str.split of Python

const SETTINGS = { lower: false, char_level: false, filters: "", split: " ", apart: "", removed: "" };

/** The tokenizer of a card, as Tokenizer.of_card of Python; null if there is none. */
function tokenizerOf(card) {
  const found = card?.tokenizer;
  if (typeof found !== "object" || found === null || !("lower" in found && "split" in found)) return null;
  const settings = {};
  for (const [key, initial] of Object.entries(SETTINGS)) {
    const value = (settings[key] = found[key] ?? initial);
    if (typeof value !== typeof initial || (typeof value === "string" && [...value].length > 4096)) return null;
  }
  const { oov_token, num_words } = found;
  settings.oov_token = typeof oov_token === "string" && oov_token ? oov_token : undefined;
  settings.limit = Number.isInteger(num_words) && num_words > 0 ? num_words : Infinity;
  return settings.split ? settings : null;
}

/** Gives where the parts of a text between the places of `split` begin and end: Knuth, Morris and Pratt. */
function* between(text, split) {
  const shorter = [0]; // for each begin of `split`: the longest of its ends that is a begin, too
  const longer = (k, code) => {
    while (k && code !== split.charCodeAt(k)) k = shorter[k - 1];
    return k + (code === split.charCodeAt(k));
  };
  for (let i = 1; i < split.length; i++) shorter.push(longer(shorter[i - 1], split.charCodeAt(i)));
  let begin = 0;
  for (let i = 0, k = 0; i < text.length; i++) {
    k = longer(k, text.charCodeAt(i));
    if (k < split.length) continue;
    yield [begin, i + 1 - k];
    begin = i + 1;
    k = 0;
  }
  yield [begin, text.length];
}

class Vocabulary {
  #engine;
  #model;
  #match = 0;
  #longest;

  constructor({ elements, kind, outputs, card }, engine, model) {
    this.#engine = engine;
    this.#model = model;
    this.elements = elements;
    this.kind = kind;
    this.count = elements.length || outputs;
    this.ids = new Map();
    elements.forEach((element, i) => element && this.ids.set(element, i));
    this.#longest = elements.reduce((most, element) => Math.max(most, element.length), 1);
    this.tokenizer = tokenizerOf(card);
  }

  checked(name, id, position) {
    if (Number.isInteger(id) && id >= 0 && id < this.count) return id;
    throw new LstmgenError(`${name}: id at position ${position}: expected 0 to ${this.count - 1}, found ${shown(id)}`,
      "invalid argument", name);
  }

  /** Returns the ids of a text, or of elements and ids. `name` is that of the argument in errors. */
  encode(name, what, on_unknown = "error", skippable = true) {
    if (typeof on_unknown !== "string") throw wrong("on_unknown", "'error', 'skip' or an element", on_unknown);
    if (on_unknown !== "error" && on_unknown !== "skip" && !this.ids.has(on_unknown))
      throw wrong("on_unknown", "'error', 'skip' or an element of the vocabulary", on_unknown);
    if (what === null || what === undefined || typeof what[Symbol.iterator] !== "function")
      throw wrong(name, "text, elements or ids", what);
    let replacement = this.ids.get(on_unknown);
    if (on_unknown === "error") replacement = this.ids.get(this.tokenizer?.oov_token);
    const ids = [];
    const text = typeof what === "string";
    if (text && !this.elements.length) throw wrong(name, "ids, since the model has no vocabulary", what);
    let position = 0;
    for (const piece of text ? this.pieces(what) : what) {
      if (!text && typeof piece !== "string") {
        ids.push(this.checked(name, piece, position));
      } else {
        const [element, at] = text ? piece : [piece, position];
        const found = (text ? piece[2] : this.ids.get(piece)) ?? replacement;
        if (found !== undefined) ids.push(found);
        else if (on_unknown === "error") {
          const thing = [...element].length === 1
            ? `character ${shown(element)} (U+${element.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")})`
            : `element ${shown(element)}`;
          const place = text && this.kind !== "tokens" ? [...this.lowered(what).slice(0, at)].length : position;
          throw new LstmgenError(`${name}: ${thing} at position ${place} is not in the vocabulary of ${this.count}` +
            (skippable ? "; on_unknown: 'skip' leaves such out" : ""), "invalid argument", name);
        }
      }
      position++;
    }
    return ids;
  }

  /** Gives each element of a text with its place and its id. */
  *pieces(whole) {
    const tokenizer = this.tokenizer;
    const piece = (element, at) => {
      const id = this.ids.get(element);
      return [element, at, id < (tokenizer?.limit ?? Infinity) ? id : undefined];
    };
    if (this.kind === "bytes") {
      const encoder = new TextEncoder();
      let at = 0;
      for (const character of whole) {
        const names = [...encoder.encode(character)].map(byteName);
        if (names.every((name) => this.ids.has(name))) for (const name of names) yield [name, at, this.ids.get(name)];
        else yield [character, at, undefined];
        at += character.length;
      }
    } else if (this.kind === "text") {
      const text = this.lowered(whole);
      let at = 0;
      if (this.#longest === 1) { // most models: each element is a character
        for (const character of text) {
          yield piece(character, at);
          at += character.length;
        }
        return;
      }
      // TextEncoder would make U+FFFD of half a surrogate pair. No element has U+0000.
      const sound = text.replace(/\p{Cs}/gu, "\0");
      while (at < text.length) {
        const end = at + PIECE;
        for (const id of this.#cut(sound.slice(at, end + this.#longest))) {
          if (at >= end) break;
          const element = id === NONE ? String.fromCodePoint(text.codePointAt(at)) : this.elements[id];
          yield piece(element, at);
          at += element.length;
        }
      }
    } else if (!tokenizer) {
      for (const match of whole.matchAll(WORDS)) yield piece(match[0], match.index);
    } else if (this.ids.has(whole)) {
      yield piece(whole, 0);
    } else {
      const text = this.lowered(whole);
      const apart = new Set(tokenizer.apart), outside = new Set(tokenizer.filters + tokenizer.apart);
      for (const [begin, end] of between(text, tokenizer.split)) {
        let at = begin, word = begin;
        for (const character of text.slice(begin, end)) {
          if (outside.has(character)) {
            if (word < at) yield piece(text.slice(word, at), word);
            if (apart.has(character)) yield piece(character, at);
            word = at + character.length;
          }
          at += character.length;
        }
        if (word < at) yield piece(text.slice(word, at), word);
      }
    }
  }

  /** The ids of the longest elements that a text is cut into; NONE for a character of none. */
  #cut(text) {
    const engine = this.#engine;
    this.#match ||= engine.call("match_create", this.#model);
    return engine.with([text], (from, size) => engine.lend(4 * size, (ids) => {
      const count = engine.call("match_cut", this.#match, this.#model, from, size, ids);
      return new Uint32Array(engine.bytes(ids, 4 * count).slice().buffer);
    }));
  }

  lowered(text) {
    if (!this.tokenizer) return text;
    const low = this.tokenizer.lower ? text.toLowerCase() : text;
    if (!this.tokenizer.removed) return low;
    const removed = new Set(this.tokenizer.removed);
    let left = "";
    for (const character of low) if (!removed.has(character)) left += character;
    return left;
  }

  /** Returns a function that gives the text that an id adds, and with undefined what is left. */
  texts() {
    if (this.kind !== "bytes") {
      return (id) => (id === undefined ? "" : this.elements.length ? this.elements[id] : String(id));
    }
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return (id) => id === undefined
      ? decoder.decode()
      : decoder.decode(Uint8Array.of(parseInt(this.elements[id].slice(3, 5), 16)), { stream: true });
  }

  decode(ids) {
    const text = this.texts();
    const parts = ids.map((id) => text(id));
    if (this.kind === "bytes") parts.push(text(undefined));
    return parts.join(this.kind === "text" || this.kind === "bytes" ? "" : " ");
  }
}

function byteName(byte) {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

// ---- Options ------------------------------------------------------------------------------------

/** Options that the engine does not know, and what checks each. */
const OWN = {
  length: (x) => {
    if (x === null || x === Infinity) return null;
    return integer("length", x, 0, Number.MAX_SAFE_INTEGER);
  },
  temperature: (x) => number("temperature", x, 0, Number.MAX_VALUE, false),
  inverse_temp: (x) => number("inverse_temp", x, 0, Number.MAX_VALUE, true),
  logit_bias: (x) => {
    if (typeof x !== "object" || x === null || Array.isArray(x))
      throw wrong("logit_bias", "an object or a Map from elements or ids to numbers", x);
    for (const bias of x instanceof Map ? x.values() : Object.values(x))
      if (typeof bias !== "number" || !(bias < Infinity)) throw wrong("logit_bias", "numbers below infinity", bias);
    return x;
  },
  prime: sequence("prime"),
  include_prime: flag("include_prime"),
  seed: (x) => {
    const known = typeof x === "bigint" || Number.isSafeInteger(x);
    if (!known || x < 0 || BigInt(x) > UNLIMITED)
      throw wrong("seed", "a safe integer or a BigInt in [0, 2**64)", x);
    return BigInt(x);
  },
  stop: texts("stop"),
  grammar: (x) => {
    if (typeof x !== "string") throw wrong("grammar", "a grammar in GBNF, or 'own'", x);
    return x;
  },
  finish: flag("finish"),
  grammar_prime: flag("grammar_prime"),
  refresh: (x) => (x === null ? null : integer("refresh", x, 1, 0xffffffff)),
  on_unknown: (x) => {
    if (typeof x !== "string") throw wrong("on_unknown", "'error', 'skip' or an element", x);
    return x;
  },
  logprobs: (x) => integer("logprobs", x, 0, 1 << 20),
  signal: (x) => {
    if (typeof x !== "object" || typeof x.throwIfAborted !== "function") throw wrong("signal", "an AbortSignal", x);
    return x;
  },
};
const LISTS = { allow: sequence("allow"), ban: sequence("ban"), dry_sequence_breakers: texts("dry_sequence_breakers") };
const FIXED = new Set(["prime", "include_prime", "seed", "grammar_prime", "refresh", "logprobs", "signal"]);
const NOT_RECOMMENDED = new Set(["temperature", "inverse_temp", "length", "on_unknown", "grammar", "finish"]);
const MEANS_NONE = new Set(["length", "refresh"]); // null is a value of these
const TEMPERATURES = ["temp", "temperature", "inverse_temp"];

function flag(name) {
  return (x) => {
    if (typeof x !== "boolean") throw wrong(name, "true or false", x);
    return x;
  };
}

function sequence(name) {
  return (x) => {
    if (typeof x !== "string" && typeof x?.[Symbol.iterator] !== "function") throw wrong(name, "text, elements or ids", x);
    return x;
  };
}

function texts(name) {
  return (x) => {
    if (typeof x !== "string" && (typeof x?.[Symbol.iterator] !== "function")) throw wrong(name, "a text or a list of texts", x);
    return typeof x === "string" ? [x] : [...x];
  };
}

function number(name, x, least, most, without) {
  if (typeof x !== "number") throw wrong(name, "a number", x);
  if (Number.isFinite(x) && x >= least && x <= most && !(without && x === least)) return x;
  let range = "a finite number";
  if (least > -Number.MAX_VALUE)
    range = most === Number.MAX_VALUE ? `a number ${without ? ">" : ">="} ${least}` : `a number in ${without ? "(" : "["}${least}, ${most}]`;
  throw wrong(name, range, x);
}

function integer(name, x, least, most) {
  if (typeof x !== "number" || !Number.isInteger(x)) throw wrong(name, "an integer", x);
  if (x < least || x > most) throw wrong(name, `an integer in [${least}, ${most}]`, x);
  return x;
}

/** The options that the engine knows, by its own table. */
function optionTable(engine) {
  const { texts: names, numbers } = engine.told("options_table");
  const table = { numbers: new Map(), lists: [] };
  names.forEach((name, i) => {
    const [least, most, without, whole, value] = numbers.slice(5 * i, 5 * i + 5);
    if (least === undefined) table.lists.push(name);
    else table.numbers.set(name, { index: i, least, most, without: !!without, whole: !!whole, value });
  });
  return table;
}

function known(table) {
  return [...table.numbers.keys(), ...table.lists, ...Object.keys(OWN)];
}

function changeable(table) {
  return known(table).filter((name) => !FIXED.has(name));
}

function checkOption(table, name, x) {
  const row = table.numbers.get(name);
  if (!row) return (OWN[name] ?? LISTS[name])(x);
  if (!row.whole) return number(name, x, row.least, row.most, row.without);
  const least = name.endsWith("_last_n") ? -1 : row.least;
  const found = integer(name, x, least, Math.min(row.most, 0xffffffff));
  return found === -1 ? LOOKBACK : found;
}

/** Returns the options that have a value, after a check of each. null counts as no value. */
function checked(who, table, given, names = known(table)) {
  optionsOf(who, given);
  const values = {};
  for (const [name, x] of Object.entries(given)) {
    if (!names.includes(name)) {
      if (known(table).includes(name))
        throw new LstmgenError(`${name} is fixed when a stream starts: start another stream for it`, "invalid argument", name);
      throw unknownOption(who, name, names);
    }
    if (x !== undefined && (x !== null || MEANS_NONE.has(name))) values[name] = checkOption(table, name, x);
  }
  const several = TEMPERATURES.filter((name) => name in values);
  if (several.length > 1) throw wrong(several[0], `one of ${TEMPERATURES.join(", ")}`, several);
  return values;
}

/** Lets the engine's next generator, or next change, have these options. */
function putOptions({ engine, table, vocabulary }, values) {
  const temp = values.temp ?? values.temperature ?? (values.inverse_temp === undefined ? undefined : 1 / values.inverse_temp);
  for (const [name, row] of table.numbers) {
    const x = name === "temp" ? temp : values[name];
    if (x !== undefined) engine.call("options_number", row.index, x);
  }
  const onUnknown = values.on_unknown ?? "error";
  const put = (name, ids) => engine.with([Uint32Array.from(ids)], (at, count) =>
    engine.call("options_list", table.lists.indexOf(name), at, count));
  for (const name of ["allow", "ban"])
    if (values[name] !== undefined) {
      const ids = [...new Set(vocabulary.encode(name, values[name]))].sort((a, b) => a - b);
      if (name === "allow" && !ids.length && !values.allow.none) throw wrong("allow", "at least one element", values.allow);
      put(name, ids);
    }
  if (values.dry_sequence_breakers !== undefined) {
    const found = values.dry_sequence_breakers.filter((text) => text.length);
    put("dry_sequence_breakers", found.flatMap((text) =>
      [SEPARATOR, ...vocabulary.encode("dry_sequence_breakers", text, onUnknown)]).slice(1));
  }
  if (values.logit_bias !== undefined) {
    const pairs = [...(values.logit_bias instanceof Map ? values.logit_bias : Object.entries(values.logit_bias))];
    const ids = pairs.map(([key]) => {
      const text = typeof key === "string" && (vocabulary.ids.has(key) || !/^\d+$/.test(key));
      const found = vocabulary.encode("logit_bias", text ? [key] : [Number(key)], "error", false);
      return found[0];
    });
    engine.with([Uint32Array.from(ids), Float64Array.from(pairs, ([, bias]) => bias)], (at, count, bias) =>
      engine.call("options_bias", at, bias, count));
  }
}

/** The sequence breakers of a generator that has no others. The engine knows no texts. */
function breakers(vocabulary) {
  return BREAKERS.filter((text) => vocabulary.ids.has(text));
}

/** The options of a generator that has none. */
function defaults({ table, vocabulary }) {
  const values = Object.fromEntries([...table.numbers].map(([name, row]) => [name, row.value]));
  return {
    ...values, logit_bias: {}, allow: Object.assign([], { none: true }), ban: [],
    dry_sequence_breakers: breakers(vocabulary),
  };
}

function grammarOf(found, values) {
  const { engine, native, vocabulary, grammars } = found;
  if (values.grammar === undefined) return 0;
  let text = values.grammar;
  if (text === "own") {
    text = found.model.info.grammar;
    if (text === null) throw new LstmgenError("grammar: 'own': the model carries none", "invalid argument", "grammar");
  }
  const never = new Set(vocabulary.encode("ban", values.ban ?? []));
  if (values.allow !== undefined) {
    const allowed = new Set(vocabulary.encode("allow", values.allow));
    for (let id = 0; id < vocabulary.count; id++) if (!allowed.has(id)) never.add(id);
  }
  const ids = [...never].sort((a, b) => a - b);
  const key = `${ids} ${text}`;
  if (!grammars.has(key)) {
    if (grammars.size >= 16) {
      for (const old of grammars.values()) engine.free("grammar_free", old);
      grammars.clear();
    }
    try {
      grammars.set(key, engine.with([text, Uint32Array.from(ids)], (...places) =>
        engine.call("grammar_create", native, ...places)));
    } catch (error) {
      if (!(error instanceof LstmgenError) || error.code === "internal") throw error;
      throw new LstmgenError(`grammar: ${error.message.replace(/^[^:]*: /, "")}`, error.code, "grammar");
    }
  }
  return grammars.get(key);
}

// ---- Generators ---------------------------------------------------------------------------------

/** Draws texts from a model. Any number of its samples may run side by side. */
export class Generator {
  #model;
  #options;

  /** `options` are the defaults of its samples. */
  constructor(model, options = {}) {
    const { table } = open(model);
    if (!model.info.generates) {
      const what = model.info.labels.length ? "a classifier: it has labels" : "its outputs are no elements to feed back";
      throw new LstmgenError(`the model does not generate: ${what}`);
    }
    checked("new Generator", table, options);
    this.#model = model;
    this.#options = { ...options };
  }

  /** The model. */
  get model() {
    return this.#model;
  }

  /** Draws a text, and gives it when it is complete. Other tasks have their turns meanwhile. */
  async sample(options = {}) {
    const stream = this.#start("sample", options);
    try {
      if (stream.length === null) throw wrong("length", "an integer, since only a stream may be endless", null);
      const ids = [];
      for await (const { id } of stream) if (id !== null) ids.push(id);
      return open(this.#model).vocabulary.decode(ids);
    } finally {
      stream.free();
    }
  }

  /** Starts a sample, and returns it as a `Stream`. */
  stream(options = {}) {
    return this.#start("stream", options);
  }

  /** Goes on from what `Stream.save` returned, element for element, with the options of then. */
  restore(state, options = {}) {
    if (state instanceof ArrayBuffer) state = new Uint8Array(state);
    if (!(state instanceof Uint8Array)) throw wrong("state", "a Uint8Array, which Stream.save returns", state);
    return this.#start("restore", options, state);
  }

  #start(who, given, state = undefined) {
    const found = { ...open(this.#model), model: this.#model };
    optionsOf(who, given);
    const merged = state ? given : { ...this.#options, ...given };
    if (!state) // one that is given takes the place of another of its kind
      if (TEMPERATURES.some((name) => given[name] !== undefined && given[name] !== null))
        for (const name of TEMPERATURES) if (given[name] === undefined || given[name] === null) delete merged[name];
    const values = checked(who, found.table, merged);
    values.signal?.throwIfAborted();
    return new Stream(KEY, found, values, state);
  }
}

/** A running sample: an asynchronous iterator over its elements. */
export class Stream {
  #found;
  #native = 0;
  #seed;
  #length;
  #finish;
  #onUnknown;
  #logprobs;
  #signal;
  #hasGrammar = false;
  #ahead = []; // the part of the prime that comes first, from its end
  #drawn = 0;
  #over = false;
  #texts;
  #since = performance.now();
  #ref;

  constructor(key, found, values, state) {
    if (key !== KEY) throw new LstmgenError("new Stream: use Generator.stream, which returns one");
    const { engine, native, vocabulary, model } = found;
    this.#found = found;
    this.#texts = vocabulary.texts();
    this.#length = values.length === undefined ? 1000 : values.length;
    this.#finish = values.finish ?? true;
    this.#onUnknown = values.on_unknown ?? "error";
    this.#logprobs = values.logprobs ?? 0;
    this.#signal = values.signal;
    const grammar = grammarOf(found, values);
    const stops = values.stop && stopsOf(found, values.stop);
    const withGrammar = values.grammar_prime ?? true;
    let ids, added = 0, before;
    if (state) {
      if ("refresh" in values)
        throw new LstmgenError("refresh: a state keeps its own, which cannot change: leave this option out", "invalid argument", "refresh");
      ids = vocabulary.encode("prime", values.prime ?? [], this.#onUnknown);
      before = withGrammar ? 0 : ids.length;
      this.#native = engine.with([state], (at, size) => engine.call("generator_load", native, at, size));
      this.#seed = values.seed ?? null;
    } else {
      const refresh = refreshOf(model.info, values);
      ids = vocabulary.encode("prime", values.prime ?? [], this.#onUnknown);
      const read = withGrammar && (ids.length > 0 || (values.include_prime ?? false));
      const { start, prime, padding, zero_padding, window } = model.info;
      if (ids.length && start !== null && ids[0] !== start) {
        ids.unshift(start);
        added = 1;
      }
      if (!ids.length) ids = prime;
      if (!ids.length && !((padding !== null || zero_padding) && window && refresh))
        throw new LstmgenError("the model has no default prime: give prime", "invalid argument", "prime");
      before = read ? added : ids.length;
      this.#seed = values.seed ?? random.getRandomValues(new BigUint64Array(1))[0];
      engine.call("options_begin", 0);
      putOptions(found, { dry_sequence_breakers: breakers(vocabulary), ...values });
      this.#native = engine.call("generator_create", native, refresh, this.#seed);
    }
    this.#ref = new WeakRef(this);
    streams.register(this, { engine, native: this.#native, live: found.live, ref: this.#ref }, this);
    found.live.add(this.#ref);
    try {
      if (state) {
        engine.call("options_begin", this.#native);
        putOptions(found, values);
        engine.call("generator_set_options", this.#native);
        if (values.seed !== undefined) engine.call("generator_set_seed", this.#native, values.seed);
        this.#hasGrammar = engine.told("generator_grammar", this.#native).texts.length > 0;
        if (this.#hasGrammar) engine.call("generator_set_grammar_length", this.#native, this.#left());
      }
      if (stops) this.#setStops(stops);
      if (values.include_prime) this.#ahead = ids.slice(added).reverse(); // shift would move all of them
      this.#read(ids.slice(0, grammar ? before : ids.length));
      if (grammar) {
        this.#setGrammar(grammar);
        try {
          this.#read(ids.slice(before));
          engine.call("generator_ended", this.#native); // an error if no text is so short
        } catch (error) {
          if (error instanceof LstmgenError && error.code !== "internal")
            throw new LstmgenError(`prime: ${error.message}; grammar_prime: false lets the text begin after the prime`,
              error.code, "prime");
          throw error;
        }
      }
    } catch (error) {
      this.free();
      throw error;
    }
  }

  /** The seed of the random numbers; null after a restore without one. */
  get seed() {
    return this.#seed;
  }

  /** How many elements the iteration gives at most; null: for ever. */
  get length() {
    return this.#length;
  }

  /** How many elements were drawn. */
  get drawn() {
    return this.#drawn;
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /** Draws the next element. */
  async next() {
    if (this.#signal?.aborted) this.free();
    this.#signal?.throwIfAborted();
    if (performance.now() - this.#since >= SLICE) {
      await otherTasks();
      this.#since = performance.now();
      if (this.#signal?.aborted) this.free();
      this.#signal?.throwIfAborted();
    }
    const value = this.#next();
    return value === undefined ? { done: true, value: undefined } : { done: false, value };
  }

  /** Ends the sample, and frees its memory. `for await` calls it when it is left. */
  async return(value = undefined) {
    this.free();
    return { done: true, value };
  }

  async [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    this.free();
  }

  /** Draws the next `n` elements, whatever the length is, and gives their text. */
  async take(n) {
    integer("n", n, 0, Number.MAX_SAFE_INTEGER);
    const parts = [];
    const length = this.#length;
    this.#open();
    this.#over = false;
    while (parts.length < n) {
      this.#length = null;
      let step;
      try {
        step = await this.next();
      } finally {
        this.#length = length;
      }
      if (step.done) break;
      parts.push(step.value.text);
    }
    return parts.join(this.#found.model.info.separator);
  }

  /** Changes options from the next element on: all of them, or none if one is wrong. */
  set(options) {
    const { engine, table } = this.#open();
    const values = checked("set", table, options, changeable(table));
    const reset = {};
    const initial = defaults(this.#found);
    for (const [name, x] of Object.entries(options)) {
      const own = TEMPERATURES.includes(name) ? "temp" : name;
      if (x === null && own in initial) reset[own] = initial[own];
    }
    const grammar = grammarOf(this.#found, values);
    const stops = options.stop !== undefined && stopsOf(this.#found, values.stop ?? []);
    if (TEMPERATURES.some((name) => name in values)) delete reset.temp;
    engine.call("options_begin", this.#native);
    putOptions(this.#found, { ...reset, ...values });
    engine.call("generator_set_options", this.#native);
    if (options.length !== undefined) this.#length = values.length ?? null;
    if (options.finish !== undefined) this.#finish = values.finish ?? true;
    if (options.on_unknown !== undefined) this.#onUnknown = values.on_unknown ?? "error";
    if (options.grammar !== undefined) this.#setGrammar(grammar);
    else if (this.#hasGrammar && (options.length !== undefined || options.finish !== undefined))
      engine.call("generator_set_grammar_length", this.#native, this.#left());
    if (stops) this.#setStops(stops);
  }

  /** Appends text, elements or ids, as if they had been drawn. */
  feed(what) {
    const { vocabulary } = this.#open();
    this.#read(vocabulary.encode("what", what, this.#onUnknown));
    if (vocabulary.kind === "bytes") this.#texts = vocabulary.texts();
  }

  /** The likeliest next elements, after all filters, the likeliest first. */
  likeliest(n) {
    const { engine, vocabulary } = this.#open();
    const most = Math.min(integer("n", n, 0, 1 << 20), this.#found.model.info.outputs);
    return engine.lend(12 * most, (logs) => {
      const ids = logs + 8 * most;
      const count = engine.call("generator_likeliest", this.#native, most, ids, logs);
      const numbers = new Float64Array(engine.bytes(logs, 8 * count).slice().buffer);
      return Array.from(new Uint32Array(engine.bytes(ids, 4 * count).slice().buffer), (id, i) => ({
        id, text: vocabulary.elements.length ? vocabulary.elements[id] : String(id), logprob: numbers[i],
      }));
    });
  }

  /** All that later elements depend on, but the model. `Generator.restore` goes on from it. */
  save() {
    const { engine } = this.#open();
    const [at, size] = engine.told("generator_save", this.#native).numbers;
    return engine.bytes(at, size).slice();
  }

  /** Ends the sample, and frees its memory at once. */
  free() {
    if (!this.#native) return;
    const { engine, live } = this.#found;
    streams.unregister(this);
    live.delete(this.#ref);
    const native = this.#native;
    this.#native = 0;
    this.#ahead = [];
    engine.free("generator_free", native);
  }

  #open() {
    if (!this.#native) throw new LstmgenError("the stream is closed");
    return this.#found;
  }

  #next() {
    const first = this.#ahead.pop();
    if (first !== undefined) return { id: first, text: this.#texts(first), logprob: null, top: [] };
    const { engine } = this.#found;
    const over = !this.#native || this.#over || (this.#length !== null && this.#drawn >= this.#length) || this.#ended();
    if (over) {
      const rest = this.#texts(undefined); // bytes that nothing completes
      return rest ? { id: null, text: rest, logprob: null, top: [] } : undefined;
    }
    const top = this.#logprobs ? this.likeliest(this.#logprobs) : [];
    const id = engine.call("generator_next", this.#native) >>> 0;
    const logprob = engine.call("generator_log_probability", this.#native);
    this.#drawn++;
    this.#over = this.#ended();
    return { id, text: this.#texts(id), logprob, top };
  }

  #ended() {
    return !!this.#found.engine.call("generator_ended", this.#native);
  }

  #read(ids) {
    const { engine } = this.#open();
    if (ids.length)
      engine.with([Uint32Array.from(ids)], (at, count) => engine.call("generator_feed", this.#native, at, count));
  }

  #setStops(stops) {
    const { engine } = this.#found;
    engine.with(stops, (...places) => engine.call("generator_set_stops", this.#native, ...places));
  }

  #setGrammar(grammar) {
    this.#hasGrammar = grammar !== 0;
    this.#found.engine.call("generator_set_grammar", this.#native, grammar, this.#left());
  }

  #left() {
    return this.#finish && this.#length !== null ? BigInt(Math.max(0, this.#length - this.#drawn)) : UNLIMITED;
  }
}

/** What the engine seeks for the option `stop`: ids that SEPARATOR ends, and texts that \0 ends. */
function stopsOf({ engine, native, vocabulary }, stops) {
  const { kind, tokenizer } = vocabulary;
  const lists = [], texts = [];
  for (const stop of stops) {
    if (typeof stop !== "string" || (kind !== "text" && kind !== "bytes") || stop.includes("\0")) {
      lists.push(vocabulary.encode("stop", stop, "error", false));
    } else if (tokenizer?.oov_token) {
      texts.push(vocabulary.decode(vocabulary.encode("stop", stop, "error", false)));
    } else {
      texts.push(vocabulary.lowered(stop));
    }
  }
  if (![...lists, ...texts].every((one) => one.length)) throw wrong("stop", "texts of at least one element", stops);
  const found = [Uint32Array.from(lists.flatMap((ids) => [...ids, SEPARATOR])), texts.map((text) => `${text}\0`).join("")];
  try {
    engine.with(found, (...places) => engine.call("model_check_stops", native, ...places));
  } catch (error) {
    if (!(error instanceof LstmgenError) || error.code !== "invalid argument") throw error;
    for (const text of texts) vocabulary.encode("stop", text, "error", false); // an error that shows what is unknown
    throw new LstmgenError(`stop: ${error.message}`, error.code, "stop");
  }
  return found;
}

/** `refresh` as the engine has it: 0 carries the state, as does 1 without a window. */
function refreshOf({ window, whole }, { refresh = 1 }) {
  if (refresh !== 1 && whole && window)
    throw new LstmgenError(`refresh: the network reads all ${window} steps of a window at once, so each element needs ` +
      "its own window: leave this option out", "invalid argument", "refresh");
  if (refresh !== null && !window && (refresh > 1 || whole))
    throw new LstmgenError("refresh: the model was saved without a fixed window: export it with window", "invalid argument", "refresh");
  return refresh ?? 0;
}

// ---- Other tasks --------------------------------------------------------------------------------

const waiting = [];
let channel;

/** Resolves after the event loop had a turn. A timer would wait for 4 ms. */
function otherTasks() {
  if (typeof setImmediate === "function") return new Promise((resolve) => setImmediate(resolve));
  if (!channel) {
    channel = new MessageChannel();
    channel.port1.onmessage = () => waiting.shift()();
  }
  return new Promise((resolve) => {
    waiting.push(resolve);
    channel.port2.postMessage(null);
  });
}

// ---- Errors -------------------------------------------------------------------------------------

function shown(x) {
  let text;
  if (typeof x === "string") text = `'${x}'`;
  else if (typeof x === "bigint") text = `${x}n`;
  else if (Array.isArray(x)) text = `[${x.slice(0, 8).map(shown).join(", ")}]`;
  else if (typeof x === "object" && x !== null) text = `a ${x.constructor?.name ?? "object"}`;
  else text = String(x);
  return printable(text.length > 60 ? `${text.slice(0, 57)}...` : text);
}

/** A text in which an escape stands for each character that is not shown, as lstmgen.escaping has it. */
function printable(text) {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (c) => {
    const plain = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\u200c": c, "\u200d": c }[c];
    const hex = c.codePointAt(0).toString(16), n = hex.length <= 2 ? 2 : hex.length <= 4 ? 4 : 8;
    return plain ?? `\\${{ 2: "x", 4: "u", 8: "U" }[n]}${hex.padStart(n, "0")}`;
  });
}

/** For remote.js, too. */
export function optionsOf(who, given) {
  if (typeof given !== "object" || given === null) throw wrong(who, "options in an object", given);
  return given;
}

function wrong(name, expected, found) {
  return new LstmgenError(`${name}: expected ${expected}, found ${shown(found)}`, "invalid argument", name);
}

function unknownOption(who, name, names) {
  const distance = (a, b) => {
    let row = Array.from({ length: b.length + 1 }, (_, i) => i);
    for (let i = 1; i <= a.length; i++) {
      const next = [i];
      for (let j = 1; j <= b.length; j++)
        next.push(Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] !== b[j - 1])));
      row = next;
    }
    return row[b.length];
  };
  const [closest] = [...names].sort((a, b) => distance(name, a) - distance(name, b));
  const hint = distance(name, closest) <= 3 ? `: did you mean ${closest}?` : "";
  return new LstmgenError(`${who} has no option ${shown(name)}${hint}`, "invalid argument", name);
}
