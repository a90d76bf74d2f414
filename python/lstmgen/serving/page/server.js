// The engine behind `lstmgen serve`: HTTP, and server-sent events. local.js has the same interface.

import { Failure, Piecewise } from "./engine.js";

const SILENCE = 20_000; // milliseconds without a byte after which a server counts as gone
const GONE = "The server does not answer. It may have ended, or the network is down.";

/** Models of a server, and what they draw. */
export class ServerEngine {
  accepts = ".bin,.h5,.hdf5,.keras";
  invitation = "Drop a .bin, .h5 or .keras file to try it here.";

  /** The models that the server offers. */
  async models() {
    const { data } = await (await ask("v1/models", { headers: { Accept: "application/json" } })).json();
    return data.map(described);
  }

  /** The model of a File, checked by the server, which keeps it for a while. */
  async open(file) {
    // More patience: the file is long, and the server reads and checks it before it answers.
    const path = `v1/uploads?name=${encodeURIComponent(file.name)}`;
    const response = await ask(path, { method: "POST", body: file }, { patience: 10 * SILENCE });
    return described(await response.json());
  }

  /** A running sample. request: {prompt, length, seed, options}. */
  stream(model, request) {
    return new ServerStream(model, request);
  }
}

class ServerStream extends Piecewise {
  #aborter = null;

  async *source({ prompt, length, seed, options }) {
    if (length < 1) return;
    const aborter = (this.#aborter = new AbortController());
    const body = { model: this.model.id, prompt, max_tokens: length, seed, stream: true, logprobs: 10, ...options };
    const headers = { "Content-Type": "application/json" };
    const response = await ask("v1/completions", { method: "POST", headers, body: JSON.stringify(body) }, { aborter });
    for await (const data of events(response.body.getReader(), aborter)) {
      if (data === "[DONE]") return;
      const { error, choices } = JSON.parse(data);
      if (error) throw new Failure(error.message);
      yield* pieces(choices[0]);
    }
    throw new Failure("The server ended the answer too early.", { again: true });
  }

  halt() {
    this.#aborter?.abort();
  }
}

/** A model object of the API, as the page uses models. */
function described({ id, lstmgen }) {
  return { id, name: id, ...lstmgen };
}

function* pieces({ ids = [], logprobs }) {
  for (const [i, id] of ids.entries()) {
    const top = Object.entries(logprobs.top_logprobs?.[i] ?? {});
    yield {
      id,
      text: logprobs.tokens[i],
      p: Math.exp(logprobs.token_logprobs[i]),
      top: top.map(([text, logprob]) => ({ text, p: Math.exp(logprob) })).sort((a, b) => b.p - a.p),
    };
  }
}

/** The data of server-sent events. */
async function* events(reader, aborter) {
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await within(SILENCE, reader.read(), () => aborter.abort());
      if (done) return;
      text += decoder.decode(value, { stream: true });
      const lines = text.split("\n");
      text = lines.pop();
      for (const line of lines) {
        if (line.startsWith("data:")) yield line.slice(5).trim();
      }
    }
  } catch (error) {
    throw error.name === "TypeError" ? new Failure(GONE, { again: true }) : error;
  } finally {
    aborter.abort(); // the server stops the sample of a client that has gone
  }
}

/** The response, if it is a good one. */
async function ask(path, options, { patience = SILENCE, aborter = new AbortController() } = {}) {
  let response;
  try {
    response = await within(patience, fetch(path, { ...options, signal: aborter.signal }), () => aborter.abort());
  } catch (error) {
    throw error.name === "TypeError" ? new Failure(GONE, { again: true }) : error;
  }
  if (response.ok) return response;
  const found = await response.json().catch(() => ({}));
  const message = found.error?.message ?? `The server answers ${response.status}.`;
  throw new Failure(response.status === 429 ? `The server is busy: ${message}` : message, {
    again: response.status === 429 || response.status >= 500,
  });
}

/** What a promise gives, or a failure when it takes longer. */
function within(milliseconds, promise, giveUp) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => {
      reject(new Failure(GONE, { again: true }));
      giveUp();
    }, milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
