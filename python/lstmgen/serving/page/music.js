// Music: elements become notes, and notes become a MIDI file. The same notes, and the same bytes, as
// lstmgen.music has in Python. Times are points of a grid, 24 to a quarter.

export const GRID = 24;
export const VELOCITY = 80; // of a note that does not say it
const BPM = 100; // of music that does not say
const DRUMS = 9; // the channel of a MIDI file that has no pitches
const SUSTAIN = 64; // the controller of the pedal
const LONGEST = 16 * GRID;
const TICKS = 20; // of the MIDI file, to a point
const MIDDLE_C = 60;
const STEP = { lesson: GRID / 2, melody: GRID / 4 }; // points that an element takes
const PITCH_CLASSES = { C: 0, D: 2, E: 4, F: 5, G: 7, A: 9, B: 11 };
const NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
const READERS = { events: eventScore, lesson: plain(lessonNotes), melody: plain(melodyNotes) };
// The elements of "events", as docs/events.md has them: t or d, n, v, k, p, b, m, begin, end.
const EVENT =
  /^(?:[td]([1-9]\d{0,3})|n(\d{1,3})|v([1-9]|[12]\d|3[0-2])|k([1-9]|1[0-5])|p([01])|b([1-9]\d{0,3})|m([1-9]|1[0-6])\/(1|2|4|8|16|32)|begin|end)$/;

/**
 * What elements say: {notes, pedals, tempos, meters}. Notes are {start, duration, pitch, velocity,
 * track}, in order of start, pitch and track. Pedals are [start, end], tempos [start, bpm], meters
 * [start, beats, unit].
 */
export function decode(elements, notation) {
  const read = Object.hasOwn(READERS, notation) ? READERS[notation] : null;
  if (!read) throw new RangeError(`notation: expected one of ${Object.keys(READERS).join(", ")}, found ${notation}`);
  return read(elements);
}

function plain(read) {
  return (elements) => ({ notes: tidy(read(elements)), pedals: [], tempos: [], meters: [] });
}

/**
 * The bytes of a MIDI file for a grand piano: one track, or one for each track of the notes.
 * bpm: quarters a minute all the time, 4 to 1000; null: those of the piece, or 100.
 */
export function midiFile({ notes, pedals = [], tempos = [], meters = [] }, bpm = null) {
  if (bpm !== null && !(bpm >= 4 && bpm <= 1000)) {
    throw new RangeError(`bpm: expected 4 to 1000 quarters a minute, found ${bpm}`);
  }
  const steps = bpm !== null ? [[0, bpm]] : tempos[0]?.[0] === 0 ? tempos : [[0, BPM], ...tempos];
  const common = [
    ...steps.map(([time, pace]) => [time, 0, [0xff, 0x51, 3, ...bigEndian(halfToEven(60e6 / pace), 3)]]),
    ...meters.map(([time, beats, unit]) => [time, 0, [0xff, 0x58, 4, beats, Math.log2(unit), 24, 8]]),
  ];
  const used = [...new Set(notes.map((note) => note.track))].sort((a, b) => a - b);
  if (!used.length) used.push(1);
  let tracks = used.map((track) => voice(notes.filter((note) => note.track === track), track, pedals));
  tracks = tracks.length === 1 ? [[...common, ...tracks[0]]] : [common, ...tracks];
  const header = [
    ...chars("MThd"), ...bigEndian(6, 4), ...bigEndian(Number(tracks.length > 1), 2),
    ...bigEndian(tracks.length, 2), ...bigEndian(GRID * TICKS, 2),
  ];
  return Uint8Array.from(header.concat(...tracks.map(chunk)));
}

/** The messages of a track: [point, rank among those of one point, bytes]. */
function voice(notes, track, pedals) {
  const channel = track <= DRUMS ? track - 1 : track;
  return [
    [0, 0, [0xc0 | channel, 0]],
    ...notes.flatMap(({ start, duration, pitch, velocity }) => [
      [start, 4, [0x90 | channel, pitch, velocity]],
      [start + duration, 1, [0x80 | channel, pitch, 0]],
    ]),
    ...pedals.flatMap(([start, end]) => [
      [start, 3, [0xb0 | channel, SUSTAIN, 127]],
      [end, 2, [0xb0 | channel, SUSTAIN, 0]],
    ]),
  ];
}

function chunk(messages) {
  const track = [];
  let now = 0;
  const order = ([timeA, rankA, a], [timeB, rankB, b]) =>
    timeA - timeB || rankA - rankB || (rankA ? a[1] - b[1] || a[2] - b[2] : 0);
  for (const [time, , bytes] of [...messages].sort(order)) {
    track.push(...variableLength((time - now) * TICKS), ...bytes);
    now = time;
  }
  track.push(0, 0xff, 0x2f, 0);
  return [...chars("MTrk"), ...bigEndian(track.length, 4), ...track];
}

function chars(text) {
  return [...text].map((c) => c.charCodeAt(0));
}

/** Notes as long as they sound: to the end of the pedal that is down where a key rises. */
export function sounding({ notes, pedals }) {
  const strokes = new Map(); // of each pitch: the next stroke, and the one after it
  const found = [];
  for (const note of [...notes].reverse()) {
    const end = note.start + note.duration;
    const [first] = strokes.get(note.pitch) ?? [Infinity];
    if (first > note.start) strokes.set(note.pitch, [note.start, first]); // not the same stroke on another track
    const pedal = pedals.find(([down, up]) => down < end && end < up);
    const until = pedal ? Math.max(end, Math.min(pedal[1], strokes.get(note.pitch)[1])) : end;
    found.push({ ...note, duration: until - note.start });
  }
  return found.reverse();
}

/** Points from 0 to the end of the last note. */
export function lengthOf(notes) {
  return notes.reduce((most, note) => Math.max(most, note.start + note.duration), 0);
}

/** Such as "C4" for middle C. */
export function pitchName(pitch) {
  return `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;
}

/** The notes without overlaps on a pitch of a track: the longest of those that begin together, up to the next. */
function tidy(notes) {
  const longest = new Map();
  for (const { start, duration, pitch, velocity = VELOCITY, track = 1 } of notes) {
    const key = (start * 128 + pitch) * 16 + track;
    const before = longest.get(key) ?? { duration: 0, velocity: 0 };
    if (duration > before.duration || (duration === before.duration && velocity > before.velocity)) {
      longest.set(key, { start, duration, pitch, velocity, track });
    }
  }
  const next = new Map();
  const found = [];
  for (const key of [...longest.keys()].sort((a, b) => b - a)) {
    const note = longest.get(key);
    const place = note.pitch * 16 + note.track;
    found.push({ ...note, duration: Math.min(note.duration, (next.get(place) ?? Infinity) - note.start) });
    next.set(place, note.start);
  }
  return found.reverse();
}

function eventScore(elements) {
  let [now, gap, track, started, down, last] = [0, 0, 1, false, null, ""];
  const [lasting, loud, notes, pedals] = [new Map(), new Map(), [], []];
  const [tempos, meters] = [new Map(), new Map()];
  for (const [position, element] of elements.entries()) {
    const found = EVENT.exec(element);
    const numbers = found?.slice(1).filter((number) => number !== undefined).map(Number);
    const kind = numbers?.length ? element[0] : element;
    const number = numbers?.[0];
    if (!found || (kind === "n" && number > 127) || (kind === "b" && !(number >= 4 && number <= 1000))) {
      throw unexpected(element, position, "one such as 't6', 'd12' or 'n60' (n0 to n127)");
    }
    const at = now + (started ? gap : 0);
    if (kind === "t") {
      gap = Math.min(gap + number, LONGEST);
    } else if (kind === "d") {
      lasting.set(track, Math.min(number + (last === "d" ? lasting.get(track) : 0), LONGEST));
    } else if (kind === "n") {
      [now, gap, started] = [at, 0, true];
      const [duration, velocity] = [lasting.get(track) ?? GRID, loud.get(track) ?? VELOCITY];
      notes.push({ start: now, duration, pitch: number, velocity, track });
    } else if (kind === "v") {
      loud.set(track, Math.min(4 * number, 127));
    } else if (kind === "k") {
      track = number;
    } else if (kind === "p" && number) {
      down ??= at;
    } else if (kind === "p") {
      if (down !== null && down < at) pedals.push([down, at]);
      down = null;
    } else if (kind === "b") {
      tempos.set(at, [number]);
    } else if (kind === "m") {
      meters.set(at, numbers);
    } else if (kind === "end") {
      break;
    }
    last = kind;
  }
  const tidied = tidy(notes);
  const end = lengthOf(tidied);
  if (down !== null && down < end) pedals.push([down, end]);
  return { notes: tidied, pedals, tempos: changing(tempos), meters: changing(meters) };
}

/** [place, ...values] in order, without those that repeat the values before. */
function changing(values) {
  const all = [...values].sort(([a], [b]) => a - b).map(([place, numbers]) => [place, ...numbers]);
  return all.filter((one, i) => !i || one.slice(1).join() !== all[i - 1].slice(1).join());
}

function* lessonNotes(elements) {
  for (const [position, element] of elements.entries()) {
    for (const part of element.split(".")) {
      const pitch = lessonPitch(part);
      if (!(pitch >= 0 && pitch <= 127)) {
        throw unexpected(element, position, "a note such as 'C4' or a chord such as '4.7'");
      }
      yield { start: position * STEP.lesson, duration: GRID, pitch };
    }
  }
}

function lessonPitch(part) {
  if (/^\d{1,3}$/.test(part)) return Number(part) > 11 ? Number(part) : MIDDLE_C + Number(part);
  const name = /^([A-G])([#\-~`]*)(\d{0,2})(?:\([+-]\d+c\))?$/.exec(part);
  if (!name) return -1;
  const count = (sign) => name[2].split(sign).length - 1;
  return 12 * (Number(name[3] || 4) + 1) + PITCH_CLASSES[name[1]] + count("#") - count("-");
}

function* melodyNotes(elements) {
  let [now, start, pitch] = [0, 0, null];
  for (const [position, element] of [...elements, "/"].entries()) {
    const number = /^\d{1,3}$/.test(element) ? Number(element) : null;
    if (number === null ? !["_", "r", "/"].includes(element) : number > 127) {
      throw unexpected(element, position, "a MIDI pitch, 0 to 127, '_', 'r' or '/'");
    }
    if (element !== "_") {
      if (pitch !== null) yield { start, duration: now - start, pitch };
      [start, pitch] = [now, number];
    }
    if (element !== "/") now += STEP.melody;
  }
}

function unexpected(element, position, expected) {
  return new RangeError(`element '${element}' at position ${position}: expected ${expected}`);
}

function bigEndian(number, bytes) {
  return Array.from({ length: bytes }, (_, i) => Math.floor(number / 256 ** (bytes - 1 - i)) % 256);
}

/** Groups of seven bits. All bytes but the last have the highest bit set. */
function variableLength(number) {
  const digits = [number & 0x7f];
  while ((number >>= 7)) digits.push((number & 0x7f) | 0x80);
  return digits.reverse();
}

/** The nearest integer; of two that are as near, the even one, as Python rounds. */
function halfToEven(number) {
  const below = Math.floor(number);
  if (number - below !== 0.5) return Math.round(number);
  return below % 2 ? below + 1 : below;
}
