// Music: elements become notes, and notes become a MIDI file. The same notes, and the same bytes, as
// lstmgen.music has in Python. Times are points of a grid, 24 to a quarter.

export const GRID = 24;
export const VELOCITY = 80; // of each note: the notations have none
const LONGEST = 16 * GRID;
const TICKS = 20; // of the MIDI file, to a point
const MIDDLE_C = 60;
const STEP = { lesson: GRID / 2, melody: GRID / 4 }; // points that an element takes
const PITCH_CLASSES = { C: 0, D: 2, E: 4, F: 5, G: 7, A: 9, B: 11 };
const NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
const READERS = { events: eventNotes, lesson: lessonNotes, melody: melodyNotes };

/** Notes {start, duration, pitch, velocity} of elements, in order of start and then pitch. */
export function decode(elements, notation) {
  const read = Object.hasOwn(READERS, notation) ? READERS[notation] : null;
  if (!read) throw new RangeError(`notation: expected one of ${Object.keys(READERS).join(", ")}, found ${notation}`);
  return tidy(read(elements));
}

/** The bytes of a MIDI file of one track, for a grand piano. bpm: quarters a minute, 4 to 1000. */
export function midiFile(notes, bpm) {
  if (!(bpm >= 4 && bpm <= 1000)) throw new RangeError(`bpm: expected 4 to 1000 quarters a minute, found ${bpm}`);
  const messages = notes.flatMap(({ start, duration, pitch, velocity = VELOCITY }) => [
    { time: start, bytes: [0x90, pitch, velocity] },
    { time: start + duration, bytes: [0x80, pitch, 0] }, // sorted by its bytes: an end before a beginning
  ]);
  messages.sort((a, b) => a.time - b.time || a.bytes[0] - b.bytes[0] || a.bytes[1] - b.bytes[1]);
  const track = [0, 0xff, 0x51, 3, ...bigEndian(halfToEven(60e6 / bpm), 3), 0, 0xc0, 0];
  let now = 0;
  for (const { time, bytes } of messages) {
    track.push(...variableLength((time - now) * TICKS), ...bytes);
    now = time;
  }
  track.push(0, 0xff, 0x2f, 0);
  const chars = (text) => [...text].map((c) => c.charCodeAt(0));
  return Uint8Array.from([
    ...chars("MThd"), ...bigEndian(6, 4), ...bigEndian(0, 2), ...bigEndian(1, 2), ...bigEndian(GRID * TICKS, 2),
    ...chars("MTrk"), ...bigEndian(track.length, 4),
  ].concat(track));
}

/** Points from 0 to the end of the last note. */
export function lengthOf(notes) {
  return notes.reduce((most, note) => Math.max(most, note.start + note.duration), 0);
}

/** Such as "C4" for middle C. */
export function pitchName(pitch) {
  return `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;
}

/** The notes without overlaps on a pitch: the longest of those that begin together, up to the next beginning. */
function tidy(notes) {
  const longest = new Map();
  for (const { start, duration, pitch } of notes) {
    const key = start * 128 + pitch;
    longest.set(key, Math.max(duration, longest.get(key) ?? 0));
  }
  const next = new Array(128).fill(Infinity);
  const found = [];
  for (const key of [...longest.keys()].sort((a, b) => b - a)) {
    const pitch = key % 128;
    const start = (key - pitch) / 128;
    found.push({ start, duration: Math.min(longest.get(key), next[pitch] - start), pitch, velocity: VELOCITY });
    next[pitch] = start;
  }
  return found.reverse();
}

function* eventNotes(elements) {
  let [now, gap, lasting, started, last] = [0, 0, GRID, false, ""];
  for (const [position, element] of elements.entries()) {
    const found = /^(?:([td])([1-9]\d{0,3})|n(\d{1,3}))$/.exec(element);
    if (!found || Number(found[3] ?? 0) > 127) {
      throw unexpected(element, position, "one such as 't6', 'd12' or 'n60' (n0 to n127)");
    }
    const kind = element[0];
    if (kind === "t") {
      gap = Math.min(gap + Number(found[2]), LONGEST);
    } else if (kind === "d") {
      lasting = Math.min(Number(found[2]) + (last === "d" ? lasting : 0), LONGEST);
    } else {
      [now, gap, started] = [now + (started ? gap : 0), 0, true];
      yield { start: now, duration: lasting, pitch: Number(found[3]) };
    }
    last = kind;
  }
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
