// SPDX-License-Identifier: MIT
import type { NumberOptions } from "./options.js";

export type { NumberOptions };

/** What an error is about. */
export type ErrorCode =
  | "io"
  | "format"
  | "invalid argument"
  | "busy"
  | "ended"
  | "stopped"
  | "out of memory"
  | "internal";

/** What every function throws, but for the reason of an AbortSignal. */
export class LstmgenError extends Error {
  constructor(message: string, code?: ErrorCode, option?: string);
  readonly name: "LstmgenError";
  readonly code: ErrorCode;
  /** The option that is wrong, if it is one. */
  readonly option?: string;
}

/** A layer of a network. */
export interface LayerInfo {
  readonly type: string;
  readonly name: string;
  readonly activation: string;
  readonly input_size: number;
  readonly outputs: number;
}

/** What a model file says about itself. */
export interface ModelInfo {
  readonly name: string;
  readonly description: string;
  readonly author: string;
  readonly license: string;
  readonly source_url: string;
  readonly keras_version: string;
  /** The card: an object, or a text if it is no JSON. */
  readonly card: unknown;
  /** "f32", "bf16" or "int8". */
  readonly dtype: string;
  readonly isa: string;
  readonly encoding: "onehot" | "index" | "scaled" | "features" | "raw";
  /** "" without a vocabulary. */
  readonly kind: "text" | "tokens" | "bytes" | "";
  /** The texts of the elements by their ids; empty without a vocabulary. */
  readonly elements: readonly string[];
  /** What stands between elements: "" or " ". */
  readonly separator: string;
  /** The notation of music that the elements are of. */
  readonly notation: "events" | "lesson" | "melody" | null;
  /** The time steps that the network was saved with; 0: not fixed. */
  readonly window: number;
  readonly whole: boolean;
  readonly fixed_steps: boolean;
  readonly outputs: number;
  readonly input_size: number;
  /** The ids of the default prime. */
  readonly prime: readonly number[];
  readonly prime_text: string;
  /** The id that is put before each prime that is given. */
  readonly start: number | null;
  readonly padding: number | null;
  readonly zero_padding: boolean;
  /** The grammar that the file carries, in GBNF. */
  readonly grammar: string | null;
  /** The options that the card recommends. */
  readonly recommended: SamplingOptions;
  /** Whether a `Generator` can draw from it. */
  readonly generates: boolean;
  /** Why `refresh: null` gives another model; "" if it does not. */
  readonly needs_windows: string;
  readonly labels: readonly string[];
  readonly layers: readonly LayerInfo[];
  /** Bytes of the weights in memory. */
  readonly nbytes: number;
}

/** Text, or elements and ids. */
export type Elements = string | Iterable<string | number>;

/** The options that may change while a stream runs. docs/sampling.md says more of each. */
export interface ChangeableOptions extends NumberOptions {
  /** The most elements that are drawn; default 1000. null and Infinity: for ever, in streams only. */
  length?: number | null;
  /** The first of these texts, or lists of elements or ids, ends the sample, with the element in
   * which it ends. It is in the result. */
  stop?: string | Iterable<Elements> | null;
  /** A grammar in GBNF, or "own": the one that the model carries. */
  grammar?: string | null;
  /** Default true: with a grammar, the text is complete. */
  finish?: boolean | null;
  /** "error", the default, "skip", or an element for what is not in the vocabulary. */
  on_unknown?: string | null;
  /** Added to the logits of elements or ids. -Infinity bans one. */
  logit_bias?: Readonly<Record<string, number>> | ReadonlyMap<string | number, number> | null;
  /** Only these elements can be drawn. */
  allow?: Elements | null;
  /** These elements cannot be drawn. */
  ban?: Elements | null;
  dry_sequence_breakers?: string | Iterable<string> | null;
}

/** How a sequence is drawn. null has the same effect as no value, but in `length` and `refresh`. */
export interface SamplingOptions extends ChangeableOptions {
  /** The text to continue; default: the model's own. */
  prime?: Elements | null;
  /** Whether the prime comes first in the result; default false. */
  include_prime?: boolean | null;
  /** Below 2 ** 64; default: a new one. */
  seed?: number | bigint | null;
  /** Whether the prime belongs to the text of the grammar; default true. */
  grammar_prime?: boolean | null;
  /** 1, the default: a window for each element. N: a window for N. null: the state is carried on. */
  refresh?: number | null;
  /** How many of the likeliest elements each step tells; default 0. */
  logprobs?: number | null;
  /** Ends the sample with the reason of the signal. */
  signal?: AbortSignal | null;
}

/** An element that could come next. */
export interface Likely {
  readonly id: number;
  readonly text: string;
  /** The natural logarithm of its probability, after all filters. */
  readonly logprob: number;
}

/** A step of a stream. */
export interface Step {
  /** null for the U+FFFD that ends a text of incomplete bytes. */
  readonly id: number | null;
  /** The text that it adds, without `ModelInfo.separator`. */
  readonly text: string;
  /** The natural logarithm of its probability; null for elements of the prime. */
  readonly logprob: number | null;
  /** The likeliest elements of its distribution, as many as `logprobs`. */
  readonly top: readonly Likely[];
}

export interface LoadOptions {
  /** What errors call the model. */
  name?: string;
  /** Where lstmgen.wasm lies, or what it is; default: beside lstmgen.js. */
  wasm?: URL | string | BufferSource | WebAssembly.Module;
  signal?: AbortSignal;
}

/**
 * Loads a `.bin`, with the checks of the native loader.
 *
 * @param source its bytes, a Blob, a Response, a URL, or in Node a path
 */
export function load(
  source: ArrayBufferLike | ArrayBufferView | Blob | Response | URL | string,
  options?: LoadOptions,
): Promise<Model>;

/** A network with its weights and its vocabulary. */
export class Model {
  private constructor();
  readonly info: ModelInfo;
  /** Returns the ids of a text, or of elements and ids. */
  encode(what: Elements, options?: { on_unknown?: string }): number[];
  /** Returns the text of ids. */
  decode(ids: Iterable<number>): string;
  /** Frees the model and all that was started with it. */
  free(): void;
}

/** Draws texts from a model. Any number of its samples may run side by side. */
export class Generator {
  /** @param options the defaults of its samples */
  constructor(model: Model, options?: SamplingOptions);
  readonly model: Model;
  /** Draws a text. Other tasks have their turns meanwhile. */
  sample(options?: SamplingOptions): Promise<string>;
  /** Starts a sample. */
  stream(options?: SamplingOptions): Stream;
  /** Goes on from what `Stream.save` returned, with the options of then. */
  restore(state: Uint8Array | ArrayBuffer, options?: Omit<SamplingOptions, "refresh">): Stream;
}

/** A running sample. It gives way to other tasks every 8 ms. */
export class Stream implements AsyncIterableIterator<Step> {
  private constructor();
  /** null after a restore without a seed. */
  readonly seed: bigint | null;
  readonly length: number | null;
  /** How many elements were drawn. */
  readonly drawn: number;
  [Symbol.asyncIterator](): this;
  next(): Promise<IteratorResult<Step, undefined>>;
  /** Ends the sample, and frees its memory. `for await` calls it when it is left. */
  return(): Promise<IteratorResult<Step, undefined>>;
  /** Draws the next `n` elements, whatever the length is, and gives their text. */
  take(n: number): Promise<string>;
  /** Changes options from the next element on: all of them, or none if one is wrong. */
  set(options: ChangeableOptions): void;
  /** Appends elements, as if they had been drawn. */
  feed(what: Elements): void;
  /** The likeliest next elements, after all filters, the likeliest first. */
  likeliest(n: number): Likely[];
  /** All that later elements depend on, but the model. */
  save(): Uint8Array;
  /** Ends the sample, and frees its memory at once. */
  free(): void;
}
