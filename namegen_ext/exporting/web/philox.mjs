// Random numbers by counter: Philox4x32-10. The four words of a name's steps 4b to 4b + 3 are a function of the seed, the
// name's place in the stream and b alone, so that any program that knows the three draws the same name.
// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;

// The upper 32 bits of the product of two numbers of 32 bits, by halves of 16 bits. Each sum stays below 2^32:
// 65,535 * 65,535 + 65,535 = 4,294,901,760.
function upperHalf(a, b) {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const middle = (Math.imul(a1, b0) >>> 0) + (Math.imul(a0, b0) >>> 16);
  const low = (middle & 0xffff) + (Math.imul(a0, b1) >>> 0);
  return (Math.imul(a1, b1) + (middle >>> 16) + (low >>> 16)) | 0;
}

// Writes four words to `words`. A seed and a place are given by their lower and upper 32 bits.
export function philoxWords(seedLow, seedHigh, placeLow, placeHigh, block, words) {
  let c0 = placeLow | 0;
  let c1 = placeHigh | 0;
  let c2 = block | 0;
  let c3 = 0;
  let k0 = seedLow | 0;
  let k1 = seedHigh | 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const high0 = upperHalf(c0, MULTIPLIER_0);
    const high1 = upperHalf(c2, MULTIPLIER_1);
    const low0 = Math.imul(c0, MULTIPLIER_0);
    const low1 = Math.imul(c2, MULTIPLIER_1);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + WEYL_0) | 0;
    k1 = (k1 + WEYL_1) | 0;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}
