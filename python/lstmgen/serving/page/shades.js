// How surprising an element was. The bits, and the colours in page.css, are those of lstmgen.shades.

/** The surprise in bits above which each shade begins. What is less surprising has no shade. */
export const BITS = [0.5, 1, 2, 4, 6];

/** The number of the shade of a probability, 1 to 5; 0 for a likely element, which has none. */
export function shadeOf(probability) {
  const bits = -Math.log2(probability);
  return BITS.filter((least) => bits >= least).length;
}

/** Such as "23 %", with as many digits as are of use. */
export function percent(probability) {
  const number = probability * 100;
  if (number >= 99.95) return "100 %";
  if (number >= 10) return `${number.toFixed(0)} %`;
  if (number >= 0.1) return `${number.toFixed(1)} %`;
  return number > 0 ? "< 0.1 %" : "0 %";
}

/** Such as "2.1 bits". */
export function bits(probability) {
  return probability > 0 ? `${Math.abs(-Math.log2(probability)).toFixed(1)} bits` : "more bits than can be told";
}
