// The page: a model is chosen, and writes on from a prime.

import { Bars } from "./bars.js";
import { Failure, chosenEngine, joined } from "./engine.js";
import { decode, midiFile, sounding } from "./music.js";
import { Options } from "./options.js";
import { Player } from "./player.js";
import { Roll } from "./roll.js";
import { BITS, bits, percent } from "./shades.js";
import { TextView, explained } from "./text.js";
import { named, shown } from "./escaping.js";

const SETTLE = 150; // milliseconds after the last change before it counts
const FRAME = 12; // milliseconds of a frame that elements may take
const LATEST = 100; // milliseconds between two pictures of what changes with each element

const by = (id) => document.getElementById(id);

let engine = null;
let models = [];
let model = null;
let pieces = []; // the prime, and what was drawn: {text, id, p, top}
let from = 0; // where the last run began
let past = []; // what Undo goes back to: {pieces, from}
let running = null; // the stream
let told = ""; // the options that it has
let score = { notes: [], pedals: [], tempos: [], meters: [] };
let heard = []; // the notes as long as they sound
let paced = false; // whether the user has chosen a tempo
let again = null; // what the button beside a message does
let peeking = null;

const options = new Options(() => later("options", changeOptions));
const view = new TextView(by("text"), selected);
const bars = new Bars(by("bars"), pick);
const roll = new Roll(by("roll"));
const player = new Player({ notes: () => heard, more: () => running !== null, onEnd: silent });

// -- models ------------------------------------------------------------------------------------------

async function begin() {
  try {
    engine ??= await chosenEngine();
    by("file").accept = engine.accepts;
    by("drop").firstElementChild.textContent = engine.invitation;
    by("choose").title = engine.invitation;
    models = await engine.models();
    if (!models.length) throw new Failure("There is no model. Drop one on this page.");
    calm();
    list();
    await use(models.find(({ id }) => id === model?.id) ?? models[0]);
  } catch (error) {
    complain(error, begin);
  }
}

function list() {
  by("model").replaceChildren(...models.map(({ id, name }) => new Option(name, id)));
}

async function use(chosen) {
  stop();
  player.stop();
  by("model").value = chosen.id;
  if (chosen.load) {
    say(`Loading ${chosen.name}`);
    const loaded = await chosen.load();
    models = models.map((one) => (one === chosen ? loaded : one));
    chosen = loaded;
  }
  model = chosen;
  document.title = `${model.name} · lstmgen`;
  document.body.dataset.kind = model.kind;
  introduce(model);
  by("music").hidden = model.kind !== "music";
  by("length").value = model.kind === "music" ? 600 : 1000;
  offerPrimes();
  options.use(model);
  [pieces, from, past] = [[], 0, []];
  changed();
  say(`${model.name} is ready`);
}

/** Tell about the model: a line, and its card if it has one. */
function introduce({ description, card, dtype, window: steps, elements }) {
  const numbers = [elements.length && `${elements.length} elements`, steps && `window ${steps}`, dtype];
  by("facts").textContent = [description, ...numbers].filter(Boolean).join(" · ");
  by("card").textContent = typeof card === "string" ? card : "";
  by("about").hidden = !by("card").textContent;
  by("about").open = false;
}

function offerPrimes() {
  const { primes } = model;
  by("prime").value = primes[0] ?? "";
  grow(by("prime"));
  by("primes").replaceChildren(
    ...primes.map((prime) => {
      const button = document.createElement("button");
      button.type = "button";
      const name = shown(prime.trim() || prime).replace(/\s+/g, " ");
      button.textContent = name.length > 32 ? `${name.slice(0, 31)}…` : name;
      button.addEventListener("click", () => {
        by("prime").value = prime;
        grow(by("prime"));
        start();
      });
      return button;
    }),
  );
}

async function open(file) {
  if (!file) return;
  stop();
  say(`Reading ${file.name}`);
  document.body.classList.add("reading");
  try {
    const opened = await engine.open(file);
    models = [...models.filter(({ id }) => id !== opened.id), opened];
    list();
    calm();
    await use(opened);
  } catch (error) {
    if (!error.message.includes(file.name)) error.message = `${file.name}: ${error.message}`;
    complain(error, error.again ? () => open(file) : null);
    say("");
  } finally {
    document.body.classList.remove("reading");
  }
}

// -- writing -----------------------------------------------------------------------------------------

function start() {
  if (!model) return begin();
  remember();
  pieces = [{ text: prime() }];
  if (model.kind === "music") player.stop();
  from = 1;
  changed();
  options.nextSeed();
  return run();
}

function goOn() {
  if (!pieces.length) return start();
  stop();
  remember();
  from = pieces.length;
  return run();
}

function retry() {
  if (!pieces.length) return start();
  stop();
  remember();
  pieces = pieces.slice(0, from);
  changed();
  options.nextSeed();
  return run();
}

function undo() {
  stop();
  if (!past.length) return;
  ({ pieces, from } = past.pop());
  changed();
  say(`Undone: ${counted()}`);
}

/** Write an element that could have been drawn in the place of the one that was. */
function pick(element) {
  if (!model) return;
  stop();
  remember();
  if (!pieces.length) pieces = [{ text: prime() }];
  const at = view.selected ?? pieces.length;
  pieces = pieces.slice(0, Math.max(at, 1));
  from = pieces.push({ ...element, id: Number(element.text), p: element.p, top: [] });
  changed();
  say(`“${named(element.text)}” is written`);
}

function remember() {
  past.push({ pieces: [...pieces], from });
}

/** What is typed, or else the model's own, which it needs. */
function prime() {
  return by("prime").value || (model.primes[0] ?? "");
}

function request() {
  const [given, ...drawn] = pieces.length ? pieces : [{ text: prime() }];
  const first = model.kind === "ids" ? (given.text.match(/\d+/g) ?? []).map(Number) : given.text;
  return {
    prompt: joined(model, model.separator && model.kind !== "ids" ? first.trim() : first, drawn),
    length: options.length,
    seed: options.seed + drawn.length, // what is drawn later has other random numbers
    options: options.values(),
  };
}

async function run() {
  calm();
  stop();
  peeking?.stop();
  view.selected !== null && view.select(null);
  const asked = request();
  const stream = engine.stream(model, asked);
  running = stream;
  told = JSON.stringify(asked.options);
  buttons();
  say("Writing");
  let credit = 1;
  let before = performance.now();
  try {
    while (running === stream) {
      const now = await frame();
      const { speed } = options;
      credit = speed === Infinity ? Infinity : Math.min(credit + ((now - before) / 1000) * speed, speed / 4 + 1);
      before = now;
      const follow = endIsSeen();
      while (credit >= 1 && performance.now() - now < FRAME) {
        const piece = await stream.next();
        if (running !== stream) return;
        if (!piece) {
          if (follow) showEnd();
          return ended("The end");
        }
        credit -= 1;
        pieces.push(piece);
        view.append(piece);
        if (model.notation === "events" && piece.text === "end") {
          running.stop();
          if (follow) showEnd();
          return ended("The end");
        }
      }
      if (follow) showEnd();
      atMost("progress", progress);
    }
  } catch (error) {
    if (running !== stream) return;
    complain(error, error.again ? goOn : null);
    ended("Stopped");
  }
}

function stop() {
  if (!running) return;
  running.stop();
  ended("Stopped");
}

function ended(how) {
  progress();
  running = null;
  buttons();
  peek();
  say(`${how}: ${counted()}`);
}

function changeOptions() {
  if (!model) return;
  if (!running) return peek();
  const values = options.values();
  if (JSON.stringify(values) === told) return; // of a change before the start, or one taken back
  told = JSON.stringify(values);
  try {
    running.set(values);
  } catch (error) {
    stop();
    complain(error);
  }
}

function frame() {
  return new Promise((resolve) => requestAnimationFrame(() => resolve(performance.now())));
}

// -- what is seen ------------------------------------------------------------------------------------

/** Show other pieces. */
function changed() {
  view.show(pieces, model.separator);
  by("text").scrollTop = by("text").scrollHeight;
  progress();
  buttons();
  peek();
}


/** Show what changes with each element. */
function progress() {
  by("count").textContent = counted();
  by("empty").hidden = pieces.length > 0;
  if (running && view.selected === null) {
    const last = pieces.at(-1);
    if (last?.top) describeBars("What came last", explainedShortly(last), last.top, last);
  }
  if (model?.kind === "music") {
    try {
      score = decode(elementsOf(pieces), model.notation);
      heard = sounding(score);
      if (!paced) showTempo(score.tempos[0]?.[1] ?? 100);
    } catch (error) {
      if (!running) complain(new Failure(error.message));
    }
    roll.show(score.notes, { follow: running !== null && !player.playing });
    for (const id of ["play", "midi"]) by(id).setAttribute("aria-disabled", score.notes.length === 0);
  }
}

function elementsOf(all) {
  const [prime, ...drawn] = all.length ? all : [{ text: "" }];
  return [...prime.text.split(/\s+/).filter(Boolean), ...drawn.map((piece) => piece.text)];
}

function counted() {
  const number = Math.max(pieces.length - 1, 0);
  const characters = model && model.kind === "text" && !model.separator;
  return `${number.toLocaleString("en")} ${characters ? "character" : "element"}${number === 1 ? "" : "s"}`;
}

function selected(index) {
  if (index === null) return peek();
  const piece = pieces[index];
  if (piece.top) describeBars("What could stand here", explainedShortly(piece), piece.top, piece);
  else describeBars("The prime", "It was given, not drawn.", []);
  say(explained(piece));
}

function explainedShortly({ text, p }) {
  return `“${named(text)}” ${percent(p)}, ${bits(p)}`;
}

function describeBars(title, note, top, drawn) {
  by("bars-title").textContent = title;
  by("bars-note").textContent = note;
  bars.show(top, drawn);
}

/** Show the distribution of the next element, which an engine draws once for it. */
async function peek() {
  if (!model || running || view.selected !== null) return;
  peeking?.stop();
  if (!pieces.length && !prime()) return describeBars("What comes next", "That depends on how it begins.", []);
  const stream = engine.stream(model, request());
  peeking = stream;
  try {
    const piece = await stream.next();
    if (peeking !== stream || running || view.selected !== null) return;
    wrongPrime("");
    if (piece) describeBars("What comes next", "Press one to write it.", piece.top);
    else describeBars("What comes next", "Nothing: by the grammar, the text is complete.", []);
  } catch (error) {
    if (peeking !== stream || running) return;
    if (!by("trouble").hidden) return; // one message is enough
    if (error.again) complain(error, () => (calm(), peek()));
    else if (pieces.length) complain(error);
    else wrongPrime(error.message);
  } finally {
    stream.stop();
  }
}

function wrongPrime(message) {
  by("prime-problem").textContent = message;
  by("prime-problem").hidden = !message;
  by("prime").setAttribute("aria-invalid", Boolean(message));
}

function buttons() {
  by("start").textContent = running ? "Stop" : "Start";
  document.body.classList.toggle("running", running !== null);
  by("text").setAttribute("aria-busy", running !== null);
  const none = pieces.length === 0;
  // Not `disabled`: a button that has the focus keeps it.
  for (const id of ["continue", "retry", "copy", "save"]) by(id).setAttribute("aria-disabled", none);
  by("undo").setAttribute("aria-disabled", past.length === 0);
}

function say(what) {
  by("status").textContent = what;
}

function complain(error, retryBy = null) {
  if (!(error instanceof Failure)) console.error(error);
  by("trouble").firstElementChild.textContent = error.message;
  by("trouble").hidden = false;
  by("again").hidden = retryBy === null;
  again = retryBy;
  by("trouble").scrollIntoView({ block: "nearest" });
}

function calm() {
  by("trouble").hidden = true;
  by("trouble").firstElementChild.textContent = "";
}

/** The element that scrolls: the sheet on a wide window, the text on a narrow one. */
function scroller() {
  const text = by("text");
  return getComputedStyle(text).overflowY === "auto" ? text : text.closest(".sheet");
}

function endIsSeen() {
  const frame = scroller();
  return frame.scrollHeight - frame.scrollTop - frame.clientHeight < 60;
}

function showEnd() {
  const frame = scroller();
  frame.scrollTop = frame.scrollHeight;
}

function grow(area) {
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
  area.scrollTop = area.scrollHeight;
}

const timers = {};

/** Do something when it was not asked for again for a moment. */
function later(name, what) {
  clearTimeout(timers[name]);
  timers[name] = setTimeout(what, SETTLE);
}

/** Do something, but not again and again. */
function atMost(name, what) {
  if (performance.now() - (timers[name] ?? 0) < LATEST) return;
  timers[name] = performance.now();
  what();
}

// -- music -------------------------------------------------------------------------------------------

async function play() {
  if (player.playing) return player.stop();
  if (!score.notes.length) return;
  try {
    await player.play();
  } catch (error) {
    return complain(new Failure(`The browser plays no sound: ${error.message}`));
  }
  by("play").textContent = "Hush";
  const follow = () => {
    if (!player.playing) return;
    roll.playhead = player.position;
    requestAnimationFrame(follow);
  };
  follow();
}

/** Play at a tempo, in quarters a minute. */
function showTempo(bpm) {
  by("tempo").value = bpm;
  by("tempo-value").textContent = bpm;
  player.bpm = bpm;
}

function silent() {
  by("play").textContent = "Play";
  roll.playhead = null;
}

// -- files in and out --------------------------------------------------------------------------------

function download(data, name, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([data], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function wholeText() {
  const [prime, ...drawn] = pieces;
  return model.kind === "ids"
    ? [prime.text, ...drawn.map((piece) => piece.text)].join(" ").trim()
    : joined(model, prime.text, drawn);
}

async function copy() {
  try {
    await navigator.clipboard.writeText(wholeText());
    say("Copied");
    by("copy").textContent = "Copied";
    setTimeout(() => (by("copy").textContent = "Copy"), 1500);
  } catch {
    getSelection().selectAllChildren(by("text")); // where a page may not write to the clipboard
    complain(new Failure("The browser lets this page copy nothing. The text is selected: press Ctrl-C."));
  }
}

// -- wiring ------------------------------------------------------------------------------------------

function press(id, what) {
  by(id).addEventListener("click", () => by(id).getAttribute("aria-disabled") !== "true" && what());
}

press("start", () => (running ? stop() : start()));
press("continue", goOn);
press("retry", retry);
press("undo", undo);
press("copy", copy);
press("save", () => download(wholeText(), `${model.name}.txt`, "text/plain;charset=utf-8"));
press("again", () => again?.());
press("play", play);
press("midi", () => download(midiFile(score, paced ? Number(by("tempo").value) : null), `${model.name}.mid`, "audio/midi"));
press("choose", () => by("file").click());

by("model").addEventListener("change", () => {
  const chosen = models.find(({ id }) => id === by("model").value);
  use(chosen).catch((error) => complain(error, () => use(chosen).catch(complain)));
});
by("file").addEventListener("change", () => {
  open(by("file").files[0]);
  by("file").value = ""; // so that the same file may be chosen again
});
by("prime").addEventListener("input", () => {
  grow(by("prime"));
  if (!pieces.length) later("peek", peek);
});
by("prime").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) start();
});
by("tempo").addEventListener("input", () => {
  paced = true;
  showTempo(Number(by("tempo").value));
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    stop();
    player.stop();
  }
});

let dragged = 0; // elements that a file is over
for (const [type, step] of [["dragenter", 1], ["dragleave", -1]]) {
  addEventListener(type, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    dragged += step;
    by("drop").hidden = dragged <= 0;
  });
}
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  dragged = 0;
  by("drop").hidden = true;
  open(event.dataTransfer.files[0]);
});

function dark(isDark) {
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
  by("theme").setAttribute("aria-pressed", isDark);
  roll.draw();
}
const preference = matchMedia("(prefers-color-scheme: dark)");
let chosenTheme = null; // else that of the system
try {
  chosenTheme = localStorage.getItem("theme");
} catch {
  // A browser that stores nothing asks the system again the next time.
}
dark(chosenTheme ? chosenTheme === "dark" : preference.matches);
preference.addEventListener("change", () => chosenTheme ?? dark(preference.matches));
press("theme", () => {
  dark(document.documentElement.dataset.theme !== "dark");
  chosenTheme = document.documentElement.dataset.theme;
  try {
    localStorage.setItem("theme", chosenTheme);
  } catch {
    // It then holds until the page is closed.
  }
});

by("key").append(
  ...[0, ...BITS].map((least, shade) => {
    const item = document.createElement("li");
    item.dataset.shade = shade;
    const [most, end] = [2 ** -least, 2 ** -(BITS[shade] ?? Infinity)];
    item.textContent = end > 0 ? `> ${percent(end)}` : "less";
    item.title = `${percent(end)} to ${percent(most)}: above ${least} bits`;
    return item;
  }),
);
buttons();
begin();
