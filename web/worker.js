// SPDX-License-Identifier: MIT
// What runs in the worker of remote.js. It answers each call with a result or an error.
import { Generator, LstmgenError, load } from "./lstmgen.js";

const SLICE = 8; // milliseconds of drawing that one answer brings
const objects = new Map(); // models, generators and streams by their numbers
let last = 0;

function keep(object) {
  objects.set(++last, object);
  return last;
}

/** Returns what has this number. Models are freed when their worker ends. */
function of(id) {
  const found = objects.get(id);
  if (!found) throw new LstmgenError("the stream is closed");
  return found;
}

const calls = {
  async load(source, options) {
    const model = await load(source, options);
    return { id: keep(model), info: model.info };
  },
  encode: (id, what, options) => of(id).encode(what, options),
  generator: (model, options) => keep(new Generator(of(model), options)),
  stream: (id, options) => started(of(id).stream(options)),
  restore: (id, state, options) => started(of(id).restore(state, options)),
  async draw(id, most) {
    const stream = of(id);
    const items = [];
    const begun = performance.now();
    while (items.length < most) {
      const { value, done } = await stream.next();
      if (done) return { items, done };
      items.push(value);
      if (performance.now() - begun >= SLICE) break;
    }
    return { items, done: false };
  },
  set: (id, options) => of(id).set(options),
  feed: (id, what) => of(id).feed(what),
  likeliest: (id, n) => of(id).likeliest(n),
  save: (id) => of(id).save(),
  free(id) {
    const object = objects.get(id);
    objects.delete(id);
    object?.free?.();
  },
};

function started(stream) {
  return { id: keep(stream), seed: stream.seed };
}

const port = typeof self === "undefined" ? (await import("node:worker_threads")).parentPort : self;
const answer = async ({ data }) => {
  try {
    port.postMessage({ call: data.call, result: await calls[data.name](...data.values) });
  } catch (error) {
    const { message, code, option } = error;
    port.postMessage({ call: data.call, error: { message, code: error instanceof LstmgenError ? code : "internal", option } });
  }
};
if (port.on) port.on("message", (data) => answer({ data }));
else port.onmessage = answer;
