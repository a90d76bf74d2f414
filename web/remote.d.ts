// SPDX-License-Identifier: MIT
import type { ChangeableOptions, Elements, Likely, LoadOptions, ModelInfo, SamplingOptions, Step } from "./lstmgen.js";

export { LstmgenError } from "./lstmgen.js";

/** Loads a `.bin` in a new worker. */
export function load(
  source: ArrayBufferLike | ArrayBufferView | Blob | Response | URL | string,
  options?: LoadOptions,
): Promise<Model>;

/** A network with its weights and its vocabulary, in a worker. */
export class Model {
  private constructor();
  readonly info: ModelInfo;
  encode(what: Elements, options?: { on_unknown?: string }): Promise<number[]>;
  /** Frees the model, and ends its worker. */
  free(): void;
}

/** Draws texts from a model. Wrong options are errors of its samples. */
export class Generator {
  constructor(model: Model, options?: SamplingOptions);
  readonly model: Model;
  sample(options?: SamplingOptions): Promise<string>;
  stream(options?: SamplingOptions): Stream;
  restore(state: Uint8Array | ArrayBuffer, options?: Omit<SamplingOptions, "refresh">): Stream;
}

/** A running sample. The worker draws only while an element is awaited, for some milliseconds. */
export class Stream implements AsyncIterableIterator<Step> {
  private constructor();
  readonly seed: Promise<bigint | null>;
  [Symbol.asyncIterator](): this;
  next(): Promise<IteratorResult<Step, undefined>>;
  return(): Promise<IteratorResult<Step, undefined>>;
  /** Changes options from the next element on that is drawn. */
  set(options: ChangeableOptions): Promise<void>;
  feed(what: Elements): Promise<void>;
  likeliest(n: number): Promise<Likely[]>;
  save(): Promise<Uint8Array>;
}
